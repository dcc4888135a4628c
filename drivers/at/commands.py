"""The AT commands we use: how each is written, and what its answer says. Pure; tolerant of every shape seen.

Clauses are those of TS 27.005 for SMS and TS 27.007 for the rest. Parsers never raise on a modem's answer: what
cannot be understood is None or empty.
"""

from __future__ import annotations

import re

from drivers.api import Registration
from drivers.at import fields
from drivers.at.parser import Line
from drivers.at.request import Answer, Request
from drivers.values import dataclass

ECHO_OFF = Request("ATE0", timeout_s=2.0)
NUMERIC_ERRORS = Request("AT+CMEE=1", timeout_s=2.0)
VERBOSE_ERRORS = Request("AT+CMEE=2", timeout_s=2.0)
MANUFACTURER = Request("AT+CGMI", ("+CGMI",), 20.0, bare=True)
MODEL = Request("AT+CGMM", ("+CGMM",), 20.0, bare=True)
FIRMWARE = Request("AT+CGMR", ("+CGMR",), 20.0, bare=True)
IMEI = Request("AT+CGSN", ("+CGSN",), 20.0, bare=True)
ICCID_FILE = Request("AT+CRSM=176,12258,0,0,10", ("+CRSM",), 5.0)
IMSI = Request("AT+CIMI", ("+CIMI",), 20.0, bare=True)
OWN_NUMBER = Request("AT+CNUM", ("+CNUM",), 20.0)
FUNCTION_QUERY = Request("AT+CFUN?", ("+CFUN",), 15.0)
FUNCTION_FULL = Request("AT+CFUN=1", timeout_s=30.0)
PIN_QUERY = Request("AT+CPIN?", ("+CPIN",), 5.0, is_final_optional=True)
PDU_MODE = Request("AT+CMGF=0", timeout_s=10.0)
CHARACTER_SET = Request('AT+CSCS="GSM"', timeout_s=10.0)
STORAGES_TEST = Request("AT+CPMS=?", ("+CPMS",), 10.0)
STORAGES_QUERY = Request("AT+CPMS?", ("+CPMS",), 10.0)
SMSC_QUERY = Request("AT+CSCA?", ("+CSCA",), 20.0)
ROUTING_TEST = Request("AT+CNMI=?", ("+CNMI",), 10.0)
ROUTING_QUERY = Request("AT+CNMI?", ("+CNMI",), 10.0)
SERVICE_PLAIN = Request("AT+CSMS=0", ("+CSMS",), 10.0)
SERVICE_ACKNOWLEDGED = Request("AT+CSMS=1", ("+CSMS",), 10.0)
ACKNOWLEDGE = Request("AT+CNMA", timeout_s=3.0)
LIST_ALL = Request("AT+CMGL=4", ("+CMGL",), 60.0, payload=True)
SIGNAL = Request("AT+CSQ", ("+CSQ",), 5.0)
EXTENDED_SIGNAL = Request("AT+CESQ", ("+CESQ",), 5.0)
CALLER_NUMBER = Request("AT+CLIP=1", timeout_s=15.0)
HANG_UP = Request("AT+CHUP", timeout_s=5.0)
HANG_UP_OLD = Request("ATH", timeout_s=5.0)
RADIO_OFF = Request("AT+CFUN=4", timeout_s=180.0)
FACTORY_SETTINGS = Request("AT&F", timeout_s=10.0)

OPERATOR_QUERY = Request("AT+COPS?", ("+COPS",), 10.0)
MORE_TO_SEND = Request("AT+CMMS=1", timeout_s=5.0)

REGISTRATIONS = ("CREG", "CGREG", "CEREG")


def raw(text: str, timeout_s: float) -> Request:
    """Return a command of which nothing is known: every line that is no URC is its answer."""
    found = re.match(r"AT([+^*#%$&!_][A-Z0-9]+)", text, re.IGNORECASE)
    prefixes = (found[1].upper(),) if found else ()
    is_call = bool(re.match(r"AT[DAOH]", text, re.IGNORECASE))
    return Request(text, prefixes, timeout_s, bare=True, call=is_call)


def registration_query(name: str) -> Request:
    return Request(f"AT+{name}?", (f"+{name}",), 5.0)


def registration_reports(name: str, mode: int) -> Request:
    return Request(f"AT+{name}={mode}", timeout_s=5.0)


def iccid(command: str) -> Request:
    prefix = command.removeprefix("AT").rstrip("?").upper()
    # Answered as +CCID:, +ICCID: or ICCID:, whatever was asked.
    return Request(command, (prefix, "+CCID", "+ICCID", "ICCID", "CCID"), 5.0, bare=True)


def enter_pin(pin: str) -> Request:
    return Request(f'AT+CPIN="{pin}"', ("+CPIN",), 25.0)


def pin_counter(command: str) -> Request:
    return Request(command, (command.removeprefix("AT").rstrip("=?").upper(),), 5.0)


def set_smsc(number: str) -> Request:
    kind = 145 if number.startswith("+") else 129
    return Request(f'AT+CSCA="{number}",{kind}', timeout_s=20.0)


def select_storages(*names: str) -> Request:
    return Request("AT+CPMS=" + ",".join(f'"{name}"' for name in names), ("+CPMS",), 10.0)


def read(index: int) -> Request:
    return Request(f"AT+CMGR={index}", ("+CMGR",), 15.0, payload=True)


def delete(index: int) -> Request:
    return Request(f"AT+CMGD={index}", timeout_s=15.0)


def submit(octets: int) -> Request:
    """CMGS; `octets` counts the TPDU without the SMSC field."""
    return Request(f"AT+CMGS={octets}", ("+CMGS",), 10.0)


def set_routing(mode: int, mt: int, bm: int, ds: int, bfr: int) -> Request:
    return Request(f"AT+CNMI={mode},{mt},{bm},{ds},{bfr}", timeout_s=10.0)


# --- answers


def text(answer: Answer) -> str | None:
    """Return the one text of an identity command, with or without its prefix; None where there is none."""
    if not answer.is_ok or not answer.lines:
        return None
    return fields.unquote(_after_prefix(answer.lines[0])) or None


def digits(answer: Answer, least: int, most: int) -> str | None:
    """Return the first run of digits of a sensible size, e.g. of an IMEI or IMSI."""
    if answer.is_ok:
        for line in answer.lines:
            found = re.search(rf"(?<!\d)\d{{{least},{most}}}(?!\d)", line.text)
            if found:
                return found.group()
    return None


def iccid_digits(answer: Answer) -> str | None:
    """Return the ICCID without filler; a nibble-swapped one (98… for 89…) is turned round."""
    if not answer.is_ok:
        return None
    for line in answer.lines:
        found = re.search(r"(?<![0-9A-Fa-f])\d{18,20}[Ff]{0,2}(?![0-9A-Fa-f])|98\d{16,18}[0-9Ff]{2}", line.text)
        if found:
            number = found.group()
            if number.startswith("98"):
                number = "".join(number[at : at + 2][::-1] for at in range(0, len(number), 2))
            number = number.rstrip("Ff")
            if number.isdigit():
                return number
    return None


def iccid_of_file(answer: Answer) -> str | None:
    """Return the ICCID of +CRSM: sw1,sw2,"semi-octets"; 144,0 means that the file was read."""
    parts = fields.parameters(answer.first) if answer.lines else []
    if len(parts) < 3 or parts[0] != "144" or not re.fullmatch(r"(?:[0-9A-Fa-f]{2}){9,10}", parts[2]):
        return None
    number = "".join(parts[2][at : at + 2][::-1] for at in range(0, len(parts[2]), 2)).rstrip("Ff")
    return number if number.isdigit() else None


def pin_state(answer: Answer) -> str | None:
    """Return `READY`, `SIM PIN`, `SIM PUK` … upper case, or None where there is no answer to that."""
    return fields.unquote(_after_prefix(answer.lines[0])).upper() if answer.lines else None


def pin_tries(answer: Answer) -> int | None:
    """Return the tries left for the PIN: the first small number of the line that is about it.

    Shapes: `+CPINR: SIM PIN,3,3`, `+QPINC: "SC",3,10`, `+SPIC: 3,10,3,10`, `#PCT: 3`, and Huawei's
    `^CPIN: SIM PIN,3,10,3,10,3`, whose fourth value is the PIN's.
    """
    if not answer.is_ok:
        return None
    for line in answer.lines:
        parts = fields.parameters(line.text)
        words = [part for part in parts if part and fields.number(part) is None]
        if words and words[0].upper() not in ("SIM PIN", "SC", "READY"):
            continue
        if line.name == "^CPIN":
            return fields.number(parts[3]) if len(parts) > 3 else None
        values = [value for value in map(fields.number, parts) if value is not None]
        if values:
            return values[0]
    return None


def own_number(answer: Answer) -> str | None:
    """Return the first dialable number of +CNUM: ["name"],"number",type."""
    for line in answer.lines:
        parts = fields.parameters(line.text)
        for part in parts[1:] or parts:
            number = decode_ucs2_hex(part)
            if re.fullmatch(r"\+?\d{5,15}", number):
                return number
    return None


def smsc(answer: Answer) -> str | None:
    """Return the number of +CSCA: "number"[,type], also where it comes as UCS2 in hexadecimal."""
    parts = fields.parameters(answer.first) if answer.lines else []
    if not parts:
        return None
    number = decode_ucs2_hex(parts[0])
    if not re.fullmatch(r"\+?\d{3,20}", number):
        return None
    is_international = len(parts) > 1 and fields.number(parts[1]) == 145
    return "+" + number if is_international and not number.startswith("+") else number


def decode_ucs2_hex(value: str) -> str:
    """Decode a string of CSCS="UCS2" where it is one, else return it as it is."""
    if len(value) >= 8 and len(value) % 4 == 0 and re.fullmatch(r"(00[2-7][0-9A-Fa-f])+", value):
        return bytes.fromhex(value).decode("utf-16-be")
    return value


def storages(answer: Answer) -> tuple[frozenset[str], ...]:
    """Return the memories allowed per argument of CPMS; empty where the modem does not say.

    Shapes: `("ME","SM"),("ME","SM"),("SM")`, one more pair of parentheses around all, `"SM","SM","SM"`, nothing.
    """
    if not answer.is_ok or not answer.lines:
        return ()
    value = fields.value(answer.first)
    if value.startswith("((") and value.endswith("))"):
        value = value[1:-1]
    found = []
    for group in fields.split(value):
        names = frozenset(fields.unquote(name) for name in group.strip("() ").split(","))
        found.append(frozenset(name for name in names if name))
    return tuple(found) if any(found) else ()


@dataclass(frozen=True, slots=True)
class Usage:
    """How full one memory is."""

    used: int
    total: int


def usages(answer: Answer) -> tuple[Usage, ...]:
    """Return used and total of +CPMS, one per memory; the query's form has the names between them."""
    values = [fields.number(part) for part in fields.parameters(answer.first)] if answer.lines else []
    plain = [value for value in values if value is not None]
    return tuple(Usage(used, total) for used, total in zip(plain[::2], plain[1::2], strict=False))


def current_storages(answer: Answer) -> tuple[str, ...]:
    """Return the memories that +CPMS? names."""
    parts = fields.parameters(answer.first) if answer.lines else []
    return tuple(part for part in parts if part and fields.number(part) is None)


@dataclass(frozen=True, slots=True)
class Routing:
    """The five values of CNMI (TS 27.005 §3.4.1)."""

    mode: int
    mt: int
    bm: int
    ds: int
    bfr: int

    def request(self) -> Request:
        return set_routing(self.mode, self.mt, self.bm, self.ds, self.bfr)


def routing(answer: Answer) -> Routing | None:
    """Return what +CNMI? says is set."""
    if not answer.lines:
        return None
    values = [fields.number(part) or 0 for part in fields.parameters(answer.first)]
    values += [0] * (5 - len(values))
    return Routing(*values[:5])


def routing_choices(answer: Answer) -> tuple[frozenset[int], ...]:
    """Return the values that +CNMI=? allows per position; empty where the modem does not say."""
    if not answer.is_ok or not answer.lines:
        return ()
    return tuple(fields.numbers(group) for group in fields.groups(answer.first))


_REGISTRATION = {
    0: Registration.SEARCHING,
    1: Registration.HOME,
    2: Registration.SEARCHING,
    3: Registration.DENIED,
    4: Registration.UNKNOWN,
    5: Registration.ROAMING,
    6: Registration.HOME,
    7: Registration.ROAMING,
    8: Registration.DENIED,
    9: Registration.HOME,
    10: Registration.ROAMING,
    11: Registration.DENIED,
}
"""<stat> of +CREG, +CGREG and +CEREG (TS 27.007 §7.2): 6 and 7 are SMS only, 8 and 11 emergency calls only."""


def registration(line: Line, *, is_answer: bool) -> Registration | None:
    """Return the state of a registration line; None where it is empty or garbled."""
    parts = fields.split(fields.value(line.text))
    at = 1 if is_answer and len(parts) > 1 else 0
    stat = fields.number(parts[at]) if len(parts) > at else None
    return _REGISTRATION.get(stat, Registration.UNKNOWN) if stat is not None else None


def signal_dbm(answer: Answer) -> int | None:
    """Return the signal of +CSQ: rssi,ber (TS 27.007 §8.5); 99 is unknown, 100-199 the LTE variant of some makers."""
    parts = fields.parameters(answer.first) if answer.lines else []
    rssi = fields.number(parts[0]) if parts else None
    if rssi is None or rssi in (99, 199) or rssi > 199:
        return None
    if rssi >= 100:
        return rssi - 100 - 116
    return -113 + 2 * rssi if rssi <= 31 else None


def extended_signal_dbm(answer: Answer) -> int | None:
    """Return the signal of +CESQ (TS 27.007 §8.69): RSRP of LTE, else RSCP, else RXLEV; 255 and 99 are unknown."""
    values = [fields.number(part) for part in fields.parameters(answer.first)] if answer.lines else []
    if len(values) < 6:
        return None
    rxlev, rscp, rsrp = values[0], values[2], values[5]
    if rsrp is not None and rsrp <= 97:
        return rsrp - 141
    if rscp is not None and rscp <= 96:
        return rscp - 121
    return rxlev - 111 if rxlev is not None and rxlev <= 63 else None


def operator(answer: Answer) -> str | None:
    """Return the name or PLMN of +COPS: mode[,format,name[,act]]."""
    parts = fields.parameters(answer.first) if answer.lines else []
    return (decode_ucs2_hex(parts[2]) or None) if len(parts) > 2 else None


@dataclass(frozen=True, slots=True)
class Stored:
    """One message as it lies in a memory. `pdu` is empty where the slot is, or where the PDU went astray.

    `stat` is 0 or 1 for what arrived, 2 or 3 for what somebody stored to be sent (TS 27.005 §3.1).
    """

    index: int
    pdu: str
    stat: int | None = None

    @property
    def is_ours_to_take(self) -> bool:
        return bool(self.pdu) and self.stat not in (2, 3)


def listed(answer: Answer) -> tuple[Stored, ...]:
    """Return the messages of +CMGL: index,stat,[alpha],octets and the PDU; entries that lost their PDU have none."""
    found = []
    for line in answer.lines:
        parts = fields.parameters(line.text)
        index = fields.number(parts[0]) if parts else None
        if index is not None:
            stat = fields.number(parts[1]) if len(parts) > 1 else None
            found.append(Stored(index, line.payload or "", stat))
    return tuple(found)


def message_read(answer: Answer, index: int) -> Stored:
    """Return the message of +CMGR; an empty slot is a bare OK, `+CMGR: 0,,0` or an error."""
    if not answer.is_ok or not answer.lines:
        return Stored(index, "")
    parts = fields.parameters(answer.first)
    return Stored(index, answer.lines[0].payload or "", fields.number(parts[0]) if parts else None)


@dataclass(frozen=True, slots=True)
class Indication:
    """Where something arrived: +CMTI: "SM",3. `memory` is empty and `index` -1 where the modem stored nothing."""

    memory: str
    index: int


def indication(line: Line) -> Indication | None:
    """Return what +CMTI or +CDSI says, None where it is garbled."""
    parts = fields.parameters(line.text)
    if len(parts) < 2:
        return None
    if parts[1].startswith("-"):
        return Indication(parts[0].upper(), -1)
    index = fields.number(parts[1])
    return None if index is None else Indication(parts[0].upper(), index)


def message_reference(answer: Answer) -> int | None:
    """Return TP-MR of +CMGS: mr[,ackpdu], None where the modem gave none."""
    parts = fields.parameters(answer.first) if answer.lines else []
    number = fields.number(parts[0]) if parts else None
    return number if number is not None and number <= 0xFF else None


def _after_prefix(line: Line) -> str:
    return fields.value(line.text) if line.name else line.text
