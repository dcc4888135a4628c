"""udev rules of a configuration: which devices they are for, and that udev could read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent import config
from agent.cli import udev
from agent.cli.udev import Port, rules
from drivers.at.ports import MODEM_MAKERS
from tests.cli.conftest import Cli

BY_PATH = "/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0"
DEVICE = "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2"
# udev(7): what is compared, what is set, and with which operators.
TOKEN = re.compile(r'(?P<key>[A-Z]+(?:\{[A-Za-z_]+\})?)(?P<operator>==|!=|\+=|:=|=)"(?P<value>[^"\\]*)"')
COMPARED = {"ACTION", "SUBSYSTEM", "ENV{DEVTYPE}", "ENV{ID_PATH}", "ENV{ID_SERIAL}", "ENV{ID_USB_INTERFACE_NUM}",
            "ENV{ID_VENDOR_ID}", "ATTR{idVendor}", "ATTRS{port_number}"}  # fmt: skip
SET = {"GOTO", "LABEL", "IMPORT{builtin}", "ENV{ID_MM_DEVICE_IGNORE}", "GROUP", "MODE", "SYMLINK"}


def tokens(text: str) -> list[list[tuple[str, str, str]]]:
    """Each rule as its tokens. Fails for a line that udev would refuse."""
    found = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        parts = [TOKEN.fullmatch(part) for part in re.split(r",\s*(?=[A-Z])", line)]
        assert all(parts), line
        found.append([(part["key"], part["operator"], part["value"]) for part in parts if part is not None])
    return found


def names(text: str) -> list[list[tuple[str, str, str]]]:
    return [rule for rule in tokens(text) if any(key == "SYMLINK" for key, _, _ in rule)]


@pytest.mark.parametrize(
    "port",
    [BY_PATH, f"{BY_PATH}-port0", "/dev/serial/by-id/usb-HUAWEI_Mobile-if00-port0", "auto:867000000000001",
     "/dev/ttyUSB2", "/dev/ttyAMA0", '/dev/serial/by-id/usb-bad"name-if00', "/dev/serial/by-path/a*:1.0"],
)  # fmt: skip
def test_every_rule_is_one_that_udev_reads(port: str) -> None:
    for rule in tokens(rules([Port("sim0", port)])):
        for key, operator, value in rule:
            assert key in (COMPARED if operator in ("==", "!=") else SET), key
            assert "*" not in value.removesuffix(":*"), value


@pytest.mark.parametrize(
    ("port", "name"),
    [
        (BY_PATH, [("ENV{ID_PATH}", f"{DEVICE}:1.0")]),
        (f"{BY_PATH}-port0", [("ENV{ID_PATH}", f"{DEVICE}:1.0"), ("ATTRS{port_number}", "0")]),
        (BY_PATH.replace("-usb-", "-usbv2-"), [("ENV{ID_PATH}", f"{DEVICE}:1.0")]),
        ("/dev/serial/by-id/usb-HUAWEI_Mobile-if01-port3",
         [("ENV{ID_SERIAL}", "HUAWEI_Mobile"), ("ENV{ID_USB_INTERFACE_NUM}", "01"), ("ATTRS{port_number}", "3")]),
    ],
)  # fmt: skip
def test_a_port_gets_the_name_of_its_route(port: str, name: list[tuple[str, str]]) -> None:
    (rule,) = names(rules([Port("sim0", port)]))
    assert rule == [
        ("SUBSYSTEM", "==", "tty"), *((key, "==", value) for key, value in name), ("SYMLINK", "+=", "phonebridge/sim0"),
    ]  # fmt: skip


def test_modemmanager_leaves_the_whole_stick_alone_and_the_service_may_reset_it() -> None:
    ignoring = ("ENV{ID_MM_DEVICE_IGNORE}", "=", "1")
    stick, parts = [rule for rule in tokens(rules([Port("sim0", BY_PATH)])) if ignoring in rule]
    assert ("ENV{ID_PATH}", "==", DEVICE) in stick and ("GROUP", "=", "phonebridge") in stick
    assert ("ENV{ID_PATH}", "==", f"{DEVICE}:*") in parts


@pytest.mark.parametrize("port", ["auto:867000000000001", "/dev/ttyUSB2"])
def test_what_names_no_device_is_for_all_makers(port: str) -> None:
    found = rules([Port("sim0", port)])
    assert f'ATTR{{idVendor}}=="{"|".join(sorted(MODEM_MAKERS))}"' in found
    assert names(found) == []


def test_two_routes_on_one_stick_share_a_rule() -> None:
    text = rules([Port("a", f"{BY_PATH}-port0"), Port("b", f"{BY_PATH}-port1")])
    assert text.count('GROUP="phonebridge"') == 1
    assert len(names(text)) == 2


def test_a_port_that_could_break_out_of_its_quotes_gets_no_rule() -> None:
    text = rules([Port("sim0", '/dev/serial/by-id/usb-x", RUN+="/bin/sh-if00'), Port("sim1", "/dev/ttyUSB0\nRUN")])
    assert [rule for rule in tokens(text) if any(key == "RUN" for key, _, _ in rule)] == []
    assert names(text) == []


def test_rules_are_written_once(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, target = tmp_path / "config.toml", tmp_path / "rules.d" / "78-phonebridge.rules"
    file.write_text(f'[[route]]\nname = "sim0"\nport = "{BY_PATH}"\n[[route]]\nname = "far"\nport = "socket://a:1"\n')
    monkeypatch.setattr(udev, "RULES", target)
    assert cli("udev-rules", "--write", "-c", str(file), "--json").json["changed"] is True
    assert target.read_text() == rules(udev.configured_ports(config.load(file)))
    assert "route far" not in target.read_text()
    assert cli("udev-rules", "--write", "-c", str(file), "--json").json["changed"] is False
    assert "phonebridge/sim0" in cli("udev-rules", "-c", str(file)).out
