"""The parser: each line's class, payloads, prompts, and the same result however the bytes were cut."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.at.parser import MAX_LINE_OCTETS, Expectation, Kind, Line, Parser

CSQ = Expectation("AT+CSQ", ("+CSQ",))
CREG = Expectation("AT+CREG?", ("+CREG",))
CMGL = Expectation("AT+CMGL=4", ("+CMGL",), payload=True)
CMGS = Expectation("AT+CMGS=20", ("+CMGS",))
CMGR = Expectation("AT+CMGR=3", ("+CMGR",), payload=True)
CPMS = Expectation('AT+CPMS="SM","SM","SM"', ("+CPMS",))
CNMI = Expectation("AT+CNMI=?", ("+CNMI",))
CUSD = Expectation('AT+CUSD=1,"*100#",15', ("+CUSD",))
CGMM = Expectation("AT+CGMM", ("+CGMM",), bare=True)
NONE = Expectation("")
PDU = "07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07"


def parse(data: bytes, expectation: Expectation = NONE, size: int = 1 << 20) -> list[Line]:
    parser = Parser()
    parser.expect(expectation)
    found: list[Line] = []
    for start in range(0, len(data), size):
        found += parser.feed(data[start : start + size])
    return found


def kinds(lines: list[Line]) -> list[tuple[str, str]]:
    return [(line.kind.name, line.text) for line in lines]


@pytest.mark.parametrize(
    "final",
    [
        "OK", "ERROR", "+CME ERROR: 14", "+CME ERROR: SIM busy", "+CMS ERROR: 500", "+CMS ERROR:500",
        "+CMS ERROR : 500", "COMMAND NOT SUPPORT", "TOO MANY PARAMETERS", "MODEM ERROR: 3", "NA", "ok",
    ],
)  # fmt: skip
def test_final_results_end_a_command(final: str) -> None:
    lines = parse(f"\r\n{final}\r\n".encode(), CSQ)
    assert [line.kind for line in lines] == [Kind.FINAL]


@pytest.mark.parametrize("final", ["NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "CONNECT 9600"])
def test_results_of_calls_end_call_commands_only(final: str) -> None:
    call = Expectation("ATD123;", call=True)
    assert parse(f"{final}\r\n".encode(), call)[0].kind is Kind.FINAL
    assert parse(f"{final}\r\n".encode(), CSQ)[0].kind is not Kind.FINAL


@pytest.mark.parametrize("text", ["OKAY", "MY OK", "ERRORS", "+CMS ERRORS: 1", "SOMETHING ELSE", "17"])
def test_unknown_lines_never_end_a_command(text: str) -> None:
    assert parse(f"{text}\r\n".encode(), CSQ) == [Line(Kind.STRAY, text, parse(text.encode() + b"\r")[0].name)]


@pytest.mark.parametrize(
    "line, expected",
    [
        ("+CREG: 0,1", Kind.INFO),
        ('+CREG: 2,1,"5E25","605F"', Kind.INFO),
        ("+CREG: 2, 5, 5E25, 605F", Kind.INFO),
        ("+CREG: 1", Kind.URC),
        ('+CREG: 1,"5E25","605F"', Kind.URC),
        ("+CREG: 1,5E25,605F", Kind.URC),
        ("+CGREG: 0,1", Kind.URC),
    ],
)
def test_registration_is_told_apart_by_command_and_fields(line: str, expected: Kind) -> None:
    assert parse(f"\r\n{line}\r\n".encode(), CREG)[0].kind is expected
    assert parse(f"\r\n{line}\r\n".encode())[0].kind is Kind.URC


@pytest.mark.parametrize(
    "data", [b"\r\n> ", b"\r\n>\r\n", b">", b"AT+CMGS=20\r\r\n> ", b'\r\n+CMTI: "SM",1\r\n\r\n> ', b"\r\n>  \r\n"]
)
def test_every_form_of_the_prompt(data: bytes) -> None:
    assert [line.kind for line in parse(data, CMGS) if line.kind is not Kind.URC] == [Kind.PROMPT]


def test_echo_of_command_and_pdu_is_dropped() -> None:
    parser = Parser()
    parser.expect(CMGS)
    lines = parser.feed(b"AT+CMGS=20\r\r\n> ")
    parser.expect_echo(PDU)
    lines += parser.feed(PDU.encode() + b"\x1a\r\n+CMGS: 5\r\n\r\nOK\r\n")
    assert kinds(lines) == [("PROMPT", ">"), ("INFO", "+CMGS: 5"), ("FINAL", "OK")]


def test_direct_delivery_takes_the_next_line_even_inside_a_listing() -> None:
    data = f"+CMGL: 1,1,,23\r\n+CDS: 25\r\nAABB\r\n{PDU}\r\n+CMGL: 2,1,,2\r\n0011\r\nOK\r\n".encode()
    lines = parse(data, CMGL)
    assert [(line.name, line.payload) for line in lines] == [
        ("+CDS", "AABB"), ("+CMGL", PDU), ("+CMGL", "0011"), ("OK", None),
    ]  # fmt: skip


def test_a_urc_between_header_and_pdu_does_not_take_its_place() -> None:
    data = f"+CMT: ,23\r\n^RSSI: 17\r\n^UNKNOWN: 3\r\n{PDU}\r\n".encode()
    assert [(line.name, line.payload) for line in parse(data)] == [
        ("^RSSI", None), ("^UNKNOWN", None), ("+CMT", PDU),
    ]  # fmt: skip


def test_a_header_without_pdu_ends_with_the_answer() -> None:
    lines = parse(b"+CMGL: 1,1,,23\r\n+CMGL: 2,1,,23\r\n\r\nOK\r\n", CMGL)
    assert [(line.kind.name, line.payload) for line in lines] == [("INFO", None), ("INFO", None), ("FINAL", None)]


def test_junk_at_the_start_of_a_line_is_stripped() -> None:
    assert kinds(parse(b"\x00\xff\xfe\x00OK\x00\r\n", CSQ)) == [("FINAL", "OK")]


def test_bare_answers_are_taken_by_commands_that_have_them() -> None:
    assert kinds(parse(b"E173\r\n^RSSI: 3\r\nOK\r\n", CGMM)) == [
        ("INFO", "E173"), ("URC", "^RSSI: 3"), ("FINAL", "OK"),
    ]  # fmt: skip


def test_what_follows_a_final_result_belongs_to_nobody() -> None:
    assert [line.kind for line in parse(b"OK\r\n+CREG: 0,1\r\nE173\r\n", CREG)] == [Kind.FINAL, Kind.URC, Kind.STRAY]


def test_a_late_submit_answer_does_not_end_another_command() -> None:
    lines = parse(b"+CMGS: 7\r\n\r\nOK\r\n+CSQ: 20,99\r\n\r\nOK\r\n", CSQ)
    assert [line.kind for line in lines] == [Kind.STRAY, Kind.STRAY, Kind.INFO, Kind.FINAL]


def test_an_endless_line_is_cut_and_forgotten() -> None:
    for size in (1, 64, 1 << 20):
        lines = parse(b"A" * 10 * MAX_LINE_OCTETS + b"\r\nOK\r\n", CSQ, size)
        assert [line.kind for line in lines] == [Kind.STRAY, Kind.FINAL]
    parser = Parser()
    parser.feed(b"A" * 1_000_000)
    assert len(parser._buffer) <= MAX_LINE_OCTETS


DIALOGUES = [
    (CSQ, b"AT+CSQ\r\r\n+CSQ: 20,99\r\n\r\nOK\r\n"),
    (CREG, b'\r\n+CREG: 2,1,"5E25","605F"\r\n\r\nOK\r\n'),
    (CMGL, f"\r\n+CMGL: 1,1,,30\r\n{PDU}\r\n+CMGL: 2,0,,30\r\n{PDU}\r\n\r\nOK\r\n".encode()),
    (CMGS, b"AT+CMGS=20\r\r\n> "),
    (CMGS, b"\r\n>\r\n\r\n+CMGS: 5\r\n\r\nOK\r\n"),
    (CMGS, b"\r\n+CMS ERROR: 38\r\n"),
    (CMGR, f"AT+CMGR=3\r\r\n+CMGR: 0,,30\r\n{PDU}\r\n\r\nOK\r\n".encode()),
    (CGMM, b"\r\nE173\r\n\r\nOK\r\n"),
    (CPMS, b'\r\n+CPMS: "SM",3,20,"SM",3,20,"SM",3,20\r\n\r\nOK\r\n'),
    (CNMI, b"\r\n+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)\r\n\r\nOK\r\n"),
    (CUSD, b"\r\nOK\r\n"),
    (CSQ, b"\r\n+CME ERROR: SIM busy\r\n"),
]
"""As modems answer, each command by itself."""

RECORDED = (
    # A Huawei stick from the first AT to a sent part and a stored report, noise and all.
    b"AT\r\r\nOK\r\n\r\n^RSSI:17\r\nATE0\r\r\nOK\r\n\r\n^BOOT:12345678,0,0,0,6\r\n\r\nhuawei\r\n\r\nOK\r\n"
    b'\r\n+CREG: 2,1,"5E25","605F"\r\n\r\nOK\r\n\r\n+CPMS: "SM",1,20,"SM",1,20,"SM",1,20\r\n\r\nOK\r\n'
    + f"\r\n+CMGL: 1,1,,30\r\n{PDU}\r\n\r\nOK\r\n".encode()
    + b"\r\n> \r\n^DSFLOWRPT:0,0,0,0,0,0,0\r\n\r\n+CMGS: 5\r\n\r\nOK\r\n"
    + f'\r\n+CDSI: "SM",3\r\n\r\n+CMGR: 0,,25\r\n{PDU}\r\n\r\nOK\r\n\r\nRING\r\n\r\n+CLIP: "+49151",145\r\n'.encode()
)
ANY = Expectation("AT", ("+CREG", "+CPMS", "+CMGL", "+CMGS", "+CMGR"), payload=True)
URCS = [b'\r\n+CMTI: "SM",3\r\n', f"\r\n+CDS: 25\r\n{PDU}\r\n".encode(), b"\r\n^RSSI: 17\r\n", b"\r\n+CREG: 1\r\n"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("expectation, data", DIALOGUES)
def test_chunks_do_not_matter(expectation: Expectation, data: bytes, size: int) -> None:
    assert parse(data, expectation, size) == parse(data, expectation)


@pytest.mark.parametrize("urc", URCS)
@pytest.mark.parametrize("expectation, data", DIALOGUES)
def test_a_urc_may_stand_at_every_line_boundary(expectation: Expectation, data: bytes, urc: bytes) -> None:
    expected = parse(data, expectation)
    boundaries = [at + 2 for at in range(len(data)) if data[at : at + 2] == b"\r\n"]
    for at in (0, *boundaries):
        for size in (1, 7, 1 << 20):
            lines = parse(data[:at] + urc + data[at:], expectation, size)
            assert sum(line.kind is Kind.URC for line in lines) == 1
            assert [line for line in lines if line.kind is not Kind.URC] == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("expectation", [NONE, ANY, CMGL, CGMM, CREG])
def test_chunks_of_a_whole_session_do_not_matter(expectation: Expectation, size: int) -> None:
    assert parse(RECORDED, expectation, size) == parse(RECORDED, expectation)


@pytest.mark.parametrize("urc", [*URCS, b"\r\nRDY\r\n", b'\r\n+CUSD: 0,"4F4B",15\r\n'])
@pytest.mark.parametrize("expectation", [NONE, ANY])
def test_a_urc_may_stand_at_every_line_boundary_of_a_session(expectation: Expectation, urc: bytes) -> None:
    expected = parse(RECORDED, expectation)
    (added,) = parse(urc, expectation)
    for at in (0, *(at + 2 for at in range(len(RECORDED)) if RECORDED[at : at + 2] == b"\r\n")):
        for size in (1, 3, 1 << 20):
            lines = parse(RECORDED[:at] + urc + RECORDED[at:], expectation, size)
            lines.remove(added)
            assert lines == expected


PIECES = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b">", b" ", b"\x00", b"\xff", b"\x1a", b"OK", b"ERROR", b"+CMS ERROR: 1", b"+CMGL: 1,1,,9",
     b"+CMT: ,9", b"+CDS: 9", b'+CMTI: "SM",1', b"AABB", b"+CMGS: 3", b"AT+CMGL=4", b"+CREG: 0,1", b"text", b"A" * 1500]
)  # fmt: skip
NOISE = st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=40).map(b"".join)


@given(NOISE, st.lists(st.integers(1, 50), min_size=1, max_size=20), st.sampled_from([NONE, CSQ, CMGL, CMGS, CGMM]))
def test_any_bytes_in_any_chunks_give_the_same(data: bytes, sizes: list[int], expectation: Expectation) -> None:
    parser = Parser()
    parser.expect(expectation)
    found: list[Line] = []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found += parser.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert found == parse(data, expectation)
    assert len(parser._buffer) <= MAX_LINE_OCTETS


def test_parsing_is_never_the_bottleneck() -> None:
    dialogue = b"\r\n> " + b"\r\n+CMGS: 5\r\n\r\nOK\r\n" + b'\r\n+CDSI: "SR",3\r\n'
    parser = Parser()
    started = time.process_time()
    for _ in range(3000):
        parser.expect(CMGS)
        parser.feed(dialogue)
    assert time.process_time() - started < 1.0
