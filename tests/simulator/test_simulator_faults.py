"""Injected faults: each fires at its point, is logged there, and the submit's fate is in the log."""

from __future__ import annotations

import time

import pytest

from drivers.simulator.control import ControlError
from drivers.simulator.faults import FAULTS
from drivers.simulator.process import SimulatorProcess
from tests.simulator.conftest import Open, Start
from tests.simulator.line import PLAIN, RECIPIENT, Line, tpdu_octets


def fired(simulator: SimulatorProcess) -> list[tuple[str, str]]:
    return [(event["name"], event["point"]) for event in simulator.events("fault")]


def begin_submit(line: Line, pdu: str = PLAIN) -> None:
    line.prompt(pdu)
    line.write(pdu.encode() + b"\x1a")


def test_no_prompt_until_escape(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("no_prompt")
    line.write(f"AT+CMGS={tpdu_octets(PLAIN)}\r".encode())
    line.silence(0.03)
    line.write(b"\x1b\r")
    line.expect(rb"OK\r\n")
    assert fired(simulator) == [("no_prompt", "prompt")]
    assert line.submit(PLAIN)[-1] == "OK"
    assert simulator.events("violation") == []


def test_pdu_without_prompt_is_a_violation(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("no_prompt")
    line.write(f"AT+CMGS={tpdu_octets(PLAIN)}\r".encode())
    simulator.wait_for("submit_begin")
    line.write(PLAIN.encode())
    assert simulator.wait_for("violation")[0]["kind"] == "pdu_without_prompt"


@pytest.mark.parametrize("form", ["\r\n>\r\n", ">", "\r\n> \r\n"])
def test_prompt_forms(start: Start, open_line: Open, form: str) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("prompt_form", form=form)
    line.write(f"AT+CMGS={tpdu_octets(PLAIN)}\r".encode())
    simulator.wait_for("fault")
    assert line.expect(rb">[^>]*$").decode() == form
    line.write(PLAIN.encode() + b"\x1a")
    line.expect(rb"\+CMGS: 0")


@pytest.mark.parametrize("on_air", [False, True])
def test_cms_error_for_one_recipient(start: Start, open_line: Open, on_air: bool) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("cms_error", times=2, code=38, recipient=RECIPIENT[-6:], on_air=on_air)
    other = PLAIN.replace("6407281553F8", "6407281553F9")
    assert line.submit(other)[-1] == "OK"
    assert line.submit(PLAIN) == ["+CMS ERROR: 38"]
    assert line.submit(PLAIN) == ["+CMS ERROR: 38"]
    assert line.submit(PLAIN)[-1] == "OK"
    assert len(simulator.events("air")) == 2 + 2 * on_air
    assert [event["submit"] for event in simulator.events("fault")] == [2, 3]


def test_cms_error_instead_of_the_prompt(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("cms_error", code=302, at="command")
    assert line.command("AT+CMGS=23") == ["+CMS ERROR: 302"]
    assert simulator.events("air") == []


@pytest.mark.parametrize("on_air", [False, True])
def test_bare_error_after_ctrl_z(start: Start, open_line: Open, on_air: bool) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("error_after_ctrl_z", on_air=on_air)
    assert line.submit(PLAIN) == ["ERROR"]
    assert len(simulator.events("air")) == int(on_air)
    assert simulator.events("answer")[0]["answer"] == "ERROR"


def test_hang_now_until_it_is_over(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("hang", seconds=0.3)
    line.write(b"AT\r")
    line.silence(0.03)
    simulator.wait_for("hang_over")
    assert line.command("AT") == ["OK"]
    assert simulator.events("ignored")[0]["why"] == "hang"


@pytest.mark.parametrize("at", ["command", "prompt", "ctrl_z", "before_answer"])
def test_hang_inside_a_submit_until_reboot(start: Start, open_line: Open, at: str) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("hang", at=at)
    line.write(f"AT+CMGS={tpdu_octets(PLAIN)}\r".encode())
    simulator.wait_for("fault" if at in ("command", "prompt") else "submit_begin")
    line.write(PLAIN.encode() + b"\x1a")
    simulator.wait_for("fault")
    simulator.control.request("reboot")
    line.expect(rb"SMS DONE\r\n")
    line.command("ATE0")
    assert line.submit(PLAIN)[-1] == "OK"
    assert len(simulator.events("air")) == 1 + (at == "before_answer")
    aborts = [event["on_air"] for event in simulator.events("abort")]
    assert aborts == {"ctrl_z": [False], "before_answer": [True]}.get(at, [])


def test_hang_during_the_radio_time_loses_the_answer_only(start: Start, open_line: Open) -> None:
    simulator = start("--radio-time", "0.3")
    line = open_line(simulator)
    begin_submit(line)
    simulator.wait_for("pdu")
    simulator.control.fault("hang", seconds=0.5)
    simulator.wait_for("hang_over")
    assert [event["answer"] for event in simulator.events("answer")] == [None]
    assert len(simulator.events("air")) == 1
    line.silence(0.02)


def test_late_answer_keeps_the_line_busy(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("late_answer", seconds=0.3)
    begin = time.monotonic()
    begin_submit(line)
    simulator.wait_for("air")
    line.write(b"AT\r")
    line.expect(rb"\+CMGS: 0\r\n\r\nOK\r\n")
    assert time.monotonic() - begin >= 0.3
    line.silence(0.02)
    assert simulator.events("answer")[0]["late"] is True
    assert len(simulator.events("violation")) == 1


def test_late_answer_may_leave_the_line_free(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("late_answer", seconds=0.3, busy=False)
    begin_submit(line)
    simulator.wait_for("air")
    assert line.command("AT") == ["OK"]
    line.expect(rb"\+CMGS: 0\r\n\r\nOK\r\n")
    assert simulator.events("violation") == []


def test_lost_answer(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("lost_answer")
    begin_submit(line)
    simulator.wait_for("answer")
    line.silence(0.03)
    assert line.command("AT") == ["OK"]
    assert len(simulator.events("air")) == 1
    assert simulator.events("answer")[0]["answer"] is None


@pytest.mark.parametrize("on_air", [False, True])
def test_reboot_after_pdu(start: Start, open_line: Open, on_air: bool) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("reboot_after_pdu", on_air=on_air)
    begin_submit(line)
    assert b"CMGS" not in line.expect(rb"SMS DONE\r\n")
    assert len(simulator.events("air")) == int(on_air)
    assert [event["on_air"] for event in simulator.events("abort")] == [on_air]


@pytest.mark.parametrize(
    ("point", "octets", "airs"),
    [("prompt", 1, 0), ("pdu_byte", 1, 0), ("pdu_byte", 20, 0), ("ctrl_z", 1, 0), ("before_answer", 1, 1)],
)
def test_unplug_inside_a_submit(start: Start, open_line: Open, point: str, octets: int, airs: int) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("unplug_at", point=point, octets=octets, seconds=0.01)
    line.write(f"AT+CMGS={tpdu_octets(PLAIN)}\r".encode())
    if point != "prompt":
        line.expect(rb"> ")
        line.write(PLAIN.encode() + b"\x1a")
    simulator.wait_for("unplug")
    line.expect_hang_up()
    simulator.wait_for("plug", count=2)
    assert len(simulator.events("air")) == airs
    again = open_line(simulator)
    assert again.submit(PLAIN)[-1] == "OK"


def test_unplugged_twice_it_still_comes_back(start: Start) -> None:
    simulator = start()
    simulator.control.request("unplug", seconds=60.0)
    simulator.control.request("unplug", seconds=0.01)
    simulator.wait_for("plug", count=2)
    assert len(simulator.events("unplug")) == 1


def test_unplug_and_plug_by_hand(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.request("unplug")
    line.expect_hang_up()
    assert not simulator.ports[0].exists()
    simulator.control.deliver("+4912345", "meanwhile")
    simulator.control.request("plug")
    simulator.wait_for("boot")
    again = open_line(simulator)
    assert again.command("AT+CMGL=4")[0].startswith("+CMGL: 1,0")


def test_echo_of_the_pdu(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("echo_pdu")
    begin_submit(line)
    assert line.expect(rb"OK\r\n").startswith(PLAIN.encode() + b"\x1a")
    begin_submit(line)
    assert line.expect(rb"OK\r\n").startswith(b"\r\n+CMGS")


def test_echo_that_cannot_be_switched_off(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("echo_stuck")
    line.write(b"ATE0\r")
    assert line.expect(rb"OK\r\n").startswith(b"ATE0\r")
    line.write(b"AT\r")
    assert line.expect(rb"OK\r\n").startswith(b"AT\r")
    simulator.control.request("clear_faults")
    assert line.command("AT") == ["OK"]


def test_garbage_before_an_answer(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("garbage", hex="00ff0a")
    line.write(b"AT+CSQ\r")
    assert line.expect(rb"OK\r\n") == b"\x00\xff\n\r\n+CSQ: 20,99\r\n\r\nOK\r\n"


@pytest.mark.parametrize(
    ("after", "answer"),
    [
        (0, b"\r\n^RSSI: 9\r\n\r\n+CSQ: 20,99\r\n\r\nOK\r\n"),
        (1, b"\r\n+CSQ: 20,99\r\n\r\n^RSSI: 9\r\n\r\nOK\r\n"),
    ],
)
def test_urc_inside_an_answer(start: Start, open_line: Open, after: int, answer: bytes) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("urc_inside", line="^RSSI: 9", command="+CSQ", after=after)
    assert line.command("AT") == ["OK"]
    line.write(b"AT+CSQ\r")
    assert line.expect(rb"OK\r\n") == answer


def test_urc_inside_a_submit(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("urc_inside", line="RING", at="prompt")
    simulator.control.fault("urc_inside", line="RING", command="+CMGS")
    line.write(f"AT+CMGS={tpdu_octets(PLAIN)}\r".encode())
    assert line.expect(rb"> ") == b"\r\nRING\r\n\r\n> "
    line.write(PLAIN.encode() + b"\x1a")
    assert line.expect(rb"OK\r\n") == b"\r\n+CMGS: 0\r\n\r\nRING\r\n\r\nOK\r\n"


def test_cnmi_refused(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("cnmi_refused", times=0, ds=2)
    assert line.command("AT+CNMI=2,1,0,2,0") == ["+CMS ERROR: 303"]
    assert line.command("AT+CNMI=2,1,0,1,0") == ["OK"]
    simulator.control.fault("cnmi_refused")
    assert line.command("AT+CNMI=2,1,0,1,0") == ["+CMS ERROR: 303"]


@pytest.mark.parametrize(("lie", "answer"), [(False, "+CMS ERROR: 320"), (True, "OK")])
def test_delete_fails(start: Start, open_line: Open, lie: bool, answer: str) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.deliver("+4912345", "stays")
    simulator.wait_for("stored")
    simulator.control.fault("delete_fails", lie=lie)
    assert line.command("AT+CMGD=1") == [answer]
    assert simulator.events("delete")[0]["done"] is False
    assert line.command("AT+CMGR=1")[-1] == "OK"
    assert line.command("AT+CMGD=1") == ["OK"]


def test_output_in_single_octets(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    simulator.control.fault("chunk", octets=1, gap_s=0.001)
    assert line.submit(PLAIN) == ["+CMGS: 0", "OK"]
    simulator.control.request("clear_faults", name="chunk")
    assert line.submit(PLAIN) == ["+CMGS: 1", "OK"]


def test_every_fault_is_described_and_can_be_armed(start: Start) -> None:
    simulator = start()
    known = simulator.control.request("faults")["known"]
    assert set(known) == set(FAULTS)
    for name in known:
        assert known[name]["summary"]
        simulator.control.fault(name)
    simulator.control.request("clear_faults")
    assert simulator.control.request("faults")["armed"] == []


WRONG = [
    pytest.param({"op": "nonsense"}, "no operation 'nonsense'", id="operation"),
    pytest.param({"op": "stats", "modem": 9}, "no modem 9", id="modem"),
    pytest.param({"op": "fault", "name": "nonsense"}, "no fault 'nonsense'", id="fault"),
    pytest.param({"op": "fault", "name": "hang", "minutes": 3}, "no parameter 'minutes'", id="parameter"),
    pytest.param({"op": "fault", "name": "hang", "seconds": "x"}, "seconds is a number", id="type"),
    pytest.param({"op": "fault", "name": "garbage", "hex": "zz"}, "hexadecimal", id="hex"),
    pytest.param({"op": "fault"}, "lacks 'name'", id="missing"),
    pytest.param({"op": "deliver", "from": "+49"}, "lacks 'text'", id="text"),
    pytest.param({"op": "deliver", "from": "1", "text": "x", "parts_order": [2]}, "beyond 1", id="part"),
    pytest.param({"op": "sim", "insert": "89"}, "no SIM 89", id="sim"),
]


@pytest.mark.parametrize(("request_", "sentence"), WRONG)
def test_wrong_requests_get_a_sentence(start: Start, request_: dict[str, object], sentence: str) -> None:
    simulator = start()
    fields = dict(request_)
    with pytest.raises(ControlError, match=sentence):
        simulator.control.request(str(fields.pop("op")), **fields)  # type: ignore[arg-type]
    assert simulator.control.request("stats")["plugged"] is True


def test_quit_ends_the_program(start: Start) -> None:
    simulator = start()
    simulator.control.request("quit")
    simulator.wait_for("stop")
