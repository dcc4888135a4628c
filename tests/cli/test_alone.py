"""Commands that need no daemon, and what the others say without one."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from agent.cli import install
from agent.cli.exits import Fault
from drivers.simulator.process import SimulatorProcess
from tests.cli.conftest import Cli

# By hand from TS 23.040 §9.2.2.2: "Hello" to +49170123456, validity 4 days, SMSC length 0.
SUBMIT = "0011000B919471103254F60000AA05C8329BFD06"
# By hand from TS 23.040 §9.2.2.1: "hellohello" from +46708251358 by the SMSC +46708251358.
DELIVER = "07916407281553F8040B916407281553F80000991021516543800AE8329BFD4697D9EC37"


def test_decode_submit(cli: Cli) -> None:
    found = cli("decode", SUBMIT, "--json").json
    assert (found["type"], found["recipient"], found["text"]) == ("SMS-SUBMIT", "+49170123456", "Hello")
    assert found["validity_s"] == 4 * 86400


def test_decode_deliver_for_people(cli: Cli) -> None:
    shown = cli("decode", DELIVER).out
    assert "SMS-DELIVER" in shown and "hellohello" in shown and "+46708251358" in shown


@pytest.mark.parametrize(
    ("pdu", "code", "words"),
    [("zz", 1, "no hexadecimal digit"), ("07", 1, "this is no PDU"), ("", 1, "this is no PDU")],
)
def test_decode_of_what_is_none(cli: Cli, pdu: str, code: int, words: str) -> None:
    found = cli("decode", pdu)
    assert found.code == code
    assert words in found.err


def test_decode_takes_one_direction(cli: Cli) -> None:
    assert cli("decode", SUBMIT, "--incoming", "--outgoing").code == 2


# --- without a daemon -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["send", "+491701234567", "x"], ["messages"], ["inbox"], ["cancel", "1"], ["resend", "1"], ["release"],
     ["pause", "a"], ["resume", "a"], ["at", "a", "AT"], ["key", "list"], ["key", "new"], ["key", "revoke", "1"]],
)  # fmt: skip
def test_no_daemon_is_exit_3(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[agent]\nstate_dir = "{tmp_path}"\n')
    found = cli(*arguments, "-c", str(config))
    assert found.code == 3
    assert "start it with" in found.err and found.err.count("\n") == 1


def test_a_configuration_that_is_not_there_is_exit_2(cli: Cli) -> None:
    found = cli("status", "-c", "/nowhere/config.toml")
    assert (found.code, "does not exist" in found.err) == (2, True)


@pytest.mark.parametrize("arguments", [["sned"], [], ["key"], ["key", "nwe"], ["status", "extra"]])
def test_wrong_use_is_one_sentence_and_exit_2(cli: Cli, arguments: list[str]) -> None:
    found = cli(*arguments)
    assert (found.code, found.err.count("\n")) == (2, 1)


def test_help_and_version(cli: Cli) -> None:
    assert "Exit codes:" in cli("--help").out
    assert cli("--version").out.startswith("phonebridge ")


# --- check-config -----------------------------------------------------------------------------------


def test_check_config(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[[route]]\nname = "sim0"\nport = "/dev/ttyUSB0"\npin = "1234"\n')
    found = cli("check-config", "-c", str(config))
    assert found.code == 0
    assert "routes sim0" in found.out
    assert "warning" in found.err and "1234" not in found.err + found.out
    assert cli("check-config", "-c", str(config), "--json").json["routes"] == ["sim0"]


def test_check_config_of_a_wrong_one(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[[rout]]\n")
    found = cli("check-config", "-c", str(config), "--json")
    assert found.code == 2
    assert found.json["ok"] is False
    assert found.json["error"] in found.err


def test_check_config_example_is_a_configuration(cli: Cli) -> None:
    assert tomllib.loads(cli("check-config", "--example").out)["route"][0]["name"] == "sim0"


# --- doctor -----------------------------------------------------------------------------------------


def test_doctor_finds_a_modem_and_writes_its_route(cli: Cli, tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", modems=2) as modems:
        ports = [str(port) for port in modems.ports]
        found = cli("doctor", *ports, "/nowhere/ttyUSB9", "--json")
        blocks = cli("doctor", *ports, "--routes")
        assert modems.events("air") == []
    assert found.code == 0
    assert [finding["ok"] for finding in found.json["findings"]] == [True, True, False]
    assert found.json["findings"][2]["remedy"]
    routes = tomllib.loads(blocks.out)["route"]
    assert [(route["name"], route["port"], route["sim_slot"]) for route in routes] == [
        ("sim0", ports[0], 0),
        ("sim1", ports[1], 1),
    ]


def test_doctor_does_not_try_a_pin(cli: Cli, tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", "--pin", "1234") as modem:
        found = cli("doctor", str(modem.ports[0]))
        state = json.dumps(modem.events())
    assert found.code == 0
    assert "pin_file" in found.out
    assert "CPIN=" not in state


def test_doctor_without_a_modem(cli: Cli) -> None:
    found = cli("doctor", "/nowhere/ttyUSB9")
    assert found.code == 1
    assert "✗ /nowhere/ttyUSB9" in found.out


# --- install-service --------------------------------------------------------------------------------


def test_install_service_dry_run_prints_the_unit(cli: Cli) -> None:
    shown = cli("install-service", "--dry-run")
    assert shown.code == 0
    assert "Type=notify" in shown.out and "WatchdogSec=60" in shown.out
    assert "run -c /etc/phonebridge/config.toml" in shown.out
    assert "systemctl daemon-reload" in shown.out
    assert "[Service]" in cli("install-service", "--dry-run", "--json").json["unit"]


@pytest.mark.parametrize("place", ["/home/pi/phonebridge/.venv", "/root/x", "/tmp/x"])
def test_install_service_refuses_a_place_that_the_service_cannot_see(place: str) -> None:
    with pytest.raises(Fault) as caught:
        install.refuse_bad_place([Path("/opt/phonebridge"), Path(place)])
    assert caught.value.code == 2
    assert "sudo /opt/phonebridge/bin/phonebridge install-service" in str(caught.value)


def test_install_service_takes_opt() -> None:
    install.refuse_bad_place([Path("/opt/phonebridge"), Path("/usr")])


def test_install_writes_the_unit_and_runs_the_steps(tmp_path: Path) -> None:
    ran: list[list[str]] = []
    units = {name: install.unit_text(name, Path("/srv/x/bin/phonebridge")) for name in install.UNITS}
    install.install(units, [["systemctl", "daemon-reload"]], lambda step: ran.append(list(step)), root=tmp_path)
    written = tmp_path / "etc/systemd/system/phonebridge.service"
    assert "ExecStart=/srv/x/bin/phonebridge run -c /etc/phonebridge/config.toml\n" in written.read_text()
    assert {path.name for path in written.parent.iterdir()} == set(install.UNITS)
    assert [path.name for path in written.parent.iterdir() if "/opt/" in path.read_text()] == []
    assert written.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "usr/local/bin/phonebridge").is_symlink()
    assert ran == [["systemctl", "daemon-reload"]]
