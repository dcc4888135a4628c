"""Resets the USB device behind a serial port, by the kernel's own request: as if it were unplugged and plugged in.

A rung of the recovery ladder; and a program of its own, for a helper with more rights than the service has:
`python -m drivers.at.usb_reset --config FILE PORT` resets a port that a `[[route]]` of that file names, and no other.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import sys
import tomllib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from drivers.at import ports

USBDEVFS_RESET = 0x5514
"""_IO('U', 20) of linux/usbdevice_fs.h."""

Ioctl = Callable[[int, int, int], object]


class NotReset(OSError):
    """It was not reset. `str()` is one sentence with the next step."""

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(number, sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def reset(port: str, roots: ports.Roots, ioctl: Ioctl = fcntl.ioctl) -> None:
    """Reset the USB device of a tty; blocks until the kernel has done it. Its ports appear anew.

    Raises: NotReset.
    """
    node = device_node(port, roots)
    try:
        descriptor = os.open(node, os.O_WRONLY | os.O_CLOEXEC)
        try:
            ioctl(descriptor, USBDEVFS_RESET, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        number = error.errno or 0
        raise NotReset(number, _sentence(number, port, node)) from error


def device_node(port: str, roots: ports.Roots) -> Path:
    """Return /dev/bus/usb/BUS/DEVICE of the USB device that a tty belongs to. Raises: NotReset."""
    parent = ports.usb_device(port, roots)
    if parent is None:
        raise NotReset(errno.ENODEV, f"{port} belongs to no USB device that is plugged in; plug the modem in.")
    try:
        bus, device = (int((parent / name).read_text()) for name in ("busnum", "devnum"))
    except (OSError, ValueError) as error:
        sentence = f"The USB device of {port} is going away ({parent.name}); unplug the modem and plug it in."
        raise NotReset(errno.ENODEV, sentence) from error
    return roots.dev / "bus" / "usb" / f"{bus:03}" / f"{device:03}"


def is_allowed(port: str, configured: Collection[str], roots: ports.Roots) -> bool:
    """Whether a route names this port, in whatever way; for `auto:IMEI`, whether a modem's port it is.

    Which of several modems has the IMEI only the modem itself can tell.
    """
    real = os.path.realpath(port)
    if any(os.path.realpath(name) == real for name in configured if name.startswith("/")):
        return True
    candidate = ports.describe(port, roots)
    maker = (candidate.usb_id or "").partition(":")[0]
    return any(name.startswith(ports.AUTO_PREFIX) for name in configured) and maker in ports.MODEM_MAKERS


def reset_configured(port: str, configured: Collection[str], roots: ports.Roots, ioctl: Ioctl = fcntl.ioctl) -> None:
    """`reset`, for a port that is configured and for no other. Raises: NotReset."""
    if not is_allowed(port, configured, roots):
        raise NotReset(errno.EPERM, f"{port} is the port of no route; nothing else is reset.")
    reset(port, roots, ioctl)


def configured_ports(config: Path) -> list[str]:
    """Return the ports of the modems of a configuration, which need not be right otherwise.

    Raises: NotReset.
    """
    try:
        document = tomllib.loads(config.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise NotReset(errno.EINVAL, f"{config} cannot be read ({error}); name it by --config.") from error
    routes = document.get("route", [])
    tables = [route for route in routes if isinstance(route, dict)] if isinstance(routes, list) else []
    found = [route.get("port") for route in tables if route.get("driver", "at") == "at"]
    return [port for port in found if isinstance(port, str)]


def main(
    arguments: Sequence[str] | None = None, *, roots: ports.Roots | None = None, ioctl: Ioctl = fcntl.ioctl
) -> int:
    """The command line: 0 where it was reset, else 1 with a sentence."""
    parser = argparse.ArgumentParser(prog="python -m drivers.at.usb_reset", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("/etc/phonebridge/config.toml"))
    parser.add_argument("port", help="the tty, as the configuration or the daemon names it")
    given = parser.parse_args(arguments)
    try:
        reset_configured(given.port, configured_ports(given.config), roots or ports.Roots(), ioctl)
    except NotReset as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _sentence(number: int, port: str, node: Path) -> str:
    if number in (errno.EACCES, errno.EPERM):
        return (
            f"The USB device of {port} may not be reset: give the group phonebridge write access to {node} (a udev "
            "rule), or set `power_cycle`."
        )
    if number in (errno.ENODEV, errno.ENOENT, errno.ENXIO):
        return f"The USB device of {port} is gone ({node}); unplug the modem and plug it in."
    return f"The USB device of {port} could not be reset ({os.strerror(number)}); unplug the modem and plug it in."


if __name__ == "__main__":
    sys.exit(main())
