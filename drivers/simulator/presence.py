"""Notices clients that open and close a pty, by inotify, and logs them.

A pty that the simulator holds open never sees its last close; without this, a TIOCEXCL left by a killed
client would lock everybody but root out for good. Where inotify is missing, only that is lost.
"""

import asyncio
import ctypes
import os
import struct

from drivers.simulator.log import EventLog
from drivers.simulator.terminal import Terminal

# <sys/inotify.h>
_IN_OPEN = 0x20
_IN_CLOSE = 0x08 | 0x10
_IN_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_HEADER = struct.Struct("iIII")


class Presence:
    """Counts the openings of each watched pty."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._library.inotify_init1(_IN_FLAGS)
        self._watched: dict[int, tuple[Terminal, int]] = {}
        self._clients: dict[int, int] = {}
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self._readable)

    def watch(self, terminal: Terminal, modem: int) -> None:
        """Starts counting; the simulator's own descriptor is open already and not counted."""
        if self._descriptor < 0:
            return
        path = os.fsencode(terminal.device)
        key: int = self._library.inotify_add_watch(self._descriptor, path, _IN_OPEN | _IN_CLOSE)
        if key >= 0:
            self._watched[key] = (terminal, modem)
            self._clients[key] = 0

    def forget(self, terminal: Terminal) -> None:
        """Stops counting, before the pty is closed."""
        for key in [key for key, (watched, _) in self._watched.items() if watched is terminal]:
            del self._watched[key]
            self._library.inotify_rm_watch(self._descriptor, key)

    def close(self) -> None:
        """Ends the watch."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _readable(self) -> None:
        data = os.read(self._descriptor, 4096)
        offset = 0
        while offset < len(data):
            key, mask, _, name_octets = _HEADER.unpack_from(data, offset)
            offset += _HEADER.size + name_octets
            if key in self._watched:
                self._note(key, mask)

    def _note(self, key: int, mask: int) -> None:
        terminal, modem = self._watched[key]
        if mask & _IN_OPEN:
            self._clients[key] += 1
            self._log.write(modem, "client_open", clients=self._clients[key])
        elif mask & _IN_CLOSE:
            self._clients[key] = max(0, self._clients[key] - 1)
            self._log.write(modem, "client_close", clients=self._clients[key])
            if self._clients[key] == 0:
                terminal.release_exclusive()
