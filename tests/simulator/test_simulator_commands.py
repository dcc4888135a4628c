"""What the modem says and refuses, outside of submits and inbound messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drivers.simulator.command_line import Command, Operation, parse
from tests.simulator.conftest import Open, Start
from tests.simulator.line import PLAIN, Line, tpdu_octets


def _c(name: str, operation: Operation = Operation.EXECUTE, arguments: str = "") -> Command:
    return Command(name, operation, arguments)


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        pytest.param("AT", (), id="bare"),
        pytest.param("at+cmgf=0", (_c("+CMGF", Operation.SET, "0"),), id="lower-case"),
        pytest.param("ATE0V1Q0", (_c("E", arguments="0"), _c("V", arguments="1"), _c("Q", arguments="0")), id="basic"),
        pytest.param("AT&F+CREG?", (_c("&F"), _c("+CREG", Operation.READ)), id="extended-after-basic"),
        pytest.param("AT+CSQ;+CPMS=?", (_c("+CSQ"), _c("+CPMS", Operation.TEST)), id="semicolon"),
        pytest.param('AT+CUSD=1,"*1;2#"', (_c("+CUSD", Operation.SET, '1,"*1;2#"'),), id="semicolon-in-quotes"),
        pytest.param("ATS0=0", (_c("S0", arguments="=0"),), id="s-parameter"),
        pytest.param("\x00\xffAT", (), id="junk-before"),
        pytest.param("hello", None, id="no-at"),
        pytest.param("AT~", None, id="no-command"),
    ],
)
def test_command_line_is_split(line: str, commands: tuple[Command, ...] | None) -> None:
    assert parse(line) == commands


def test_fields_keep_commas_in_quotes() -> None:
    command = Command("+X", Operation.SET, '"a,b",,3')
    assert command.fields == ("a,b", "", "3")
    assert Command("+X", Operation.SET, "1,,3").numbers == (1, None, 3)
    assert command.numbers is None


def test_boots_with_echo_and_can_switch_it_off(start: Start, open_line: Open) -> None:
    line = open_line(start(), bare=True)
    line.write(b"AT\r")
    assert line.expect(rb"OK\r\n") == b"AT\r\r\nOK\r\n"
    line.command("ATE0")
    line.write(b"AT\r")
    assert line.expect(rb"OK\r\n") == b"\r\nOK\r\n"


ANSWERS = [
    ("AT", ["OK"]),
    ("AT+CGMI", ["phonebridge", "OK"]),
    ("AT+CGSN", ["356968000000000", "OK"]),
    ("AT+CPIN?", ["+CPIN: READY", "OK"]),
    ("AT+CIMI", ["262990000000000", "OK"]),
    ("AT+CCID", ["+CCID: 8949000000000000000", "OK"]),
    ("AT+CNUM", ['+CNUM: "","+4917100000000",145', "OK"]),
    ("AT+CSCA?", ['+CSCA: "+491710760000",145', "OK"]),
    ("AT+CFUN?", ["+CFUN: 1", "OK"]),
    ("AT+CSMS?", ["+CSMS: 0,1,1,1", "OK"]),
    ("AT+CMGF?", ["+CMGF: 0", "OK"]),
    ("AT+CPMS?", ['+CPMS: "ME",0,100,"ME",0,100,"ME",0,100', "OK"]),
    ('AT+CPMS="SM","SM","SM"', ["+CPMS: 0,30,0,30,0,30", "OK"]),
    ('AT+CPMS="XX"', ["+CMS ERROR: 302"]),
    ("AT+CNMI=?", ["+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)", "OK"]),
    ("AT+CNMI=9,1", ["+CMS ERROR: 303"]),
    ("AT+CREG?", ["+CREG: 0,1", "OK"]),
    ("AT+CSQ", ["+CSQ: 20,99", "OK"]),
    ("AT+COPS?", ['+COPS: 0,0,"Simulated",7', "OK"]),
    ("AT+CMGR=1", ["+CMS ERROR: 321"]),
    ("AT+CMGL=4", ["OK"]),
    ("AT+CNMA", ["+CMS ERROR: 303"]),
    ("AT+CSQ;+CREG?", ["+CSQ: 20,99", "+CREG: 0,1", "OK"]),
    ("AT+CSQ;+NONE;+CREG?", ["+CSQ: 20,99", "+CME ERROR: 4"]),
    ("AT+NONE", ["+CME ERROR: 4"]),
    ("ATY7", ["ERROR"]),
    ("hello", ["ERROR"]),
]


def test_commands_answer(start: Start, open_line: Open) -> None:
    line = open_line(start())
    for command, answer in ANSWERS:
        assert (command, line.command(command)) == (command, answer)


@pytest.mark.parametrize(
    ("level", "answer"), [("0", "ERROR"), ("1", "+CME ERROR: 4"), ("2", "+CME ERROR: operation not supported")]
)
def test_cmee_shapes_errors(start: Start, open_line: Open, level: str, answer: str) -> None:
    line = open_line(start())
    line.command(f"AT+CMEE={level}")
    assert line.command("AT+NONE") == [answer]


def test_character_set_shapes_strings(start: Start, open_line: Open) -> None:
    line = open_line(start())
    line.command('AT+CSCS="UCS2"')
    assert line.command("AT+CSCA?")[0].startswith('+CSCA: "002B00340039')
    assert line.command('AT+CSCA="002B0034003100310031"') == ["OK"]
    line.command('AT+CSCS="GSM"')
    assert line.command("AT+CSCA?")[0] == '+CSCA: "+4111",145'


def test_settings_are_forgotten_on_reboot_and_marks_are_said(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    for command in ("AT+CMGF=1", "AT+CNMI=2,1,0,2,0", "AT+CREG=2", 'AT+CPMS="SM","SM","SM"', 'AT+CSCA="+4199"'):
        assert line.command(command)[-1] == "OK"
    assert line.command("AT+CFUN=1,1") == ["OK"]
    line.write(b"AT\r")  # nobody listens while it boots
    booted = line.expect(rb"SMS DONE\r\n")
    assert b"RDY" in booted and b"+CPIN: READY" in booted and b"OK" not in booted
    line.command("ATE0")
    assert line.command("AT+CMGF?")[0] == "+CMGF: 0"
    assert line.command("AT+CNMI?")[0] == "+CNMI: 0,0,0,0,0"
    assert line.command("AT+CREG?")[0] == "+CREG: 0,1"
    assert line.command("AT+CPMS?")[0].startswith('+CPMS: "ME"')
    assert line.command("AT+CSCA?")[0] == '+CSCA: "+4199",145'  # on the SIM
    assert simulator.events("ignored")[0]["why"] == "boot"
    assert [event["event"] for event in simulator.events("reboot", "boot")] == ["reboot", "boot"]


def test_text_mode_can_be_the_default(start: Start, open_line: Open) -> None:
    line = open_line(start("--text-mode"))
    assert line.command("AT+CMGF?")[0] == "+CMGF: 1"


def test_pin_is_counted_and_ends_in_puk(start: Start, open_line: Open) -> None:
    simulator = start("--pin", "1234")
    line = open_line(simulator)
    assert line.command("AT+CPIN?")[0] == "+CPIN: SIM PIN"
    assert line.command("AT+CIMI") == ["+CME ERROR: 11"]
    assert line.command("AT+CMGL=4") == ["+CMS ERROR: 311"]
    assert line.command("AT+CMGS=20") == ["+CMS ERROR: 311"]
    assert line.command("AT+CREG?")[0] == "+CREG: 0,0"
    assert line.command("AT+CCID")[-1] == "OK"
    assert line.command('AT+CPIN="0000"') == ["+CME ERROR: 16"]
    assert line.command("AT+CPINR")[0] == "+CPINR: SIM PIN,2,3"
    assert line.command('AT+CPIN="1234"') == ["OK"]
    assert line.command("AT+CPINR")[0] == "+CPINR: SIM PIN,3,3"
    assert line.command("AT+CIMI")[-1] == "OK"
    line.command("AT+CFUN=1,1")
    line.expect(rb"\+CPIN: SIM PIN.*SMS DONE\r\n")
    line.command("ATE0")
    line.command("AT+CMEE=1")
    for expected in ("+CME ERROR: 16", "+CME ERROR: 16", "+CME ERROR: 12"):
        assert line.command('AT+CPIN="0000"') == [expected]
    assert line.command("AT+CPIN?")[0] == "+CPIN: SIM PUK"
    assert line.command("AT+CMGL=4") == ["+CMS ERROR: 316"]
    assert line.command('AT+CPIN="12345678","4321"') == ["OK"]
    assert line.command("AT+CPIN?")[0] == "+CPIN: READY"
    assert "1234" not in str(simulator.events("pin"))


def test_without_sim_everything_that_needs_it_is_refused(start: Start, open_line: Open) -> None:
    line = open_line(start("--no-sim"))
    assert line.command("AT+CPIN?") == ["+CME ERROR: 10"]
    assert line.command("AT+CIMI") == ["+CME ERROR: 10"]
    assert line.command("AT+CMGS=20") == ["+CMS ERROR: 310"]
    assert line.command("AT+CNMI=2,1") == ["+CMS ERROR: 310"]
    assert line.command("AT+CMGF=0") == ["OK"]


def test_registration_changes_are_reported_where_asked_for(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CREG=1;+CEREG=2")
    simulator.control.request("registration", state=3)
    line.expect(rb"\r\n\+CREG: 3\r\n\r\n\+CEREG: 3\r\n")
    simulator.control.request("registration", cereg=5)
    line.expect(rb'\r\n\+CEREG: 5,"1A2B","00C0FFEE"\r\n')
    assert line.command("AT+CREG?")[0] == "+CREG: 1,3"
    line.command("AT+CFUN=4")
    assert line.command("AT+CEREG?")[0] == "+CEREG: 2,0"


def test_ussd_is_answered_after_ok(start: Start, open_line: Open) -> None:
    line = open_line(start("--ussd", "Guthaben 5 EUR"))
    assert line.command('AT+CUSD=1,"*100#",15') == ["OK"]
    line.expect(rb'\r\n\+CUSD: 0,"Guthaben 5 EUR",15\r\n')


def test_sim_can_be_taken_out_and_swapped(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    first = line.command("AT+CCID")[0]
    simulator.control.request("sim", present=False)
    assert line.command("AT+CCID") == ["+CME ERROR: 10"]
    simulator.control.request("sim", swap=True)
    assert line.command("AT+CCID")[0] != first
    simulator.control.request("sim", insert=first.removeprefix("+CCID: "))
    assert line.command("AT+CCID")[0] == first


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
def test_commands_may_come_in_any_pieces(start: Start, open_line: Open, pieces: int) -> None:
    line = open_line(start())
    data = b"AT+CMGF?\r"
    for begin in range(0, len(data), pieces):
        line.write(data[begin : begin + pieces])
    line.expect(rb"\+CMGF: 0\r\n\r\nOK\r\n")


def test_two_commands_without_waiting_lose_the_second(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.write(b"AT+CSQ\rAT+CMGF=1\r")
    line.expect(rb"\+CSQ.*OK\r\n")
    assert line.command("AT+CMGF?")[0] == "+CMGF: 0"
    (violation,) = simulator.wait_for("violation")
    assert violation["kind"] == "command_while_busy"
    assert bytes.fromhex(violation["data"]) == b"AT+CMGF=1\r"


def test_cr_lf_and_escape_are_no_violation(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.write(b"\x1b\rAT\r\n")
    line.expect(rb"OK\r\n")
    line.command("AT")
    assert simulator.events("violation") == []


def test_modems_of_one_process_are_apart(start: Start, open_line: Open) -> None:
    simulator = start(modems=3)
    lines = [open_line(simulator, modem=number) for number in range(3)]
    assert len({line.command("AT+CGSN")[0] for line in lines}) == 3
    assert lines[1].submit(PLAIN) == ["+CMGS: 0", "OK"]
    assert [event["modem"] for event in simulator.events("air")] == [1]
    simulator.control.deliver("+4912345", "only here", modem=2)
    assert len(lines[2].command("AT+CMGL=4")) == 3
    assert len(lines[0].command("AT+CMGL=4")) == 1


def test_unread_answers_wait_for_the_next_client(start: Start, open_line: Open) -> None:
    simulator = start("--radio-time", "0.1")
    line = open_line(simulator)
    line.prompt(PLAIN)
    line.write(PLAIN.encode() + b"\x1a")
    simulator.wait_for("pdu")
    line.close()
    simulator.wait_for("answer")
    later = Line(simulator.ports[0])
    later.expect(rb"\+CMGS: 0\r\n\r\nOK\r\n")
    later.close()


def test_exclusive_mode_ends_with_its_client(start: Start, open_line: Open) -> None:
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")
    simulator = start()
    line = open_line(simulator)
    fcntl.ioctl(line.descriptor, termios.TIOCEXCL)
    line.close()
    simulator.wait_for("client_close")
    again = open_line(simulator, bare=True)
    tiocgexcl = 0x80045440  # <asm-generic/ioctls.h>: root may open an exclusive tty, so ask for the flag
    assert fcntl.ioctl(again.descriptor, tiocgexcl, b"\0" * 4) == b"\0" * 4


def test_a_client_that_never_reads_does_not_stop_the_modem(start: Start, open_line: Open) -> None:
    simulator = start()
    line = open_line(simulator)
    line.command("AT+CNMI=2,2,0,0,0")
    for number in range(150):
        simulator.control.deliver("+491701234567", f"{number:03d}" + "x" * 150)
    simulator.wait_for("deliver", count=150)
    for _ in range(150):
        line.expect(rb"\+CMT: ,\d+\r\n[0-9A-F]+\r\n")
    assert line.command("AT") == ["OK"]


def test_links_go_away_with_the_program(start: Start) -> None:
    simulator = start()
    assert simulator.ports[0].is_symlink()
    simulator.stop()
    assert not simulator.ports[0].is_symlink()
    assert not simulator.control_path.exists()


def test_tpdu_octets_of_the_test_vectors() -> None:
    assert tpdu_octets(PLAIN) == 23


def test_narration_follows_the_ready_line(start: Start, open_line: Open) -> None:
    simulator = start("--print-air")
    open_line(simulator).submit(PLAIN)
    assert simulator.output.readline().startswith("modem0 on the air to +46708251358: 'hellohello', MR 0")


def test_simulator_ends_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "drivers.simulator", "--link", str(tmp_path / "port"), "--exit-with-stdin"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready ")
    process.communicate(timeout=5)
    assert process.returncode == 0
    assert not (tmp_path / "port").is_symlink()
