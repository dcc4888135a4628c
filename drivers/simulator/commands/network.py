"""Registration, operator, signal, USSD and calls, as far as an SMS client asks for them."""

from collections.abc import Mapping

from drivers.simulator import alphabet
from drivers.simulator.command_line import Command, Operation
from drivers.simulator.commands.handler import Handler
from drivers.simulator.device import Device, registration_text
from drivers.simulator.personality import UssdDialect
from drivers.simulator.reply import ERROR, OK, Reply, cme

_CSQ_UNKNOWN = 99


def _registration(device: Device, command: Command) -> Reply:
    reports = device.settings.registration_reports
    match command.operation:
        case Operation.READ:
            level = reports[command.name]
            state = registration_text(device.registration(command.name), level)
            return Reply((f"{command.name}: {level},{state}",))
        case Operation.TEST:
            return Reply((f"{command.name}: (0-2)",))
        case Operation.SET if command.arguments in ("0", "1", "2"):
            reports[command.name] = int(command.arguments)
            device.setting(command.name, reports[command.name])
            device.announce()
            return OK
        case _:
            return cme(50)


def _operator(device: Device, command: Command) -> Reply:
    if command.operation is Operation.TEST:
        return Reply((f'+COPS: (2,"{device.radio.operator}","SIM","{device.radio.operator_code}"),,(0-4),(0-2)',))
    if command.operation is Operation.READ:
        if not device.is_registered:
            return Reply(("+COPS: 0",))
        form = device.settings.operator_format
        name = device.radio.operator_code if form == 2 else device.shown(device.radio.operator)
        return Reply((f'+COPS: 0,{form},"{name}",7',))
    fields = command.fields
    if command.operation is not Operation.SET or not fields:
        return ERROR
    if fields[0] == "3" and len(fields) > 1 and fields[1] in ("0", "1", "2"):
        device.settings.operator_format = int(fields[1])
    return OK


def _signal(device: Device, command: Command) -> Reply:
    if command.operation is Operation.TEST:
        return Reply(("+CSQ: (0-31,99),(0-7,99)",))
    rssi = device.radio.rssi if device.is_registered else _CSQ_UNKNOWN
    return Reply((f"+CSQ: {rssi},99",))


def _extended_signal(device: Device, command: Command) -> Reply:
    if command.operation is Operation.TEST:
        return Reply(("+CESQ: (0-63,99),(0-7,99),(0-96,255),(0-49,255),(0-34,255),(0-97,255)",))
    # -113 + 2 * rssi dBm in the scale of <rxlev>, which starts at -111 dBm (27.007 §8.69).
    level = 2 * device.radio.rssi if device.is_registered and device.radio.rssi <= 31 else _CSQ_UNKNOWN
    return Reply((f"+CESQ: {level},99,255,255,255,255",))


def _ussd(device: Device, command: Command) -> Reply:
    match command.operation:
        case Operation.READ:
            return Reply((f"+CUSD: {device.settings.ussd_reports}",))
        case Operation.TEST:
            return Reply(("+CUSD: (0-2)",))
        case Operation.SET:
            pass
        case Operation.EXECUTE:
            return ERROR
    return device.sim_missing(is_sms=False) or _ussd_request(device, command)


def _ussd_request(device: Device, command: Command) -> Reply:
    fields = command.fields
    if not fields or fields[0] not in ("0", "1", "2"):
        return cme(50)
    if fields[0] != "2":
        device.settings.ussd_reports = int(fields[0])
    if len(fields) > 1:
        if not device.is_registered:
            return cme(30)
        return _ussd_answer(device, fields[1])
    return OK


def _ussd_answer(device: Device, request: str) -> Reply:
    dialect = device.personality.ussd
    text, shown = device.understood(request), device.shown(device.ussd)
    if dialect is UssdDialect.UCS2:
        shown = device.ussd.encode("utf-16-be").hex().upper()
    elif dialect is UssdDialect.PACKED:
        try:
            octets = bytes.fromhex(request)
        except ValueError:
            return ERROR
        text = alphabet.decode(alphabet.unpack(octets, len(octets) * 8 // 7)).rstrip("@\r")
        shown = alphabet.pack(alphabet.encode(device.ussd)).hex().upper()
    device.log.write(device.number, "ussd", request=text)
    line = f'+CUSD: {device.ussd_mode},"{shown}",15' if device.ussd_mode in (0, 1) else f"+CUSD: {device.ussd_mode}"
    if device.personality.is_ussd_before_ok:
        device.surroundings.urc(line)
    else:
        device.surroundings.answer_ussd(line)
    return OK


def _caller_identity(device: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply((f"+CLIP: {device.settings.caller_identity},1",))
    if command.operation is Operation.TEST:
        return Reply(("+CLIP: (0,1)",))
    device.settings.caller_identity = int(command.arguments == "1")
    return OK


def _extended_ring(device: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply((f"+CRC: {device.settings.extended_ring}",))
    if command.operation is Operation.TEST:
        return Reply(("+CRC: (0,1)",))
    device.settings.extended_ring = int(command.arguments == "1")
    return OK


def _battery(_: Device, command: Command) -> Reply:
    return Reply(("+CBC: (0-3),(0-100)" if command.operation is Operation.TEST else "+CBC: 0,100",))


def _character_set(device: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply((f'+CSCS: "{device.settings.character_set}"',))
    if command.operation is Operation.TEST:
        return Reply(('+CSCS: ("IRA","GSM","UCS2")',))
    if not command.fields or command.fields[0] not in ("IRA", "GSM", "UCS2"):
        return cme(50)
    device.settings.character_set = command.fields[0]
    device.setting("+CSCS", command.fields[0])
    return OK


def _phone_book_memory(_: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply(('+CPBS: "SM",0,250',))
    return Reply(('+CPBS: ("SM")',)) if command.operation is Operation.TEST else OK


def _phone_book(_: Device, command: Command) -> Reply:
    return Reply(("+CPBR: (1-250),24,16",)) if command.operation is Operation.TEST else OK


TABLE: Mapping[str, Handler] = {
    "+CREG": _registration,
    "+CGREG": _registration,
    "+CEREG": _registration,
    "+COPS": _operator,
    "+CSQ": _signal,
    "+CESQ": _extended_signal,
    "+CUSD": _ussd,
    "+CLIP": _caller_identity,
    "+CRC": _extended_ring,
    "+CBC": _battery,
    "+CSCS": _character_set,
    "+CPBS": _phone_book_memory,
    "+CPBR": _phone_book,
}
