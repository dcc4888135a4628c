"""What the daemon tells systemd: sd_notify(3) by a datagram socket, without a library.

Outside systemd (no NOTIFY_SOCKET) everything here does nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

# WatchdogSec is the latest moment; a tick at a third of it survives one that comes late.
_TICKS_PER_WATCHDOG = 3


def notify(*lines: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send assignments such as "READY=1", "STATUS=…", "WATCHDOG=1", "STOPPING=1" in one datagram.

    Whether systemd took it. A notification is advice: a socket that is gone or full stops nothing.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract name space
    # A status is one line; a newline in it would begin another assignment.
    message = "\n".join(" ".join(line.splitlines()) for line in lines).encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            link.setblocking(False)
            link.connect(address)
            link.sendall(message)
    except OSError:
        return False
    return True


def reloading(environment: Mapping[str, str] = os.environ) -> bool:
    """Say that the configuration is being applied; READY=1 ends it. The time is what Type=notify-reload compares."""
    now_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    return notify("RELOADING=1", f"MONOTONIC_USEC={now_usec}", environment=environment)


def watchdog_interval_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """How often to send WATCHDOG=1, in seconds; None where systemd does not watch this process."""
    for_pid = environment.get("WATCHDOG_PID", "")
    if for_pid and for_pid != str(os.getpid()):
        return None
    try:
        usec = int(environment.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return usec / 1e6 / _TICKS_PER_WATCHDOG if usec > 0 else None
