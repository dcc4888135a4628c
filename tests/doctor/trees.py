"""Made trees of /sys, /dev and /proc: a box with a stick in one of its modes. Used by tests and by the proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def stick(
    root: Path, vendor: str, product: str, classes: Sequence[str], *, name: str = "1-1", network: bool = False
) -> Path:
    """A USB device with one interface per class; `network` gives the first one a network card."""
    device = root / "sys/devices/usb1" / name
    for file, text in (("idVendor", vendor), ("idProduct", product), ("manufacturer", "Maker"), ("product", "Stick")):
        _write(device / file, text)
    for number, kind in enumerate(classes):
        interface = device / f"{name}:1.{number}"
        _write(interface / "bInterfaceClass", kind)
        _write(interface / "bInterfaceNumber", f"{number:02}")
    if network:
        (device / f"{name}:1.0" / "net" / "eth1").mkdir(parents=True)
    bus = root / "sys/bus/usb/devices"
    bus.mkdir(parents=True, exist_ok=True)
    (bus / name).symlink_to(device)
    return device


def port(root: Path, device: Path, interface: int, tty: str, target: str = "/dev/null") -> str:
    """Give an interface of a stick a tty; `target` is what opens behind it. Returns the path of its node."""
    home = device / f"{device.name}:1.{interface}" / tty
    home.mkdir(parents=True)
    entry = root / "sys/class/tty" / tty
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(home)
    node = root / "dev" / tty
    node.parent.mkdir(parents=True, exist_ok=True)
    node.symlink_to(target)
    return str(node)


def process(root: Path, pid: int, name: str, *held: str) -> None:
    """A running program, and what it has open."""
    _write(root / f"proc/{pid}/comm", name)
    for number, target in enumerate(held):
        descriptor = root / f"proc/{pid}/fd/{number + 3}"
        descriptor.parent.mkdir(parents=True, exist_ok=True)
        descriptor.symlink_to(target)


def cd_rom(root: Path) -> None:
    """Freshly plugged in, not switched: it offers its Windows driver."""
    stick(root, "12d1", "1f01", ["08"])


def hilink(root: Path) -> None:
    """A router of its own: a network card with a web page."""
    stick(root, "12d1", "14dc", ["02", "0a", "08"], network=True)


def network_card(root: Path) -> None:
    """QMI or MBIM, with the AT ports left out."""
    stick(root, "2c7c", "0125", ["ff"], network=True)


def no_driver(root: Path) -> None:
    """AT ports that no driver of the kernel makes ttys of."""
    stick(root, "19d2", "0117", ["ff", "ff", "ff"])


WRONG_MODES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "cd_rom": (cd_rom, "shows itself as a CD-ROM", "usb-modeswitch"),
    "hilink": (hilink, "HiLink mode", "Switch it to modem mode"),
    "network_card": (network_card, "network card mode", "AT ports"),
    "no_driver": (no_driver, "no driver of the kernel", "modprobe option"),
}
"""Name → how it is made, what doctor says, and what it advises."""
