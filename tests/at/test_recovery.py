"""The recovery ladder: which rung when, what each does, and that a modem comes back by the first that helps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from drivers.api import NoAnswer, OpenError, PersonNeeded, PortAbsent, RecoveryStep, SessionLost, TryLater
from drivers.at import driver as driver_module
from drivers.at import link, ports, recovery, rungs, upkeep
from drivers.at.care import NETWORK_FAILURES, NO_SERVICE_S, Care
from drivers.at.driver import AtDriver
from drivers.at.recovery import BOOT_S, HEAVY_GAP_S, HEAVY_PER_DAY, Ladder, Rung, Trouble
from drivers.simulator.process import SimulatorProcess
from tests.at.harness import Harness
from tests.at.test_opening import _made_tree

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")

Start = Callable[..., SimulatorProcess]
Make = Callable[..., Harness]
ALL = frozenset(Rung)


def test_the_gentle_rungs_come_first_and_each_is_taken_once() -> None:
    ladder, now, taken = Ladder(), 0.0, []
    for _ in range(8):
        rung = ladder.next(Trouble.SICK, now, ALL)
        taken.append(rung)
        now += HEAVY_GAP_S
    assert taken[:6] == [Rung.RADIO, Rung.DEFAULTS, Rung.REBOOT, Rung.USB, Rung.POWER, Rung.ALERT]
    assert taken[6] is Rung.REBOOT, "after the alert power is cut now and then all the same"


def test_what_cannot_be_done_is_passed_over() -> None:
    assert Ladder().next(Trouble.SICK, 0.0, frozenset({Rung.POWER})) is Rung.POWER


def test_a_silent_modem_may_be_booting_and_keeps_its_power_for_a_while() -> None:
    ladder = Ladder()
    assert ladder.next(Trouble.SILENT, 0.0, ALL) is Rung.REOPEN
    assert ladder.next(Trouble.SILENT, recovery.PATIENCE_S - 1, ALL) is None
    assert ladder.next(Trouble.SILENT, recovery.PATIENCE_S, ALL) is Rung.USB


def test_heavy_rungs_are_rare_and_nothing_is_done_to_a_modem_that_boots() -> None:
    ladder = Ladder()
    only = frozenset({Rung.REBOOT, Rung.USB})
    assert ladder.next(Trouble.SICK, 0.0, only) is Rung.REBOOT
    assert ladder.next(Trouble.SICK, BOOT_S - 1, only) is None
    assert ladder.next(Trouble.SICK, HEAVY_GAP_S - 1, only) is None
    assert ladder.next(Trouble.SICK, HEAVY_GAP_S, only) is Rung.USB


def test_a_day_has_a_bounded_number_of_reboots() -> None:
    ladder, count = Ladder(), 0
    for minute in range(24 * 60):
        rung = ladder.next(Trouble.SICK, minute * 60.0, frozenset({Rung.REBOOT}))
        count += rung is Rung.REBOOT
    assert count == HEAVY_PER_DAY


def test_a_modem_that_stays_sound_begins_at_the_first_rung_again() -> None:
    ladder = Ladder()
    assert ladder.next(Trouble.SICK, 0.0, ALL) is Rung.RADIO
    assert ladder.sound(10.0) is Rung.RADIO and ladder.sound(11.0) is None
    assert ladder.next(Trouble.SICK, 20.0, ALL) is Rung.DEFAULTS, "it was not sound for long enough"
    ladder.sound(30.0)
    assert ladder.next(Trouble.SICK, 30.0 + recovery.STABLE_S, ALL) is Rung.RADIO


def test_care_knows_when_enough_is_enough() -> None:
    care = Care(Ladder(), lambda _: None)
    busy = TryLater("busy", delays_s=(30.0,), code="CMS 38")
    assert [care.has_failed_too_often(busy) for _ in range(NETWORK_FAILURES)][-2:] == [False, True]
    care.sent()
    assert not care.has_failed_too_often(busy)
    assert not care.is_stranded(0.0) and not care.is_stranded(NO_SERVICE_S - 1) and care.is_stranded(NO_SERVICE_S)
    care.has_service(NO_SERVICE_S)
    assert not care.is_stranded(NO_SERVICE_S + 1)


async def test_a_silent_modem_is_reopened_then_its_power_is_cut_and_every_step_is_told(
    simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(driver_module, "OPEN_S", 0.3)
    monkeypatch.setattr(recovery, "PATIENCE_S", 0.0)
    sim = simulator()
    mark = tmp_path / "cut"
    route = harness(sim.ports[0], power_cycle=("/usr/bin/touch", str(mark)))
    await route.open()
    sim.control.fault("hang", at="now", seconds=0)
    with pytest.raises(NoAnswer):
        await route.open()
    assert mark.exists()
    steps = [event.rung for event in route.events if isinstance(event, RecoveryStep)]
    assert steps == ["reopen", "power", "alert"] or steps == ["reopen", "power"]
    sim.control.request("clear_faults", name="hang")
    with suppress(OpenError):
        await route.open()
    session = await route.open()
    assert (await route.send()).tp_mr is not None and session.link.registration.has_service
    await route.wait_for(RecoveryStep, len(steps) + 1)
    told = [event for event in route.events if isinstance(event, RecoveryStep)]
    assert told[-1].rung == "recovered" and "power" in told[-1].sentence


async def test_a_modem_without_pdu_mode_is_reset_to_its_factory_settings(
    simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rungs, "RADIO_PAUSE_S", 0.01)
    sim = simulator()
    route = harness(sim.ports[0])
    real = rungs.carry_out
    done: list[Rung] = []

    async def watched(rung: Rung, *arguments: object) -> None:
        done.append(rung)
        await real(rung, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rungs, "carry_out", watched)
    refusals = 2
    set_sms = driver_module.startup._set_sms

    async def refused(*arguments: object) -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise driver_module.Unwell("The modem has no PDU mode and cannot be used for SMS.")
        await set_sms(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(driver_module.startup, "_set_sms", refused)
    await route.open()
    assert done == [Rung.RADIO, Rung.DEFAULTS] and (await route.send()).tp_mr is not None


async def test_network_failures_in_a_row_cycle_the_radio(
    simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rungs, "RADIO_PAUSE_S", 0.01)
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.fault("cms_error", 0, NETWORK_FAILURES, code=38, at="answer")
    for _ in range(NETWORK_FAILURES):
        with pytest.raises(TryLater):
            await route.send()
    assert isinstance(await route.lost(), SessionLost)
    await route.open()
    steps = [event.rung for event in route.events if isinstance(event, RecoveryStep)]
    assert steps[0] == "radio" and (await route.send()).tp_mr is not None


async def test_a_modem_long_without_service_is_given_up_for_a_radio_cycle(
    simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rungs, "RADIO_PAUSE_S", 0.01)
    monkeypatch.setattr(upkeep, "UPKEEP_WITHOUT_SERVICE_S", 0.1)
    monkeypatch.setattr("drivers.at.care.NO_SERVICE_S", 0.2)
    sim = simulator("--registration", "2")
    route = harness(sim.ports[0])
    await route.open()
    assert "without a network" in str(await route.lost())
    sim.control.request("registration", state=1)
    await route.open()
    assert next(event.rung for event in route.events if isinstance(event, RecoveryStep)) == "radio"


# --- ports on a made tree ---------------------------------------------------------------------------


def test_usb_power_is_switched_in_sys(tmp_path: Path) -> None:
    roots = _made_tree(tmp_path, ["/dev/null"])
    device = tmp_path / "dev" / "ttyUSB0"
    parent = ports.usb_device(str(device), roots)
    assert parent is not None and parent.name == "usb1-0"
    (parent / "authorized").write_text("1")
    seen: list[str] = []
    real = rungs.UNAUTHORIZED_S
    rungs.UNAUTHORIZED_S = 0.01
    try:

        async def reset() -> None:
            task = asyncio.create_task(rungs.reset_usb(str(device), roots))
            await asyncio.sleep(0)
            seen.append((parent / "authorized").read_text())
            await task

        asyncio.run(reset())
    finally:
        rungs.UNAUTHORIZED_S = real
    assert seen == ["0"] and (parent / "authorized").read_text() == "1"


def _stick(root: Path, name: str, vendor: str, classes: list[str], *, net: bool = False) -> None:
    device = root / "sys" / "bus" / "usb" / "devices" / name
    for number, kind in enumerate(classes):
        interface = device / f"{name}:1.{number}"
        interface.mkdir(parents=True)
        (interface / "bInterfaceClass").write_text(f"{kind}\n")
        if net:
            (interface / "net" / "wwan0").mkdir(parents=True, exist_ok=True)
    (device / "idVendor").write_text(f"{vendor}\n")
    (device / "idProduct").write_text("14fe\n")


@pytest.mark.parametrize(
    "vendor, classes, net, words",
    [
        ("12d1", ["08"], False, "CD-ROM"),
        ("12d1", ["02", "0a"], True, "HiLink"),
        ("19d2", ["08", "08"], False, "ZTE"),
        ("0781", ["08"], False, None),
    ],
)
async def test_a_stick_without_a_port_says_why(
    tmp_path: Path, harness: Make, vendor: str, classes: list[str], net: bool, words: str | None
) -> None:
    _stick(tmp_path, "1-1", vendor, classes, net=net)
    roots = ports.Roots(sys=tmp_path / "sys", dev=tmp_path / "dev", proc=tmp_path / "proc")
    route = harness(tmp_path / "dev" / "ttyUSB0")
    route.driver = AtDriver(roots)
    with pytest.raises(PortAbsent) as raised:
        await route.open()
    assert (words in str(raised.value)) if words else ("usb-modeswitch" not in str(raised.value))


async def test_a_renumbered_modem_is_found_by_its_imei(simulator: Start, tmp_path: Path, harness: Make) -> None:
    sim = simulator()
    roots = _made_tree(tmp_path, [str(sim.ports[0])])
    first = tmp_path / "dev" / "ttyUSB0"
    route = harness(first)
    route.driver = AtDriver(roots)
    imei = (await route.open()).link.imei
    await route.close()
    for name in (first, tmp_path / "dev" / "serial" / "by-id" / "usb-HUAWEI-if00"):
        name.unlink()
    with pytest.raises(PortAbsent):
        await route.open()
    waiting = asyncio.create_task(route.driver.wait_for_port(route.settings))
    (tmp_path / "dev" / "ttyUSB3").symlink_to(sim.ports[0])
    entry = tmp_path / "sys" / "class" / "tty"
    (entry / "ttyUSB0").rename(entry / "ttyUSB3")
    async with asyncio.timeout(30):
        await waiting
    assert (await route.open()).link.imei == imei


async def test_a_replugged_port_is_noticed_within_a_second(tmp_path: Path) -> None:
    driver = AtDriver(ports.Roots(sys=tmp_path / "sys", dev=tmp_path / "dev", proc=tmp_path / "proc"))
    port = tmp_path / "dev" / "ttyUSB0"
    waiting = asyncio.create_task(driver.wait_for_port(AtDriver.Settings(port=str(port))))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    port.parent.mkdir()
    port.write_text("")
    async with asyncio.timeout(30):
        await waiting


def test_a_node_that_udev_has_not_finished_is_no_fault_of_permissions(tmp_path: Path) -> None:
    node = tmp_path / "ttyUSB0"
    node.write_text("")
    assert isinstance(link._open_error(PermissionError(13, "x"), str(node), ports.Roots()), PortAbsent)
    assert isinstance(link._open_error(PermissionError(13, "x"), str(tmp_path / "old"), ports.Roots()), PersonNeeded)


async def test_a_power_cycle_that_fails_or_hangs_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rungs, "_POWER_S", 0.2)
    for command in (("/bin/false",), ("/bin/sleep", "60"), ("/nowhere/program",)):
        settings = SimpleNamespace(power_cycle=command)
        await rungs.carry_out(Rung.POWER, settings, "/dev/x", ports.Roots(), "test")  # type: ignore[arg-type]
