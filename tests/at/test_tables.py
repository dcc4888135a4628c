"""Answers in every shape that was seen, and the causes with their classes (reference: TS 27.005, 27.007, 24.011)."""

from __future__ import annotations

import pytest

from drivers.api import NotReady, OutcomeUnknown, Refused, Registration, RouteRefused, TryLater
from drivers.at import causes, commands, fields, profiles, routing, session
from drivers.at.commands import Routing, Usage
from drivers.at.parser import Kind, Line, Parser
from drivers.at.request import Answer, Request

OK = Line(Kind.FINAL, "OK", "OK")


def answer(request: Request, *lines: str) -> Answer:
    """What the parser makes of an answer to the request."""
    parser = Parser()
    parser.expect(request.expectation)
    found = parser.feed("".join(f"\r\n{line}\r\n" for line in (*lines, "OK")).encode())
    return Answer(tuple(line for line in found if line.kind is Kind.INFO), found[-1])


@pytest.mark.parametrize(
    "line, expected",
    [
        ('+CPMS: ("ME","SM"),("ME","SM"),("SM")', ({"ME", "SM"}, {"ME", "SM"}, {"SM"})),
        ('+CPMS: ("SM","MT","ME","SR"),("SM"),("SM")', ({"SM", "MT", "ME", "SR"}, {"SM"}, {"SM"})),
        ('+CPMS: "SM","SM","SM"', ({"SM"}, {"SM"}, {"SM"})),
        ('+CPMS: (("SM","BM","SR"),("SM"))', ({"SM", "BM", "SR"}, {"SM"})),
        ("+CPMS: ", ()),
        ("+CPMS: (),(),()", ()),
    ],
)
def test_storages_in_every_shape(line: str, expected: tuple[set[str], ...]) -> None:
    assert commands.storages(answer(commands.STORAGES_TEST, line)) == expected


def test_usages_with_and_without_names() -> None:
    expected = (Usage(1, 20), Usage(2, 30), Usage(3, 40))
    assert commands.usages(answer(commands.STORAGES_QUERY, "+CPMS: 1,20,2,30,3,40")) == expected
    named = answer(commands.STORAGES_QUERY, '+CPMS: "ME",1,20,"SM",2,30,"SM",3,40')
    assert commands.usages(named) == expected and commands.current_storages(named) == ("ME", "SM", "SM")


@pytest.mark.parametrize(
    "line, expected",
    [
        ('+CSCA: "+447785016005",145', "+447785016005"),
        ('+CSCA: "447785016005",145', "+447785016005"),
        ('+CSCA: "+447785016005"', "+447785016005"),
        ('+CSCA: "002B003400340037003700380035003000310036003000300035",145', "+447785016005"),
        ('+CSCA: "",129', None),
        ("+CSCA: ", None),
    ],
)
def test_smsc_in_every_shape(line: str, expected: str | None) -> None:
    assert commands.smsc(answer(commands.SMSC_QUERY, line)) == expected


@pytest.mark.parametrize(
    "command, line, expected",
    [
        ("AT+CCID", "+CCID: 89490200001234567890", "89490200001234567890"),
        ("AT+CCID", '+CCID: "8949020000123456789F"', "8949020000123456789"),
        ("AT+CCID", "89490200001234567890", "89490200001234567890"),
        ("AT+CICCID", "+ICCID: 89490200001234567890", "89490200001234567890"),
        ("AT^ICCID?", "^ICCID: 98942000002143658709", "89490200001234567890"),
        ("AT+CCID", "+CCID: nothing", None),
    ],
)
def test_iccid_in_every_shape(command: str, line: str, expected: str | None) -> None:
    assert commands.iccid_digits(answer(commands.iccid(command), line)) == expected


@pytest.mark.parametrize(
    "request_, line, expected",
    [
        (commands.MANUFACTURER, "Quectel", "Quectel"),
        (commands.MANUFACTURER, '+CGMI: "huawei"', "huawei"),
        (commands.MODEL, "SIMCOM_SIM800L", "SIMCOM_SIM800L"),
    ],
)
def test_identity_with_and_without_prefix(request_: Request, line: str, expected: str) -> None:
    assert commands.text(answer(request_, line)) == expected


@pytest.mark.parametrize(
    "command, line, expected",
    [
        ("AT+CPINR", "+CPINR: SIM PIN,3,3", 3),
        ("AT+QPINC", '+QPINC: "SC",2,10', 2),
        ("AT+SPIC", "+SPIC: 1,10,3,10", 1),
        ("AT#PCT", "#PCT: 3", 3),
        ("AT^CPIN?", "^CPIN: SIM PIN,3,10,2,10,3", 2),
        ("AT+CPINR", "+CPINR: SIM PUK,10,10", None),
    ],
)
def test_pin_counters_in_every_shape(command: str, line: str, expected: int | None) -> None:
    assert commands.pin_tries(answer(commands.pin_counter(command), line)) == expected


@pytest.mark.parametrize(
    "line, expected",
    [
        ("+CREG: 0,1", Registration.HOME),
        ('+CREG: 2,5,"5E25","605F"', Registration.ROAMING),
        ("+CREG: 2, 6, 5E25, 605F, 7", Registration.HOME),
        ("+CREG: 0,3", Registration.DENIED),
        ("+CREG: 0,8", Registration.DENIED),
        ("+CREG: 0,2", Registration.SEARCHING),
    ],
)
def test_registration_answers(line: str, expected: Registration) -> None:
    found = answer(commands.registration_query("CREG"), line)
    assert commands.registration(found.lines[0], is_answer=True) is expected


@pytest.mark.parametrize(
    "line, expected",
    [("+CSQ: 20,99", -73), ("+CSQ: 0,0", -113), ("+CSQ: 31,0", -51), ("+CSQ: 99,99", None), ("+CSQ: 150,99", -66)],
)
def test_signal_in_dbm(line: str, expected: int | None) -> None:
    assert commands.signal_dbm(answer(commands.SIGNAL, line)) == expected


@pytest.mark.parametrize(
    "line, expected",
    [
        ('+CMTI: "SM",3', ("SM", 3)),
        ("+CMTI: SM, 3", ("SM", 3)),
        ('+CMTI: "SM",5,"MMS PUSH"', ("SM", 5)),
        ("+CMTI: ,-1", ("", -1)),
        ('+CDSI: "SR",8', ("SR", 8)),
        ("+CMTI: garbled", None),
    ],
)
def test_indications_in_every_shape(line: str, expected: tuple[str, int] | None) -> None:
    found = commands.indication(Parser().feed(f"{line}\r\n".encode())[0])
    assert (None if found is None else (found.memory, found.index)) == expected


@pytest.mark.parametrize("lines", [(), ("+CMGR: 0,,0",)])
def test_an_empty_slot_has_no_pdu(lines: tuple[str, ...]) -> None:
    assert not commands.message_read(answer(commands.read(1), *lines), 1).is_ours_to_take


def test_what_somebody_stored_to_send_is_not_ours() -> None:
    found = commands.listed(answer(commands.LIST_ALL, "+CMGL: 1,2,,9", "0011", "+CMGL: 2,1,,9", "0022"))
    assert [stored.index for stored in found if stored.is_ours_to_take] == [2]


@pytest.mark.parametrize(
    "group, expected", [("(0-2)", {0, 1, 2}), ("(0,2-3)", {0, 2, 3}), ("1", {1}), ("()", set()), ("(x)", set())]
)
def test_ranges(group: str, expected: set[int]) -> None:
    assert fields.numbers(group) == expected


@pytest.mark.parametrize(
    "advertised, first",
    [
        ("+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)", Routing(2, 1, 0, 2, 0)),
        ("+CNMI: (0-3),(0,1),(0,2,3),(0,2),(1)", Routing(2, 1, 0, 2, 1)),
        ("+CNMI: (0,1),(0,1),(0),(0,1),(0)", Routing(1, 1, 0, 1, 0)),
        ("+CNMI: (2),(0-1,3),(0,2),(0-1),(0)", Routing(2, 1, 0, 1, 0)),
        ("+CNMI: (3),(1),(0),(1),(0)", Routing(3, 1, 0, 1, 0)),
        ("+CNMI: (0-2),(0,2),(0),(0,1),(0)", Routing(2, 2, 0, 1, 0)),
        ("+CNMI: ", Routing(2, 1, 0, 2, 0)),
    ],
)
def test_routing_starts_with_what_is_advertised(advertised: str, first: Routing) -> None:
    choices = commands.routing_choices(answer(commands.ROUTING_TEST, advertised))
    found = list(routing.candidates(choices, has_storage=True, store_reports=True))
    assert found[0] == first and len(found) == len(set(found))


def test_routing_without_storage_is_direct() -> None:
    assert next(routing.candidates((), has_storage=False, store_reports=False)) == Routing(2, 2, 0, 1, 0)


@pytest.mark.parametrize(
    "final, handed_over, expected",
    [
        ("ERROR", False, TryLater),
        ("ERROR", True, OutcomeUnknown),
        ("+CMS ERROR: 1", True, Refused),
        ("+CMS ERROR: 8", True, RouteRefused),
        ("+CMS ERROR: 38", True, TryLater),
        ("+CMS ERROR: 197", True, None),
        ("+CMS ERROR: 304", True, Refused),
        ("+CMS ERROR: 310", True, NotReady),
        ("+CMS ERROR: 330", True, RouteRefused),
        ("+CMS ERROR: 331", True, NotReady),
        ("+CMS ERROR: 332", True, OutcomeUnknown),
        ("+CMS ERROR: 332", False, TryLater),
        ("+CMS ERROR: 500", True, OutcomeUnknown),
        ("+CMS ERROR: 500", False, TryLater),
        ("+CMS ERROR: 2162", True, TryLater),
        ("+CMS ERROR:512", True, TryLater),
        ("+CMS ERROR: no network service", True, NotReady),
        ("+CME ERROR: SIM busy", True, TryLater),
        ("+CME ERROR: 515", True, TryLater),
        ("+CME ERROR: 13", True, NotReady),
        ("+CMS ERROR: something new", True, OutcomeUnknown),
        ("COMMAND NOT SUPPORT", True, OutcomeUnknown),
    ],
)
def test_causes_become_what_to_do(final: str, handed_over: bool, expected: type | None) -> None:
    found = causes.error(final, handed_over=handed_over)
    assert (type(found) if found is not None else None) is expected
    if found is not None:
        assert str(found).endswith(".") and found.code


@pytest.mark.parametrize("maker, expected", [("simcom800", Refused), ("cinterion", TryLater), ("", TryLater)])
def test_codes_of_makers_are_told_apart(maker: str, expected: type) -> None:
    assert type(causes.error("+CMS ERROR: 514", handed_over=True, maker=maker)) is expected


def test_every_cause_that_is_tried_again_says_when() -> None:
    tables = [causes.CMS, causes.CME, *causes.VENDOR_CMS.values(), *causes.VENDOR_CME.values()]
    for table in tables:
        for number, cause in table.items():
            waits = cause.kind in (causes.CauseClass.TRANSIENT, causes.CauseClass.STORAGE)
            assert bool(cause.delays_s) is waits, number
            assert cause.sentence[0].isupper() and cause.sentence.endswith(".")


@pytest.mark.parametrize(
    "maker, model, name",
    [
        ("huawei", "E173", "huawei"), ("QUECTEL INCORPORATED", "EC25", "quectel"), (None, None, "generic"),
        ("Acme", "X", "generic"), ("SIMCOM_Ltd", "SIMCOM_SIM800L", "simcom800"),
        ("SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H", "simcom7600"), ("SIMCOM INCORPORATED", "A7670E-FASE", "simcoma76"),
        ("SIMCOM INCORPORATED", "SIMCOM_SIM8200EA-M2", "simcom7600"), ("SIMCOM_Ltd", "SIMCOM_SIM868", "simcom800"),
        ("u-blox", "LISA-U200", "ublox"), ("Telit", "LE910", "telit"), ("Sierra Wireless", "MC7304", "sierra"),
        (" WAVECOM MODEM", "MULTIBAND", "wavecom"), ("Cinterion", "MC75i", "cinterion"),
        ("SIEMENS", "TC35i", "cinterion"),
        ("ZTE CORPORATION", "MF190", "zte"), ("Fibocom Wireless Inc.", "L850-GL", "fibocom"),
    ],
)  # fmt: skip
def test_profiles_are_chosen_by_maker(maker: str | None, model: str | None, name: str) -> None:
    assert profiles.choose(maker, model).name == name


@pytest.mark.parametrize(
    "command, is_refused",
    [
        ("AT+CSQ", False), ("ATI", False), ("AT+COPS?", False), ("AT+CMGL=4", False), ("AT+CFUN=1,1", False),
        ("AT+CMGS=10", True), ("AT+CMGF=0;+CMGS=10", True), ("at+cmgw=1", True), ("ATE1", True), ("ATV0", True),
        ("AT+CMUX=0", True), ("ATD123;", True), ("AT+CPIN=\"1234\"", True), ("AT+CPIN?", False), ("ATZ", True),
        ("AT&F", True), ("hello", True), ("AT\x1a", True), ("AT+IPR=9600", True), ("AT+CMSS=1", True), ("ATH", False),
    ],
)  # fmt: skip
def test_the_terminal_refuses_what_would_break_the_session(command: str, is_refused: bool) -> None:
    assert (session.refuse_command(command) is not None) is is_refused


def _codes(text: str) -> set[int]:
    found: set[int] = set()
    for word in text.split():
        low, _, high = word.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found


@pytest.mark.parametrize(
    "table, codes",
    [
        (
            causes.CMS,
            "1 8 10 17 21 22 27-30 38 41 42 47 50 69 81 95-99 111 127-130 143-145 159-161 175 176 192-199 208-213 "
            "224-226 255 300-305 310-318 320-322 330-332 340 341 500 604 615 616 2162",
        ),
        (causes.CME, "0 3-5 10-18 20-27 30-32 100 103 106 107 111-113 132-134 148 258 515"),
        (causes.VENDOR_CME["simcom800"], "600-614 765-772 791-797"),
        (causes.VENDOR_CMS["simcom800"], "323-325 512-515 517 519-522 528-532"),
        (causes.VENDOR_CMS["cinterion"], "512-515 517 521 532 535 549"),
        (causes.VENDOR_CMS["sierra"], "512-514"),
        (causes.VENDOR_CMS["quectel"], "512"),
    ],
    ids=["cms", "cme", "simcom-cme", "simcom", "cinterion", "sierra", "quectel"],
)
def test_every_known_code_has_a_row_of_its_own(table: dict[int, causes.Cause], codes: str) -> None:
    assert _codes(codes) <= set(table)
