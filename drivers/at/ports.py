"""Where modems may be, and who holds a port: reads /sys, /dev and /proc, opens nothing.

The three roots are parameters, so that a made tree serves as well as a real one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from drivers.api import Candidate

AUTO_PREFIX = "auto:"
NETWORK_PREFIXES = ("socket://", "rfc2217://")

_UART_PATTERNS = ("ttyAMA*", "ttyS*", "ttymxc*", "ttyHS*")
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Roots:
    """The file systems that the kernel tells its story in."""

    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")


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
