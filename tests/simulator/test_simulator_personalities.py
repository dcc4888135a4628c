"""Each kind of modem: what it says, what it refuses, how it gets ready; one row of the tables per peculiarity."""

from __future__ import annotations

import re
import select
import time

import pytest

from drivers.simulator.personalities import PERSONALITIES
from tests.simulator.conftest import Open, Start
from tests.simulator.line import PLAIN, WITH_REPORT, tpdu_octets

_QUIET = ("--noise", "0")


@pytest.mark.parametrize("name", PERSONALITIES)
def test_every_personality_sends_receives_and_deletes(start: Start, open_line: Open, name: str) -> None:
    simulator = start("--personality", name, *_QUIET)
    line = open_line(simulator, bare=True)
    row = PERSONALITIES[name]
    gap_s = row.guard_s + 0.005 if row.guard_s else 0.0

    def command(text: str) -> list[str]:
        time.sleep(gap_s)
        return line.command(text)

    command("ATE0")
    assert command("AT+CMGF=0") == ["OK"]
    assert command("AT+CGMI")[0].removeprefix("+CGMI: ").strip() == row.manufacturer.strip()
    time.sleep(gap_s)
    line.write(f"AT+CMGS={tpdu_octets(PLAIN)}\r".encode())
    assert line.expect(rb">[ \r\n]*").endswith(row.prompt.encode())
    line.write(PLAIN.encode() + b"\x1a")
    line.expect(rb"\+CMGS: 0\r\n\r\nOK\r\n")
    assert command(f"AT+CNMI={row.cnmi.mode[-1]},1")[-1] == "OK"
    simulator.control.deliver("+491701234567", "hello")
    inbound = row.memories[2]
    index = int(line.expect(rb'\+CMTI: "%b",(\d+)\r\n' % inbound.encode()).decode().rpartition(",")[2])
    wanted = [inbound, *row.memories[1:]][: row.memory_arguments[-1]]
    chosen = ",".join(f'"{memory}"' for memory in wanted)
    assert command(f"AT+CPMS={chosen}")[-1] == "OK"
    assert command(f"AT+CMGR={index}")[-1] == "OK"
    assert command(f"AT+CMGD={index}") == ["OK"]
    assert simulator.events("violation") == []


@pytest.mark.parametrize(
    ("name", "command", "answer"),
    [
        ("huawei", "AT+CPMS=?", '+CPMS: "SM","SM","SM"'),
        ("huawei", 'AT+CPMS="SM"', "+CMS ERROR: 305"),
        ("huawei", "AT+CCID", "COMMAND NOT SUPPORT"),
        ("huawei", "AT^ICCID?", "^ICCID: 989400000000000000F0"),
        ("huawei", "AT^CPIN?", "^CPIN: READY,3,10,3,10,3"),
        ("huawei", "AT+CSCA?", '+CSCA: "002B003400390031003700310030003700360030003000300030",145'),
        ("quectel", "AT+QPINC", '+QPINC: "SC",3,10'),
        ("quectel", "AT+QCCID", "+QCCID: 8949000000000000000F"),
        ("simcom800", "AT+CNMI=2,1,0,2,0", "+CMS ERROR: 303"),
        ("simcom800", "AT+CNMA", "+CME ERROR: 4"),
        ("simcom800", "AT+CEREG?", "+CME ERROR: 4"),
        ("simcom7600", "AT+CICCID", "+ICCID: 8949000000000000000"),
        ("simcoma76", "AT+CMGR=3", "+CMGR: 0,,0"),
        ("ublox", "AT+UPINCNT", "+UPINCNT: 3,3,10,10"),
        ("telit", "AT#PCT", "#PCT: 3"),
        ("sierra", "AT+CGMM", "+CGMM: MC7304"),
        ("wavecom", "AT+CPMS=?", '+CPMS: (("SM","BM","SR"),("SM"))'),
        ("wavecom", 'AT+CPMS="SM","SM","SM"', "+CMS ERROR: 305"),
        ("wavecom", "AT+CNMI=2,1,0,1,0", "+CMS ERROR: 303"),
        ("wavecom", "AT+CCID", '+CCID: "8949000000000000000"'),
        ("cinterion", "AT+CNMI=?", "+CNMI: (0-3),(0,1),(0,2,3),(0,2),(1)"),
        ("cinterion", 'AT+CPMS="ME","ME","ME"', "+CMS ERROR: 302"),
        ("cinterion", "AT+CNMI=2,1,0,0,0", "+CMS ERROR: 303"),
        ("zte", "AT+ZPINPUK=?", "+ZPINPUK: 3,10"),
        ("zte", "AT+CSCA?", '+CSCA: "002B003400390031003700310030003700360030003000300030",145'),
        ("fibocom", "AT+CMMS=1", "+CME ERROR: 4"),
        ("fibocom", "AT+GTDUALSIM?", '+GTDUALSIM: 0,"SUB1","Normal Service"'),
    ],
)
def test_peculiar_answers(start: Start, open_line: Open, name: str, command: str, answer: str) -> None:
    line = open_line(start("--personality", name, *_QUIET)) if name != "telit" else None
    if line is None:
        line = open_line(start("--personality", name, *_QUIET), bare=True)
        line.command("ATE0")
        time.sleep(0.025)
    assert line.command(command)[0] == answer


def test_no_ok_follows_cpin(start: Start, open_line: Open) -> None:
    line = open_line(start("--personality", "wavecom", *_QUIET))
    line.write(b"AT+CPIN?\r")
    line.expect(rb"\+CPIN: READY\r\n")
    line.silence(0.05)


def test_commands_too_early_are_lost(start: Start, open_line: Open) -> None:
    simulator = start("--personality", "telit", *_QUIET)
    line = open_line(simulator, bare=True)
    for _ in range(20):
        line.command("ATE0")
        line.write(b"AT\r")
        while not (early := simulator.events("violation")) and not select.select([line.descriptor], [], [], 0.01)[0]:
            pass
        if early:
            break
        line.expect(rb"OK\r\n")  # a busy machine wrote it when it was no longer too early
    line.silence(0.05)
    assert [event["kind"] for event in simulator.events("violation")] == ["command_too_early"]
    assert line.command("AT") == ["OK"]


def test_a_boot_has_phases(start: Start, open_line: Open) -> None:
    simulator = start("--personality", "quectel", "--boot-time", "0.3", *_QUIET)
    line = open_line(simulator)
    simulator.control.request("reboot")
    line.expect(rb"RDY\r\n")
    line.command("ATE0")
    line.command("AT+CMEE=1")
    assert line.command("AT+CPIN?") == ["+CME ERROR: 14"]
    assert line.command("AT+CPMS?") == ["+CMS ERROR: 512"]
    line.expect(rb"\+CPIN: READY\r\n")
    assert line.command("AT+CPIN?") == ["+CPIN: READY", "OK"]
    assert line.command("AT+CPMS?") == ["+CMS ERROR: 512"]
    line.expect(rb"\+QIND: SMS DONE\r\n")
    assert line.command("AT+CPMS?")[-1] == "OK"


def test_the_store_waits_for_the_pin(start: Start, open_line: Open) -> None:
    simulator = start("--personality", "simcom800", "--pin", "1234", *_QUIET)
    line = open_line(simulator)
    simulator.control.request("reboot")
    line.expect(rb"\+CPIN: SIM PIN\r\n")
    line.silence(0.1)
    line.command("ATE0")
    assert line.command('AT+CPIN="1234"') == ["OK"]
    line.expect(rb"SMS Ready\r\n")


def test_noise_comes_until_it_is_switched_off(start: Start, open_line: Open) -> None:
    line = open_line(start("--personality", "huawei", "--noise", "0.01"))
    line.expect(rb"\^RSSI:17\r\n")
    line.expect(rb"\^BOOT:")
    assert line.command("AT^CURC=0")[-1] == "OK"
    line.seen = b""
    line.silence(0.05)


def test_reports_are_announced_and_lost(start: Start, open_line: Open) -> None:
    simulator = start("--personality", "huawei", *_QUIET)
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,2,0")
    line.submit(WITH_REPORT)
    line.expect(rb'\+CDSI: "SR",8\r\n')
    assert simulator.wait_for("report")[0]["how"] == "lost"


def test_reports_lie_in_sr_only(start: Start, open_line: Open) -> None:
    line = open_line(start("--personality", "wavecom", *_QUIET))
    assert line.command("AT+CNMI=2,1,0,2,0") == ["OK"]
    line.submit(WITH_REPORT)
    line.expect(rb'\+CDSI: "SR",1\r\n')
    assert line.command('AT+CPMS="SR"')[-1] == "OK"
    assert line.command("AT+CMGR=1")[-1] == "OK"


def test_reports_lie_where_inbound_does(start: Start, open_line: Open) -> None:
    line = open_line(start("--personality", "cinterion", *_QUIET))
    assert line.command("AT+CNMI=2,1,0,2,1") == ["OK"]
    line.submit(WITH_REPORT)
    line.expect(rb'\+CDSI: "SM",1\r\n')


def test_mt_shows_both_memories(start: Start, open_line: Open) -> None:
    simulator = start("--personality", "ublox", "--me-capacity", "1", *_QUIET)
    line = open_line(simulator)
    line.command("AT+CNMI=2,1,0,0,0")
    for text in ("one", "two"):
        simulator.control.deliver("+491701234567", text)
        line.expect(rb"\+CMTI: \"MT\",\d+\r\n")
    assert line.command('AT+CPMS="MT"')[0].startswith("+CPMS: 2,31,")
    assert [answer for answer in line.command("AT+CMGL=4") if answer.startswith("+CMGL")][1].startswith("+CMGL: 2,")
    assert line.command("AT+CMGD=2") == ["OK"]
    assert line.command('AT+CPMS="MT"')[0].startswith("+CPMS: 1,31,")


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("quectel", "AT+QDSIM=0", "AT+QDSIM=1"),
        ("quectel", "AT+QUIMSLOT=1", "AT+QUIMSLOT=2"),
        ("simcom800", "AT+CDSDS=1", "AT+CDSDS=2"),
        ("simcoma76", "AT+SWITCHSIM=0", "AT+SWITCHSIM=1"),
    ],
)
def test_two_sims_take_turns(start: Start, open_line: Open, name: str, first: str, second: str) -> None:
    simulator = start("--personality", name, "--second-sim", *_QUIET)
    line = open_line(simulator)
    row = PERSONALITIES[name]
    line.command("AT+CNMI=2,1,0,0,0")
    earlier = simulator.control.request("sim")["iccid"]
    if row.sim_switches[0].needs_radio_off:
        assert line.command(second) == ["+CME ERROR: 3"]
    assert line.command("AT+CFUN=4") == ["OK"]
    assert line.command(second) == ["OK"]
    assert line.command("AT+CFUN=1")[-1] == "OK"  # what the new SIM says may come before it
    line.expect(re.escape(row.sms_marks[-1].encode()) + b"\r\n")
    assert line.command("AT+CNMI?")[0] == "+CNMI: 0,0,0,0,0"
    simulator.control.deliver("+491701234567", "for the other one", iccid=earlier)
    assert simulator.wait_for("held")[0]["why"] == "other_sim"
    assert simulator.control.request("sim")["iccid"] != earlier
    assert line.command("AT+CFUN=4") == ["OK"]
    assert line.command(first) == ["OK"]
    assert line.command("AT+CFUN=1")[-1] == "OK"  # what the new SIM says may come before it
    simulator.wait_for("stored")
    assert [event["slot"] for event in simulator.events("slot")] == [1, 0]


@pytest.mark.parametrize(
    ("how", "is_done"),
    [("refused", False), ("ignored", False), ("hang", False), ("hang", True), ("reboot", True), ("unplug", False)],
)
def test_a_switch_fails(start: Start, open_line: Open, how: str, is_done: bool) -> None:
    simulator = start("--personality", "quectel", "--second-sim", *_QUIET)
    line = open_line(simulator)
    simulator.control.fault("sim_switch", how=how, done=is_done, seconds=0.2)
    assert line.command("AT+QDSIM=0") == ["OK"]  # no switch
    if how in ("refused", "ignored"):
        assert line.command("AT+QDSIM=1") == [{"refused": "+CME ERROR: 3", "ignored": "OK"}[how]]
        assert line.command("AT+QDSIM?")[0] == "+QDSIM: 0"
    else:
        line.write(b"AT+QDSIM=1\r")
        simulator.wait_for({"hang": "hang_over", "reboot": "boot", "unplug": "plug"}[how], count=1 + (how == "unplug"))
    assert [event["point"] for event in simulator.events("fault")] == ["+QDSIM"]
    assert len(simulator.events("slot")) == is_done


def test_empty_second_slot(start: Start, open_line: Open) -> None:
    line = open_line(start("--personality", "quectel", *_QUIET))
    assert line.command("AT+QDSIM=1") == ["OK"]
    line.expect(rb"\+CPIN: NOT INSERTED\r\n")
    assert line.command("AT+CPIN?") == ["+CME ERROR: 10"]


@pytest.mark.parametrize(
    ("name", "request_text", "answer"),
    [
        ("generic", "*100#", rb'\+CUSD: 0,"Balance",15\r\n'),
        ("quectel", "*100#", rb'\+CUSD: 0,"00420061006C0061006E00630065",15\r\n'),
        ("huawei", "AA180C3602", rb'\+CUSD: 0,"C2303BEC1E9701",15\r\n'),
    ],
)
def test_ussd_dialects(start: Start, open_line: Open, name: str, request_text: str, answer: bytes) -> None:
    simulator = start("--personality", name, "--ussd", "Balance", *_QUIET)
    line = open_line(simulator)
    line.command('AT+CSCS="GSM"')
    assert line.command(f'AT+CUSD=1,"{request_text}",15') == ["OK"]
    line.expect(answer)
    assert simulator.events("ussd")[0]["request"] == "*100#"


def test_plain_ussd_is_refused_where_it_is_packed(start: Start, open_line: Open) -> None:
    line = open_line(start("--personality", "huawei", *_QUIET))
    assert line.command('AT+CUSD=1,"*100#",15') == ["ERROR"]


def test_ussd_before_its_ok_and_its_refusal(start: Start, open_line: Open) -> None:
    simulator = start("--personality", "ublox", "--ussd", "Balance", *_QUIET)
    line = open_line(simulator)
    assert line.command('AT+CUSD=1,"*100#",15') == ['+CUSD: 0,"Balance",15', "OK"]
    simulator.control.request("network", ussd_mode=4)
    assert line.command('AT+CUSD=1,"*100#",15') == ["+CUSD: 4", "OK"]


def test_a_call_rings_until_it_is_refused(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CLIP=1")
    simulator.control.request("call", **{"from": "+491701234567", "gap_s": 0.02})
    line.expect(rb'RING\r\n.*\+CLIP: "\+491701234567",145,')
    line.expect(rb"RING\r\n")
    assert line.command("AT+CHUP")[-1] == "OK"
    line.seen = b""
    line.silence(0.05)
    assert simulator.events("call_end")[0]["why"] == "refused"


def test_a_caller_gives_up(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CRC=1")
    simulator.control.request("call", **{"from": "123", "rings": 1, "gap_s": 0.01})
    line.expect(rb"\+CRING: VOICE\r\n\r\nNO CARRIER\r\n")


@pytest.mark.parametrize(
    ("name", "command"),
    [("huawei", "AT^RESET"), ("simcom7600", "AT+CRESET"), ("ublox", "AT+CFUN=16"), ("generic", "AT+CFUN=1,1")],
)
def test_reset_commands(start: Start, open_line: Open, name: str, command: str) -> None:
    simulator = start("--personality", name, *_QUIET)
    assert open_line(simulator).command(command) == ["OK"]
    simulator.wait_for("boot")
