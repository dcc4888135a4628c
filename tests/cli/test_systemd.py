"""What the daemon tells systemd, and the unit."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import pytest

from agent import systemd

UNIT = Path(__file__).parents[2] / "systemd" / "phonebridge.service"


@pytest.mark.parametrize("name", ["{tmp}/notify", "@phonebridge-test-{pid}"], ids=["path", "abstract"])
def test_notification_is_one_datagram(tmp_path: Path, name: str) -> None:
    address = name.format(tmp=tmp_path, pid=os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0", 1))
        manager.settimeout(5)
        sent = systemd.notify("READY=1", "STATUS=2 routes\nMAINPID=1", environment={"NOTIFY_SOCKET": address})
        assert sent
        assert manager.recv(1000) == b"READY=1\nSTATUS=2 routes MAINPID=1"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/socket"])
def test_without_systemd_nothing_happens(address: str) -> None:
    assert systemd.notify("READY=1", environment={"NOTIFY_SOCKET": address}) is False


def test_a_reload_is_announced_with_its_time(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert systemd.reloading(environment={"NOTIFY_SOCKET": address})
        word, _, usec = manager.recv(1000).decode().partition("\nMONOTONIC_USEC=")
        assert word == "RELOADING=1"
        assert before <= int(usec) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 20.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 20.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_watchdog_interval(environment: dict[str, str], interval_s: float | None) -> None:
    assert systemd.watchdog_interval_s(environment) == interval_s


def test_the_package_brings_the_unit_along() -> None:
    assert files("agent").joinpath("units", "phonebridge.service").read_text() == UNIT.read_text()


def test_unit_is_correct_and_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "phonebridge.service"
    unit.write_text(re.sub("^(Exec[A-Za-z]+)=.*", r"\1=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    complaints = [line for line in verified.stderr.splitlines() if "phonebridge" in line]
    assert complaints == []
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", str(unit)], capture_output=True, text=True, check=False
    )
    exposure = re.search(r"Overall exposure level for phonebridge.service: ([0-9.]+)", judged.stdout)
    assert exposure is not None, judged.stderr
    assert float(exposure[1]) <= 2.0
