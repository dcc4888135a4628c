"""Submits: what goes on the air, what is refused, and what a client must not do meanwhile."""

from __future__ import annotations

import itertools
import time

import pytest

from tests.simulator.conftest import Open, Start
from tests.simulator.line import PLAIN, RECIPIENT, WITH_REPORT, tpdu_octets

# Two parts of one text with an 8-bit reference, UCS2; laid out by hand.
PARTS = [f"0041000491214300080A05000342020{number}00440061" for number in (1, 2)]


def test_submit_is_on_the_air_once_and_exactly(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    assert line.submit(WITH_REPORT) == ["+CMGS: 0", "OK"]
    (air,) = simulator.events("air")
    assert air["to"] == RECIPIENT and air["text"] == "hellohello"
    assert (air["mr"], air["srr"], air["total"], air["seq"]) == (0, True, 1, 1)
    assert air["tpdu"] == WITH_REPORT[2:]
    order = [event["event"] for event in simulator.events("submit_begin", "pdu", "air", "answer")]
    assert order == ["submit_begin", "pdu", "air", "answer"]
    assert len({event["submit"] for event in simulator.events("submit_begin", "pdu", "air", "answer")}) == 1


def test_parts_are_logged_with_reference_and_place(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    for part in PARTS:
        assert line.submit(part)[-1] == "OK"
    assert [(e["ref"], e["total"], e["seq"], e["text"]) for e in simulator.events("air")] == [
        (0x42, 2, 1, "Da"),
        (0x42, 2, 2, "Da"),
    ]


def test_reference_wraps_and_belongs_to_the_sim(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.request("sim", next_mr=254)
    references = [line.submit(PLAIN)[0] for _ in range(3)]
    assert references == ["+CMGS: 254", "+CMGS: 255", "+CMGS: 0"]
    simulator.control.request("reboot")
    line.expect(rb"SMS DONE\r\n")
    line.command("ATE0")
    assert line.submit(PLAIN)[0] == "+CMGS: 1"


def test_air_and_answer_come_after_the_radio_time(start: Start, open_line: Open) -> None:
    simulator = start("--radio-time", "0.2")
    line = open_line(simulator)
    begin = time.monotonic()
    assert line.submit(PLAIN)[-1] == "OK"
    assert time.monotonic() - begin >= 0.2
    ((pdu,), (air,)) = simulator.events("pdu"), simulator.events("air")
    assert 0.2 <= air["mono_s"] - pdu["mono_s"] < 1.0


REFUSED_BEFORE_THE_PROMPT = [
    pytest.param("AT+CMGF=1", "AT+CMGS=23", "+CMS ERROR: 304", id="text-mode"),
    pytest.param("AT+CMGF=1", 'AT+CMGS="+49123"', "+CMS ERROR: 304", id="text-mode-with-number"),
    pytest.param("AT", "AT+CMGS=0", "+CMS ERROR: 304", id="no-octets"),
    pytest.param("AT", "AT+CMGS=x", "+CMS ERROR: 304", id="no-number"),
    pytest.param("AT+CFUN=4", "AT+CMGS=23", "+CMS ERROR: 331", id="radio-off"),
]


@pytest.mark.parametrize(("before", "command", "answer"), REFUSED_BEFORE_THE_PROMPT)
def test_submit_is_refused_before_the_prompt(
    start: Start, open_line: Open, before: str, command: str, answer: str
) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command(before)
    assert line.command(command) == [answer]
    assert simulator.events("submit_begin", "air") == []
    assert simulator.events("submit_refused")[0]["code"] == int(answer[-3:])


@pytest.mark.parametrize("state", [0, 2, 3, 4, 8, 11])
def test_unregistered_is_refused(start: Start, open_line: Open, state: int) -> None:
    simulator = start("--registration", str(state))
    assert open_line(simulator).command("AT+CMGS=23") == ["+CMS ERROR: 331"]


def test_one_registered_domain_is_enough(start: Start, open_line: Open) -> None:
    simulator = start("--registration", "3")
    line = open_line(simulator)
    simulator.control.request("registration", cereg=1)
    assert line.submit(PLAIN)[-1] == "OK"


REFUSED_PDUS = [
    pytest.param(24, PLAIN, id="length-too-large"),
    pytest.param(22, PLAIN, id="length-too-small"),
    pytest.param(24, PLAIN + "00", id="octet-too-many"),
    pytest.param(23, PLAIN[:-1], id="half-an-octet"),
    pytest.param(23, PLAIN[:-2] + "zz", id="not-hexadecimal"),
    pytest.param(23, PLAIN[:10] + " " + PLAIN[10:], id="space-inside"),
    pytest.param(23, "0010" + PLAIN[4:], id="not-a-submit"),
    pytest.param(23, "", id="empty"),
    pytest.param(600, "00" * 600, id="too-long"),
]


@pytest.mark.parametrize(("octets", "pdu"), REFUSED_PDUS)
def test_wrong_pdu_is_refused(start: Start, open_line: Open, octets: int, pdu: str) -> None:
    simulator = start()
    line = open_line(simulator)
    line.write(f"AT+CMGS={octets}\r".encode())
    line.expect(rb"> ")
    line.write(pdu.encode() + (b"\x1a" if octets < 600 else b""))
    line.expect(rb"\r\n\+CMS ERROR: 304\r\n")
    assert simulator.events("air") == []
    assert line.submit(PLAIN)[-1] == "OK"


def test_missing_smsc_is_330_unless_the_pdu_has_one(start: Start, open_line: Open) -> None:
    simulator = start("--smsc", "")
    line = open_line(simulator)
    assert line.submit(PLAIN) == ["+CMS ERROR: 330"]
    assert line.submit("0791947101670000" + PLAIN[2:])[-1] == "OK"
    assert simulator.events("air")[0]["smsc"] == "+491710760000"


def test_escape_aborts_the_prompt(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.prompt(PLAIN)
    line.write(PLAIN[:20].encode() + b"\x1b")
    line.expect(rb"\r\nOK\r\n")
    assert line.command("AT") == ["OK"]
    assert [event["why"] for event in simulator.events("abort")] == ["esc"]
    assert simulator.events("air", "violation") == []


@pytest.mark.parametrize("size", [1, 2, 7])
def test_pdu_may_come_in_pieces(start: Start, open_line: Open, size: int) -> None:
    line = open_line(start())
    line.prompt(PLAIN)
    for begin in range(0, len(PLAIN), size):
        line.write(PLAIN[begin : begin + size].encode())
    line.write(b"\x1a")
    line.expect(rb"\+CMGS: 0\r\n\r\nOK\r\n")


def test_bytes_after_ctrl_z_are_a_violation(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.prompt(PLAIN)
    line.write(PLAIN.encode() + b"\x1a\r\n")
    line.expect(rb"OK\r\n")
    (violation,) = simulator.wait_for("violation")
    assert (violation["kind"], violation["data"]) == ("bytes_after_ctrl_z", "0d0a")


def test_command_during_the_radio_time_is_lost(start: Start, open_line: Open) -> None:
    simulator = start("--radio-time", "0.4")
    line = open_line(simulator)
    line.prompt(PLAIN)
    line.write(PLAIN.encode() + b"\x1a")
    simulator.wait_for("pdu")
    line.write(b"AT+CSQ\r")
    assert line.expect(rb"OK\r\n") == b"\r\n+CMGS: 0\r\n\r\nOK\r\n"
    line.silence(0.05)
    (violation,) = simulator.events("violation")
    assert violation["kind"] == "command_while_busy" and violation["submit"] == 1


def test_pdu_before_the_prompt_is_lost(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.write(f"AT+CMGS={tpdu_octets(PLAIN)}\r{PLAIN}\x1a".encode())
    line.expect(rb"> ")
    assert [event["kind"] for event in simulator.wait_for("violation")] == ["pdu_before_prompt"]
    line.write(PLAIN.encode() + b"\x1a")
    line.expect(rb"\+CMGS: 0")
    assert len(simulator.events("air")) == 1


def test_echo_covers_the_pdu(start: Start, open_line: Open) -> None:
    line = open_line(start(), bare=True)
    line.prompt(PLAIN)
    line.write(PLAIN.encode() + b"\x1a")
    assert line.expect(rb"OK\r\n").startswith(PLAIN.encode())


def test_indications_wait_while_the_pdu_is_typed(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,0,0")
    line.prompt(PLAIN)
    simulator.control.deliver("+4912345", "hi")
    simulator.wait_for("stored")
    line.silence(0.03)
    line.write(PLAIN.encode() + b"\x1a")
    assert line.expect(rb"OK\r\n") == b'\r\n+CMTI: "ME",1\r\n\r\n+CMGS: 0\r\n\r\nOK\r\n'


def test_written_messages_can_be_sent_and_listed(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.write(f"AT+CMGW={tpdu_octets(PLAIN)}\r".encode())
    line.expect(rb"> ")
    line.write(PLAIN.encode() + b"\x1a")
    line.expect(rb"\+CMGW: 1\r\n\r\nOK\r\n")
    assert line.command("AT+CMGL=2")[:2] == [f"+CMGL: 1,2,,{tpdu_octets(PLAIN)}", PLAIN]
    assert simulator.events("air") == []
    assert line.command("AT+CMSS=1") == ["+CMGS: 0", "OK"]
    assert line.command("AT+CMSS=2") == ["+CMS ERROR: 321"]
    assert len(simulator.events("air")) == 1


def test_killed_client_leaves_the_submit_on_its_way(start: Start, open_line: Open) -> None:
    simulator = start("--radio-time", "0.1")
    line = open_line(simulator)
    line.prompt(PLAIN)
    line.write(PLAIN.encode() + b"\x1a")
    line.close()
    simulator.wait_for("air")
    assert [event["answer"] for event in simulator.wait_for("answer")] == ["+CMGS: 0"]


def test_many_submits_are_counted_exactly(start: Start, open_line: Open) -> None:
    simulator = start("--no-reports")
    line = open_line(simulator)
    answers = [line.submit(WITH_REPORT)[0] for _ in range(300)]
    assert answers == [f"+CMGS: {number % 256}" for number in range(300)]
    airs = simulator.events("air")
    assert len(airs) == 300
    assert all(first["mono_s"] <= second["mono_s"] for first, second in itertools.pairwise(airs))
    assert simulator.control.request("stats")["events"]["air"] == 300
