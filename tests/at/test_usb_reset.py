"""The USB reset as it is carried out: the device's node from a made /sys, opened for real; only the ioctl is a seam."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from drivers.api import RecoveryStep
from drivers.at import ports, rungs, usb_reset
from drivers.at.recovery import Rung
from drivers.at.settings import AtSettings
from drivers.at.usb_reset import NotReset
from tests.at.test_opening import _made_tree


class Kernel:
    """Takes the request as the kernel would: on an open descriptor of the device's node."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.resets: list[Path] = []

    def __call__(self, descriptor: int, request: int, argument: int) -> int:
        # linux/usbdevice_fs.h: USBDEVFS_RESET is _IO('U', 20), which is no direction, no size, type and number.
        assert (request, argument) == (ord("U") << 8 | 20, 0)
        assert stat.S_ISREG(os.fstat(descriptor).st_mode)
        assert os.get_inheritable(descriptor) is False
        if self.number:
            raise OSError(self.number, os.strerror(self.number))
        self.resets.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        return 0


@pytest.fixture
def tree(tmp_path: Path) -> ports.Roots:
    """Two sticks, of which the second is device 7 on bus 1."""
    roots = _made_tree(tmp_path, ["/dev/null", "/dev/zero"])
    for number, device in ((0, 4), (1, 7)):
        usb = tmp_path / "sys" / "devices" / f"usb1-{number}"
        (usb / "busnum").write_text("1\n")
        (usb / "devnum").write_text(f"{device}\n")
        node = roots.dev / "bus" / "usb" / "001" / f"{device:03}"
        node.parent.mkdir(parents=True, exist_ok=True)
        node.touch()
    return roots


def test_the_device_behind_the_port_is_reset_and_no_other(tree: ports.Roots) -> None:
    kernel = Kernel()
    usb_reset.reset(str(tree.dev / "ttyUSB1"), tree, kernel)
    # The stable name leads to the same device.
    usb_reset.reset(str(tree.dev / "serial" / "by-id" / "usb-HUAWEI-if01"), tree, kernel)
    assert kernel.resets == [tree.dev / "bus" / "usb" / "001" / "007"] * 2


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "write access to {node} (a udev rule), or set `power_cycle`"),
        (errno.EPERM, "write access to {node} (a udev rule), or set `power_cycle`"),
        (errno.ENODEV, "is gone ({node}); unplug the modem and plug it in"),
        (errno.EIO, "could not be reset (Input/output error); unplug the modem"),
    ],
)
def test_a_refusal_says_what_to_do(tree: ports.Roots, number: int, words: str) -> None:
    port = tree.dev / "ttyUSB1"
    with pytest.raises(NotReset) as caught:
        usb_reset.reset(str(port), tree, Kernel(number))
    assert words.format(node=tree.dev / "bus" / "usb" / "001" / "007") in str(caught.value)
    assert caught.value.errno == number


def test_a_node_that_is_gone_says_so(tree: ports.Roots) -> None:
    (tree.dev / "bus" / "usb" / "001" / "007").unlink()
    with pytest.raises(NotReset, match="is gone"):
        usb_reset.reset(str(tree.dev / "ttyUSB1"), tree, Kernel())


def test_a_port_without_usb_says_so(tree: ports.Roots) -> None:
    with pytest.raises(NotReset, match="belongs to no USB device"):
        usb_reset.reset(str(tree.dev / "ttyS0"), tree, Kernel())


def test_a_device_on_its_way_out_says_so(tree: ports.Roots) -> None:
    (tree.sys / "devices" / "usb1-1" / "devnum").unlink()
    with pytest.raises(NotReset, match="is going away"):
        usb_reset.reset(str(tree.dev / "ttyUSB1"), tree, Kernel())


async def test_the_rung_resets_where_sys_may_not_be_written(tree: ports.Roots) -> None:
    # A file that cannot be written by root either: a directory in its place.
    (tree.sys / "devices" / "usb1-1" / "authorized").mkdir()
    kernel = Kernel()
    await rungs.reset_usb(str(tree.dev / "ttyUSB1"), tree, kernel)
    assert kernel.resets == [tree.dev / "bus" / "usb" / "001" / "007"]


async def test_the_rung_tells_why_it_was_not_done(tree: ports.Roots) -> None:
    device = str(tree.dev / "ttyUSB1")
    (tree.sys / "devices" / "usb1-1" / "authorized").mkdir()
    # The real ioctl on a plain file: the kernel knows no such request there.
    problem = await rungs.carry_out(Rung.USB, AtSettings(port=device), device, tree, "test")
    assert problem is not None and "could not be reset (Inappropriate ioctl for device)" in problem
    assert RecoveryStep(Rung.USB.value, problem).sentence == problem


CONFIG = """
[[route]]
name = "sim0"
port = "{port}"

[[route]]
name = "bob"
driver = "yazsana"
port = "/dev/ttyUSB0"
"""


@pytest.mark.parametrize(
    ("configured", "asked", "status", "words"),
    [
        ("ttyUSB1", "ttyUSB1", 0, ""),
        ("serial/by-id/usb-HUAWEI-if01", "ttyUSB1", 0, ""),
        ("auto:356968000000000", "ttyUSB1", 0, ""),
        ("ttyUSB1", "ttyUSB0", 1, "is the port of no route; nothing else is reset"),
        ("auto:356968000000000", "ttyS0", 1, "is the port of no route"),
        ("socket://10.0.0.1:7000", "ttyUSB1", 1, "is the port of no route"),
    ],
)
def test_the_program_resets_configured_ports_only(
    tree: ports.Roots,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    configured: str,
    asked: str,
    status: int,
    words: str,
) -> None:
    config = tmp_path / "config.toml"
    port = configured if ":" in configured else str(tree.dev / configured)
    config.write_text(CONFIG.format(port=port))
    kernel = Kernel()
    assert usb_reset.main(["--config", str(config), str(tree.dev / asked)], roots=tree, ioctl=kernel) == status
    assert words in capsys.readouterr().err
    assert len(kernel.resets) == (status == 0)


def test_a_broken_configuration_resets_nothing(
    tree: ports.Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[[route")
    assert usb_reset.main(["--config", str(config), str(tree.dev / "ttyUSB1")], roots=tree, ioctl=Kernel()) == 1
    assert "cannot be read" in capsys.readouterr().err
