"""One pty: opened raw, linked under a stable name, read and written without ever blocking.

Knows bytes only. The simulator keeps the client's side open itself, so that a client may close, crash and
come back: what it has not read stays in the tty, as far as the tty's buffer reaches.
"""

import asyncio
import fcntl
import os
import termios
import tty
from collections.abc import Callable
from pathlib import Path

_READ_OCTETS = 65536
# What a client that never reads can make us hold, in octets; beyond it output is lost, as on a real line.
_MAX_PENDING_OCTETS = 1 << 20


class Terminal:
    """A pty under `link`; `on_data` gets what the client wrote; `device` is its own name (/dev/pts/3)."""

    def __init__(self, link: Path, on_data: Callable[[bytes], None]) -> None:
        self.link = link
        self._on_data = on_data
        self._pending = bytearray()
        self._chunk_octets = 0
        self._chunk_gap_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_waiting = False
        self.lost_octets = 0
        self._loop = asyncio.get_running_loop()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        _link(link, Path(self.device))
        self._loop.add_reader(self._master, self._readable)

    def write(self, data: bytes) -> None:
        """Sends now what the tty takes and the rest when it takes more."""
        if not data or self._master < 0:
            return
        if self._pending or self._chunk_octets:
            self._queue(data)
            return
        try:
            sent = os.write(self._master, data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._queue(data[sent:])

    def chunk(self, octets: int, gap_s: float) -> None:
        """From now on output comes `octets` at a time, `gap_s` apart; 0 octets ends that."""
        self._chunk_octets, self._chunk_gap_s = octets, gap_s

    def release_exclusive(self) -> None:
        """Ends the TIOCEXCL of a vanished client: a real tty forgets it at the last close."""
        fcntl.ioctl(self._slave, termios.TIOCNXCL)

    def close(self) -> None:
        """The plug is pulled: the client sees a hang-up, the link is gone, unread bytes are lost."""
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        if self._timer is not None:
            self._timer.cancel()
        self._pending.clear()
        if self.link.is_symlink() and str(self.link.readlink()) == self.device:
            self.link.unlink()
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._master, _READ_OCTETS)
        except BlockingIOError:
            return
        if data:
            self._on_data(data)

    def _queue(self, data: bytes) -> None:
        room = _MAX_PENDING_OCTETS - len(self._pending)
        self.lost_octets += max(0, len(data) - room)
        self._pending += data[:room]
        self._schedule()

    def _schedule(self) -> None:
        if self._chunk_octets:
            if self._timer is None:
                self._timer = self._loop.call_later(self._chunk_gap_s, self._flush_chunk)
        elif not self._is_waiting:
            self._is_waiting = True
            self._loop.add_writer(self._master, self._flush)

    def _flush_chunk(self) -> None:
        self._timer = None
        size = self._chunk_octets or len(self._pending)
        self._send_pending(size)
        if self._pending:
            self._schedule()

    def _flush(self) -> None:
        self._send_pending(len(self._pending))
        if not self._pending or self._chunk_octets:
            self._loop.remove_writer(self._master)
            self._is_waiting = False
            if self._pending:
                self._schedule()

    def _send_pending(self, size: int) -> None:
        try:
            sent = os.write(self._master, self._pending[:size])
        except BlockingIOError:
            sent = 0
        del self._pending[:sent]


def _link(link: Path, target: Path) -> None:
    """Points the link at the pty in one step, so that no client ever finds a half-made name."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
