"""Opening: PIN rules, absent SIMs, busy and absent ports, network links, finding a modem by its IMEI, doctor."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from drivers.api import (
    InboundPart,
    NoAnswer,
    NoSim,
    PersonNeeded,
    PortAbsent,
    PortBusy,
    SessionLost,
    StatusReport,
)
from drivers.at import driver as driver_module
from drivers.at import link, pin, ports, profiles
from drivers.at.driver import AtDriver
from drivers.settings import Secret
from drivers.simulator.process import SimulatorProcess
from tests.at.harness import Harness

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")

Start = Callable[..., SimulatorProcess]
Make = Callable[..., Harness]


async def test_a_pin_is_recorded_before_it_is_sent_and_accepted_after(simulator: Start, harness: Make) -> None:
    sim = simulator("--pin", "4711")
    route = harness(sim.ports[0], pin=_secret("4711"))
    session = await route.open()
    verdicts = [(key, (value or "").partition(":")[0]) for key, fact, value in route.memory.writes if fact == "pin"]
    assert [verdict for _, verdict in verdicts] == ["tried", "accepted"]
    assert "4711" not in repr(route.memory.writes)
    assert session.link.registration.has_service and (await route.send()).tp_mr is not None
    sim.control.request("reboot")
    assert isinstance(await route.lost(), SessionLost)
    await route.open()
    assert (await route.send()).tp_mr is not None


async def test_the_pause_that_a_modem_wants_is_kept_from_a_failed_attempt(simulator: Start, harness: Make) -> None:
    sim = simulator("--pin", "4711", "--personality", "telit", "--noise", "0")
    route = harness(sim.ports[0])
    for _ in range(3):
        with pytest.raises(PersonNeeded, match="PIN"):
            await route.open()
    # Which maker it is, is not known when it is first opened.
    assert len(sim.events("violation")) <= 1


async def test_a_refused_pin_is_never_sent_again(simulator: Start, harness: Make) -> None:
    sim = simulator("--pin", "4711")
    route = harness(sim.ports[0], pin=_secret("1234"))
    for _ in range(3):
        with pytest.raises(PersonNeeded, match="PIN"):
            await route.open()
    assert sim.control.request("sim", pin_attempts=2)["state"] == "SIM PIN"
    assert len([event for event in sim.events("pin") if not event.get("ok")]) <= 1


@pytest.mark.parametrize("has_counter", [True, False])
async def test_a_try_of_unknown_outcome_is_repeated_only_if_the_counter_is_full(
    simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch, has_counter: bool
) -> None:
    if not has_counter:
        monkeypatch.setattr(profiles, "UNKNOWN", replace(profiles.UNKNOWN, pin_counter=()))
    sim = simulator("--pin", "4711")
    route = harness(sim.ports[0], pin=_secret("4711"))
    session = await route.open()
    key = route.memory.writes[0][0]
    assert key == session.sim.iccid or key.startswith("imei:")
    sim.control.request("reboot")
    await route.lost()
    route.memory.facts[key, "pin"] = f"tried:{pin.fingerprint(key, '4711')}"
    if has_counter:
        await route.open()
        return
    with pytest.raises(PersonNeeded, match="retry"):
        await route.open()


async def test_without_a_pin_a_person_is_asked(simulator: Start, harness: Make) -> None:
    sim = simulator("--pin", "4711")
    with pytest.raises(PersonNeeded, match="pin_file"):
        await harness(sim.ports[0]).open()


async def test_a_pin_file_is_read(simulator: Start, harness: Make, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("4711\n")
    sim = simulator("--pin", "4711")
    await harness(sim.ports[0], pin_file=tmp_path / "pin").open()
    with pytest.raises(PersonNeeded, match="cannot be read"):
        await harness(sim.ports[0], pin_file=tmp_path / "absent").open()


async def test_a_missing_sim_is_told(simulator: Start, harness: Make) -> None:
    sim = simulator("--no-sim")
    with pytest.raises(NoSim):
        await harness(sim.ports[0]).open()


async def test_an_absent_port_is_told(harness: Make, tmp_path: Path) -> None:
    with pytest.raises(PortAbsent, match="plug"):
        await harness(tmp_path / "ttyUSB9").open()


async def test_a_port_that_is_no_tty_is_told(harness: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PersonNeeded, match="not a serial port"):
        await harness(tmp_path / "file").open()


async def test_a_held_port_names_its_holder(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    with pytest.raises(PortBusy):
        await harness(sim.ports[0]).open()
    await route.close()
    descriptor = os.open(sim.ports[0], os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(PortBusy, match="held by"):
            await harness(sim.ports[0]).open()
    finally:
        os.close(descriptor)
    await harness(sim.ports[0]).open()


@pytest.mark.parametrize(
    "code, expected, words",
    [
        (errno.ENOENT, PortAbsent, "doctor"),
        (errno.EBUSY, PortBusy, "ModemManager"),
        (errno.EAGAIN, PortBusy, "PID 612"),
        (errno.EACCES, PersonNeeded, "usermod -aG dialout"),
        (errno.ENOTTY, PersonNeeded, "not a serial port"),
    ],
)
def test_errors_of_the_system_become_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: type, words: str
) -> None:
    monkeypatch.setattr(ports, "_YOUNG_S", 0.0)
    device = tmp_path / "ttyUSB0"
    device.write_text("")
    (tmp_path / "proc" / "612" / "fd").mkdir(parents=True)
    (tmp_path / "proc" / "612" / "fd" / "5").symlink_to(device)
    (tmp_path / "proc" / "612" / "comm").write_text("ModemManager\n")
    roots = ports.Roots(proc=tmp_path / "proc")
    found = link._open_error(OSError(code, "x"), str(device), roots)
    assert type(found) is expected and words in str(found)


async def test_a_silent_port_is_told_in_bounded_time(
    simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "OPEN_S", 0.3)
    sim = simulator()
    sim.control.fault("hang", at="now")
    with pytest.raises(NoAnswer):
        await harness(sim.ports[0]).open()


async def test_everything_works_over_a_socket(simulator: Start, harness: Make) -> None:
    sim = simulator()
    server = await asyncio.start_server(lambda r, w: _bridge(sim.ports[0], r, w), "127.0.0.1", 0)
    async with server:
        route = harness(f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await route.open()
        assert (await route.send()).tp_mr is not None
        sim.control.deliver("+491511234567", "hello")
        await route.wait_for(InboundPart)
        await route.wait_for(StatusReport)
        await route.close()
    with pytest.raises(PortAbsent):
        await route.open()


async def test_a_socket_that_ends_is_a_lost_link(simulator: Start, harness: Make) -> None:
    sim = simulator()
    writers: list[asyncio.StreamWriter] = []

    async def bridge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await _bridge(sim.ports[0], reader, writer)

    server = await asyncio.start_server(bridge, "127.0.0.1", 0)
    async with server:
        route = harness(f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await route.open()
        writers[0].close()
        assert isinstance(await route.lost(), SessionLost)
        await route.close()


async def test_a_modem_is_found_by_its_imei(simulator: Start, tmp_path: Path) -> None:
    sim = simulator(modems=2)
    roots = _made_tree(tmp_path, [str(port) for port in sim.ports])
    harnesses = [Harness("/dev/null"), Harness("/dev/null")]
    first = await Harness(sim.ports[1]).open(run=False)
    imei = first.link.imei
    await first.close()
    route = harnesses[0]
    route.driver = AtDriver(roots)
    route.settings = AtDriver.Settings(port=f"auto:{imei}")
    session = await route.open()
    assert session.link.imei == imei
    await route.close()
    route.settings = AtDriver.Settings(port="auto:356968000009999")
    with pytest.raises(PortAbsent, match="9999"):
        await route.open()


async def test_doctor_finds_and_judges(simulator: Start, tmp_path: Path) -> None:
    sim = simulator(modems=1)
    driver = AtDriver(_made_tree(tmp_path, [str(sim.ports[0])]))
    (candidate,) = driver.discover()
    assert candidate.usb_id == "12d1:1001" and "by-id" in candidate.port and "interface 00" in candidate.description
    diagnosis = await driver.diagnose(candidate)
    assert diagnosis.ok and diagnosis.facts["iccid"].startswith("89") and diagnosis.facts["port"] == candidate.port
    sim.control.request("registration", state=2)
    assert not (await driver.diagnose(candidate)).ok
    sim.control.request("sim", present=False)
    absent = await driver.diagnose(candidate)
    assert not absent.ok and "SIM" in absent.finding and absent.remedy


async def test_settings_tell_what_is_wrong() -> None:
    for wrong in (
        {"port": "ttyUSB0"},
        {"port": "auto:12"},
        {"port": "/dev/x", "pin": "12"},
        {"port": "/dev/x", "x": 1},
    ):
        with pytest.raises(ValueError):
            TypeAdapter(AtDriver.Settings).validate_python(wrong)


async def test_planning_is_bounded() -> None:
    driver = AtDriver()
    assert [part.alphabet for part in driver.plan("hello", 10)] == ["gsm7"]
    assert {part.alphabet for part in driver.plan("🎉" * 100, 10)} == {"ucs2"}
    for text, most in (("x" * 1000, 2), ("", 10)):
        with pytest.raises(Exception, match=r"parts|empty"):
            driver.plan(text, most)


def _made_tree(root: Path, devices: list[str]) -> ports.Roots:
    for number, device in enumerate(devices):
        usb = root / "sys" / "devices" / f"usb1-{number}"
        interface = usb / f"1-{number}:1.0" / f"ttyUSB{number}"
        interface.mkdir(parents=True)
        (interface.parent / "bInterfaceNumber").write_text("00\n")
        (usb / "idVendor").write_text("12d1\n")
        (usb / "idProduct").write_text("1001\n")
        (usb / "product").write_text("HUAWEI Mobile\n")
        entry = root / "sys" / "class" / "tty" / f"ttyUSB{number}"
        entry.mkdir(parents=True)
        (entry / "device").symlink_to(interface)
        (root / "dev" / "serial" / "by-id").mkdir(parents=True, exist_ok=True)
        (root / "dev" / f"ttyUSB{number}").symlink_to(device)
        (root / "dev" / "serial" / "by-id" / f"usb-HUAWEI-if0{number}").symlink_to(root / "dev" / f"ttyUSB{number}")
    return ports.Roots(sys=root / "sys", dev=root / "dev", proc=root / "proc")


async def _bridge(port: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass octets between a socket and a tty."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, lambda: writer.write(os.read(descriptor, 4096)))
    try:
        while data := await reader.read(4096):
            os.write(descriptor, data)
    except (ConnectionError, asyncio.CancelledError):
        pass
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        writer.close()


def _secret(pin_: str) -> object:
    return Secret(pin_)
