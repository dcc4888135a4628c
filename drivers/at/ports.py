"""Where modems may be, and who holds a port: knows /sys, /dev and /proc, opens no port.

The three roots are parameters, so that a made tree serves as well as a real one.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

from drivers.api import Candidate
from drivers.values import dataclass

AUTO_PREFIX = "auto:"
NETWORK_PREFIXES = ("socket://", "rfc2217://")

_UART_PATTERNS = ("ttyAMA*", "ttyS*", "ttymxc*", "ttyHS*")
_MAX_DEPTH = 8
_LOOK_S = 0.25
_NETWORK_PAUSE_S = 1.0
_YOUNG_S = 5.0
_MASS_STORAGE, _VENDOR = "08", "ff"
_MOBILE_BROADBAND = {"02", "ff"}
"""bInterfaceClass, as /sys writes it: communications (MBIM) and vendor specific (QMI, and AT ports)."""

MODEM_MAKERS = {
    "12d1": "Huawei", "19d2": "ZTE", "1199": "Sierra", "2c7c": "Quectel", "1e0e": "SIMCom", "1bc7": "Telit",
    "2cb7": "Fibocom", "1546": "u-blox", "1e2d": "Cinterion", "1bbb": "Alcatel", "2001": "D-Link", "0af0": "Option",
}  # fmt: skip
"""USB vendor ids of sticks and modules; others are none of our business."""


@dataclass(frozen=True, slots=True)
class Roots:
    """The file systems that the kernel tells its story in."""

    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    requests: Path = Path("/run/phonebridge/reset")
    """Where what needs root is asked for; see `privileged`."""


def is_network(port: str) -> bool:
    return port.startswith(NETWORK_PREFIXES)


def candidates(roots: Roots) -> list[Candidate]:
    """List serial ports worth a look, USB first; the name to configure is by-path, else by-id, else the node."""
    names = _stable_names(roots)
    found = []
    for entry in _sorted_ttys(roots):
        device = str(roots.dev / entry.name)
        usb = _usb_parent(entry)
        if usb is None:
            found.append(Candidate(names.get(entry.name, device), device, "serial port (UART)"))
            continue
        words = " ".join(filter(None, (_read(usb / "manufacturer"), _read(usb / "product"))))
        interface = _interface(entry)
        description = f"{words or 'USB serial'}" + (f", interface {interface}" if interface else "")
        usb_id = f"{_read(usb / 'idVendor')}:{_read(usb / 'idProduct')}"
        found.append(Candidate(names.get(entry.name, device), device, description, usb_id))
    return found


def describe(port: str, roots: Roots) -> Candidate:
    """Return the candidate of a configured port, known to /sys or not."""
    real = os.path.realpath(port)
    for candidate in candidates(roots):
        if port in (candidate.port, candidate.device) or real == os.path.realpath(candidate.device):
            return candidate
    return Candidate(port, port, "network port" if is_network(port) else "port")


def listing(roots: Roots) -> tuple[tuple[str, int], ...]:
    """Return the USB serial ports there are now, each with what tells it from an earlier one of the same name."""
    found = []
    for pattern in ("ttyUSB*", "ttyACM*"):
        for node in roots.dev.glob(pattern):
            with suppress(OSError):
                found.append((node.name, node.stat().st_ctime_ns))
    return tuple(sorted(found))


def is_there(port: str) -> bool:
    return Path(port).exists()


def is_young(port: str) -> bool:
    """Tell whether the node has just been made, so that udev may not have set its permissions yet."""
    try:
        return time.time() - Path(port).stat().st_ctime < _YOUNG_S
    except OSError:
        return False


async def wait_for(port: str, before: tuple[tuple[str, int], ...], roots: Roots, *, watches_all: bool) -> None:
    """Return once the port is there, or, with `watches_all`, once other USB ports are there than `before`.

    Four looks a second while a modem is missing, and none otherwise: that costs less than keeping a udev monitor,
    which would have to be told apart by the same paths in the end.
    """
    if is_network(port):
        await asyncio.sleep(_NETWORK_PAUSE_S)
        return
    is_path = not port.startswith(AUTO_PREFIX)
    if is_path and is_there(port):
        # It is there and could not be opened: no event will tell when that changes.
        await asyncio.sleep(_LOOK_S if is_young(port) else _NETWORK_PAUSE_S)
        return
    while True:
        await asyncio.sleep(_LOOK_S)
        if (is_path and is_there(port)) or (watches_all and listing(roots) != before):
            return


@dataclass(frozen=True, slots=True)
class Portless:
    """A stick that is plugged in and has no serial port. `finding` names it; `remedy` is the next step."""

    usb_id: str
    named: str
    finding: str
    remedy: str


def absence(roots: Roots) -> str | None:
    """Return why a modem may have no port, with the next step; None where no stick lacks one."""
    found = portless(roots)
    return f"{found[0].finding.rstrip('.')}; {found[0].remedy.rstrip('.')}" if found else None


def portless(roots: Roots) -> list[Portless]:
    """List sticks without a serial port: as a CD-ROM, with a web page of their own, as a network card, or with no
    driver that makes ports of them."""
    found = []
    for device in sorted((roots.sys / "bus" / "usb" / "devices").glob("*")):
        vendor = _read(device / "idVendor")
        if vendor not in MODEM_MAKERS or any(device.glob("*/tty*")) or any(device.glob("*/*/tty*")):
            continue
        classes = {_read(file) for file in device.glob("*:*/bInterfaceClass")}
        usb_id = f"{vendor}:{_read(device / 'idProduct')}"
        named = f"{MODEM_MAKERS[vendor]} ({usb_id})"
        if (judged := _judge(named, usb_id, classes, has_network=any(device.glob("*:*/net")))) is not None:
            found.append(Portless(usb_id, named, *judged))
    return found


def _judge(named: str, usb_id: str, classes: set[str], *, has_network: bool) -> tuple[str, str] | None:
    """Finding and remedy, from the classes of the interfaces (bInterfaceClass) of a stick without a tty."""
    if classes and classes <= {_MASS_STORAGE}:
        return (
            f"The stick of {named} shows itself as a CD-ROM.",
            "Install usb-modeswitch (sudo apt-get install usb-modeswitch) and plug the stick in again.",
        )
    if has_network and _MOBILE_BROADBAND & classes and _VENDOR in classes:
        return (
            f"The stick of {named} is in network card mode (QMI or MBIM), without a serial port.",
            "Switch it to a mode with AT ports, as its maker describes (AT+QCFG, AT^SETPORT, AT+ZCDRUN and the like).",
        )
    if has_network:
        return (
            f"The stick of {named} is in HiLink mode, a network card without a serial port.",
            "Switch it to modem mode (usb-modeswitch), or take another stick.",
        )
    if _VENDOR in classes:
        vendor, _, product = usb_id.partition(":")
        return (
            f"The stick of {named} has ports that no driver of the kernel serves.",
            "Load it: sudo modprobe option && "
            f"echo {vendor} {product} | sudo tee /sys/bus/usb-serial/drivers/option1/new_id",
        )
    return None


def usb_device(device: str, roots: Roots) -> Path | None:
    """Return the directory in /sys of the USB device that a tty belongs to; None where there is none."""
    entry = roots.sys / "class" / "tty" / Path(os.path.realpath(device)).name
    if not entry.exists():
        linked = [link for link in roots.dev.glob("tty*") if os.path.realpath(link) == os.path.realpath(device)]
        entry = roots.sys / "class" / "tty" / (linked[0].name if linked else "-")
    return _usb_parent(entry)


def holder(device: str, roots: Roots) -> str | None:
    """Return who has the device open, e.g. "ModemManager (PID 612)"; None where /proc does not tell us."""
    wanted = os.path.realpath(device)
    for process in roots.proc.iterdir() if roots.proc.is_dir() else ():
        if not process.name.isdigit() or process.name == str(os.getpid()):
            continue
        try:
            held = any(str(entry.readlink()) == wanted for entry in (process / "fd").iterdir())
        except OSError:
            # Gone, or another user's: both are common, and neither is our business.
            continue
        if held:
            return f"{_read(process / 'comm') or 'a program'} (PID {process.name})"
    return None


def _sorted_ttys(roots: Roots) -> list[Path]:
    root = roots.sys / "class" / "tty"
    usb = [entry for pattern in ("ttyUSB*", "ttyACM*") for entry in root.glob(pattern)]
    uarts = [entry for pattern in _UART_PATTERNS for entry in root.glob(pattern) if _is_real_uart(entry)]
    return [*sorted(usb, key=_natural), *sorted(uarts, key=_natural)]


def _is_real_uart(entry: Path) -> bool:
    """Tell a port from the kernel's placeholders: those have a type of 0 (PORT_UNKNOWN)."""
    return (entry / "device").exists() and _read(entry / "type") not in ("0",)


def _natural(entry: Path) -> tuple[str, int]:
    stem = entry.name.rstrip("0123456789")
    return stem, int(entry.name[len(stem) :] or 0)


def _stable_names(roots: Roots) -> dict[str, str]:
    names: dict[str, str] = {}
    for kind in ("by-id", "by-path"):
        folder = roots.dev / "serial" / kind
        links = [link for link in folder.iterdir() if link.is_symlink()] if folder.is_dir() else []
        for link in sorted(links):
            names[link.readlink().name] = str(link)
    return names


def _usb_parent(entry: Path) -> Path | None:
    """Walk up from the tty to the USB device, which is the first directory with an idVendor."""
    if not (entry / "device").exists():
        return None
    here = (entry / "device").resolve()
    for _ in range(_MAX_DEPTH):
        if (here / "idVendor").exists():
            return here
        here = here.parent
    return None


def _interface(entry: Path) -> str | None:
    here = (entry / "device").resolve()
    for _ in range(3):
        if (here / "bInterfaceNumber").exists():
            return _read(here / "bInterfaceNumber")
        here = here.parent
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
