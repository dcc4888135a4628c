"""A modem at the byte seam: what is written is looked up, and the answer comes whole, octet by octet or later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Answer = bytes | Callable[[], bytes]


class ScriptedModem:
    """A transport whose answers stand in a table; what is not in it gets `otherwise`, or nothing."""

    def __init__(self, answers: dict[str, Answer], *, otherwise: bytes | None = b"\r\nOK\r\n") -> None:
        self.answers = {"AT+CMGF?": b"\r\n+CMGF: 0\r\n\r\nOK\r\n", **answers}
        self.otherwise = otherwise
        self.written: list[bytes] = []
        self.protocol: asyncio.Protocol | None = None
        self.is_aborted = False
        self.chunk = 0
        self.delay_s = 0.0
        self._loop = asyncio.get_running_loop()

    def attach(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol
        protocol.connection_made(self)  # type: ignore[arg-type]

    @property
    def commands(self) -> list[str]:
        return [data.decode("latin-1").strip() for data in self.written if data not in (b"\x1b", b"\r")]

    def write(self, data: bytes) -> None:
        self.written.append(data)
        key = data.decode("latin-1").rstrip("\r")
        answer = self.answers.get(key, self.otherwise if key not in ("", "\x1b") else None)
        if callable(answer):
            answer = answer()
        if answer:
            self.say(answer)

    def say(self, data: bytes) -> None:
        """Let octets arrive, as many at a time and as late as is set."""
        size = self.chunk or len(data)
        for number, start in enumerate(range(0, len(data), size)):
            self._loop.call_later(self.delay_s * (number + 1), self._deliver, data[start : start + size])

    def abort(self) -> None:
        if not self.is_aborted:
            self.is_aborted = True
            self._loop.call_soon(self.protocol.connection_lost, None)  # type: ignore[union-attr]

    def _deliver(self, data: bytes) -> None:
        if not self.is_aborted and self.protocol is not None:
            self.protocol.data_received(data)
