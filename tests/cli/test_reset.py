"""The steps with a modem that need root: only what is configured, by whoever may write the configuration."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from agent.cli import reset
from agent.cli.exits import Fault
from drivers.at import ports, privileged, rungs
from drivers.at.recovery import Rung
from drivers.at.settings import AtSettings
from tests.at.test_opening import _made_tree
from tests.cli.conftest import Cli


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stick on a made bus, its route, and a power_cycle that leaves a mark."""
    monkeypatch.setattr(rungs, "UNAUTHORIZED_S", 0.01)
    _made_tree(tmp_path, ["/dev/null"])
    (tmp_path / "requests").mkdir()
    (tmp_path / "etc").mkdir(mode=0o755)
    config = tmp_path / "etc/config.toml"
    config.write_text(f"""
[[route]]
name = "sim0"
port = "{tmp_path}/dev/ttyUSB0"
power_cycle = ["touch", "{tmp_path}/power"]
[[route]]
name = "sim1"
port = "auto:867000000000001"
""")
    config.chmod(0o640)
    switch(tmp_path).write_text("1")
    return tmp_path


def roots(box: Path) -> ports.Roots:
    return ports.Roots(box / "sys", box / "dev", box / "proc", box / "requests")


def switch(box: Path) -> Path:
    parent = ports.usb_device(f"{box}/dev/ttyUSB0", roots(box))
    assert parent is not None
    return parent / "authorized"


def carry_out(box: Path, *wanted: tuple[str, Rung]) -> list[str | None]:
    done = reset.carry_out(list(wanted), box / "etc/config.toml", roots(box), owner=os.getuid())
    return [error for _, _, error in done]


def test_a_configured_stick_is_switched_off_and_on(box: Path) -> None:
    before = switch(box).stat().st_mtime_ns
    assert carry_out(box, ("sim0", Rung.USB)) == [None]
    assert switch(box).read_text() == "1" and switch(box).stat().st_mtime_ns > before


def test_its_power_is_cycled_by_the_configured_command_only(box: Path) -> None:
    assert carry_out(box, ("sim0", Rung.POWER)) == [None]
    assert (box / "power").exists()


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (("sim9", Rung.USB), "there is no modem of that name; configured are: sim0, sim1"),
        (("sim1", Rung.USB), "port auto: names no device"),
        (("sim1", Rung.POWER), "it has no power_cycle"),
    ],
)
def test_what_is_not_configured_is_refused(box: Path, wanted: tuple[str, Rung], sentence: str) -> None:
    (error,) = carry_out(box, wanted)
    assert error is not None and error.startswith(sentence)


@pytest.mark.parametrize("place", ["etc", "etc/config.toml"])
def test_a_configuration_that_others_can_write_is_not_obeyed(box: Path, place: str) -> None:
    (box / place).chmod(0o777)
    with pytest.raises(Fault, match="can be written by others than root"):
        carry_out(box, ("sim0", Rung.POWER))
    assert not (box / "power").exists()


def test_a_configuration_of_another_owner_is_not_obeyed(box: Path) -> None:
    with pytest.raises(Fault, match="chown root:phonebridge"):
        reset.carry_out([], box / "etc/config.toml", roots(box), owner=os.getuid() + 1)


def test_requests_are_taken_out_and_nothing_but_a_name_and_a_word_is_believed(box: Path) -> None:
    folder = box / "requests"
    (folder / "sim0").write_text("usb")
    (folder / "sim1").write_text("power\n")
    (folder / "sim2").write_text("rm -rf /")
    (folder / ".reset-sim3").write_text("usb")
    (folder / "a b").write_text("usb")
    (folder / "sim4").symlink_to(box / "etc/config.toml")
    os.mkfifo(folder / "sim5")
    (folder / "sim6").mkdir()
    assert reset.take(folder) == [("sim0", Rung.USB), ("sim1", Rung.POWER)]
    assert list(folder.iterdir()) == []
    assert (box / "etc/config.toml").exists()


def test_a_directory_of_requests_that_is_a_link_is_not_followed(box: Path) -> None:
    (box / "link").symlink_to(box / "requests")
    with pytest.raises(OSError):
        reset.take(box / "link")


def test_the_ladder_asks_root_first(box: Path) -> None:
    settings = AtSettings(port=f"{box}/dev/ttyUSB0")
    before = switch(box).stat().st_mtime_ns

    async def climb() -> list[tuple[str, Rung]]:
        step = asyncio.create_task(rungs.carry_out(Rung.USB, settings, settings.port, roots(box), "sim0"))
        async with asyncio.timeout(30):
            while not (found := reset.take(box / "requests")):
                await asyncio.sleep(0.01)
            await step
        return found

    assert asyncio.run(climb()) == [("sim0", Rung.USB)]
    assert switch(box).stat().st_mtime_ns == before  # root's to do now


def test_where_nobody_takes_the_request_it_is_done_without_root(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileged, "TAKEN_S", 0.05)
    settings = AtSettings(port=f"{box}/dev/ttyUSB0")
    before = switch(box).stat().st_mtime_ns
    asyncio.run(rungs.carry_out(Rung.USB, settings, settings.port, roots(box), "sim0"))
    assert switch(box).stat().st_mtime_ns > before
    assert list((box / "requests").iterdir()) == []


def test_wrong_use_is_one_sentence(cli: Cli) -> None:
    assert cli("reset").code == 2
    assert cli("reset", "sim0", "--requests", "/x").code == 2
