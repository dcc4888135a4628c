"""Faults that strike at any command, at an arrival, in a list or between reports: each fires there, and is logged."""

from __future__ import annotations

import re
import time

import pytest

from drivers.simulator.process import SimulatorProcess
from tests.simulator.conftest import Open, Start
from tests.simulator.line import PLAIN, WITH_REPORT

_FROM = "+491701234567"


def fired(simulator: SimulatorProcess) -> list[tuple[str, str]]:
    return [(event["name"], event["point"]) for event in simulator.events("fault")]


def test_a_fault_waits_for_its_command(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("text_mode", command="+CSQ")
    assert line.command("AT+CMGF?")[0] == "+CMGF: 0"
    line.command("AT+CSQ")
    assert line.command("AT+CMGF?")[0] == "+CMGF: 1"
    assert fired(simulator) == [("text_mode", "+CSQ")]


def test_reboot_at_a_command(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("reboot")
    line.write(b"AT\r")
    line.expect(rb"SMS DONE\r\n")
    assert fired(simulator) == [("reboot", "")]


def test_silent_reboot_forgets_and_says_nothing(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,1,0")
    simulator.control.fault("reboot", command="+CSQ", silent=True)
    line.write(b"AT+CSQ\r")
    line.silence(0.05)
    assert line.command("AT+CNMI?")[1] == "+CNMI: 0,0,0,0,0"  # behind the echo, which is on again


def test_hang_at_one_command(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("hang", at="command", command="+CSQ", seconds=0.05)
    assert line.command("AT") == ["OK"]
    line.write(b"AT+CSQ\r")
    simulator.wait_for("hang_over")
    assert line.command("AT") == ["OK"]


def test_unplugged_at_a_command(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("unplug", command="+CSQ")
    line.write(b"AT+CSQ\r")
    line.expect_hang_up()


@pytest.mark.parametrize("octets", [1, 5, 9])
def test_unplugged_inside_the_command(start: Start, open_line: Open, octets: int) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("unplug_at", point="command_byte", octets=octets)
    line.write(b"AT+CMGS=23"[:octets])
    line.expect_hang_up()
    assert fired(simulator) == [("unplug_at", f"command_byte {octets}")]


@pytest.mark.parametrize("octets", [3, 12])
def test_unplugged_inside_the_answer(start: Start, open_line: Open, octets: int) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("unplug_at", point="answer_byte", octets=octets)
    line.prompt(PLAIN)
    line.write(PLAIN.encode() + b"\x1a")
    line.expect(re.escape(b"\r\n+CMGS: 0\r\n"[:octets]))
    line.expect_hang_up()
    assert len(simulator.events("air")) == 1


def test_slow_command(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("slow_command", command="+CSQ", seconds=0.1)
    began = time.monotonic()
    line.write(b"AT+CSQ\r")
    simulator.wait_for("fault")
    line.write(b"AT\r")
    line.expect(rb"\+CSQ: 20,99\r\n\r\nOK\r\n")
    assert time.monotonic() - began >= 0.1
    line.silence(0.02)
    assert [event["why"] for event in simulator.events("ignored")] == ["slow"]


@pytest.mark.parametrize(("personality", "code"), [("generic", 500), ("huawei", 513), ("cinterion", 535)])
def test_vendor_error(start: Start, open_line: Open, personality: str, code: int) -> None:
    simulator = start("--personality", personality, "--noise", "0")
    line = open_line(simulator)
    simulator.control.fault("vendor_error")
    assert line.submit(PLAIN) == [f"+CMS ERROR: {code}"]
    assert line.submit(PLAIN)[-1] == "OK"


def test_sim_asks_for_pin_and_puk(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("sim_locked", command="+CMGS")
    line.write(b"AT+CMGS=23\r")
    line.expect(rb"\+CPIN: SIM PIN\r\n\r\n\+CMS ERROR: 311\r\n")
    assert line.command('AT+CPIN="1234"') == ["OK"]
    simulator.control.fault("sim_locked", puk=True)
    assert "+CPIN: SIM PUK" in line.command("AT+CPIN?")


def test_registration_lost_and_found(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CREG=1")
    simulator.control.fault("registration_lost", command="+CMGS", seconds=0.05)
    line.write(b"AT+CMGS=23\r")
    line.expect(rb"\+CREG: 2\r\n\r\n\+CMS ERROR: 331\r\n")
    line.expect(rb"\+CREG: 1\r\n")


def test_smsc_lost(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("smsc_lost", command="+CMGS")
    assert line.submit(PLAIN) == ["+CMS ERROR: 330"]


def test_full_storage_is_said_and_the_network_tries_again(start: Start, open_line: Open) -> None:
    simulator = start("--personality", "simcoma76", "--noise", "0")
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,0,0")
    simulator.control.fault("storage_full", times=2)
    simulator.control.deliver(_FROM, "hello")
    line.expect(rb"\+SMS FULL\r\n")
    line.expect(rb'\+CMTI: "SM",1\r\n')
    assert [event["inbound"] for event in simulator.events("fault")] == [1, 1]


def test_arrivals_are_stored_twice_or_announced_wrongly(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,0,0")
    simulator.control.fault("stored_twice")
    simulator.control.deliver(_FROM, "one")
    line.expect(rb'\+CMTI: "ME",1\r\n\r\n\+CMTI: "ME",2\r\n')
    simulator.control.fault("indication_lost")
    simulator.control.deliver(_FROM, "two")
    simulator.wait_for("stored", count=3)
    simulator.control.fault("indication_odd")
    simulator.control.deliver(_FROM, "three")
    line.expect(rb"\+CMTI: ,-1\r\n")
    assert line.seen == b""
    assert len(simulator.events("stored")) == 4


def test_list_breaks_off_and_hangs(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    for text in ("one", "two"):
        simulator.control.deliver(_FROM, text)
    simulator.wait_for("stored", count=2)
    simulator.control.fault("list_cut")
    assert len(line.command("AT+CMGL=4")) == 2
    simulator.control.fault("list_hangs", seconds=0.05)
    line.write(b"AT+CMGL=4\r")
    simulator.wait_for("hang_over")
    line.expect(rb"\+CMGL: 1")
    line.seen = b""
    assert len(line.command("AT+CMGL=4")) == 5


def test_reports_come_in_reverse(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,1,0")
    simulator.control.fault("reports_scrambled", count=3)
    for _ in range(3):
        line.submit(WITH_REPORT)
    simulator.wait_for("report", count=3)
    assert [event["submit"] for event in simulator.events("report")] == [3, 2, 1]
    assert fired(simulator) == [("reports_scrambled", "3 reports")]
