"""What the modem writes: echo, information, finals, prompts, unsolicited lines, in the form of ATV and ATQ.

Unsolicited lines never fall into a PDU that is being typed: they wait for its Ctrl-Z or ESC. A muted output
loses everything, as a hung modem does.
"""

import time
from collections.abc import Callable

from drivers.simulator.device import Device
from drivers.simulator.reply import Failure, failure_text

_NUMERIC = {"OK": "0", "ERROR": "4"}  # V.25ter §6.3.1 under ATV0


class Output:
    """Writes to the line; `write` takes bytes. `finals_at` is when the last final result was written (monotonic)."""

    def __init__(self, device: Device, write: Callable[[bytes], None]) -> None:
        self._device = device
        self._write = write
        self._deferred: list[bytes] = []
        self._is_collecting = False
        self.is_muted = False
        self.finals_at = 0.0

    def raw(self, data: bytes) -> None:
        """Bytes as they are: echo and prompts."""
        if not self.is_muted:
            self._write(data)

    def answer(self, command: str, lines: tuple[str, ...], failure: Failure | None, *, has_final: bool = True) -> None:
        """Information lines and the final result, with whatever faults put before or between them."""
        settings = self._device.settings
        final = "OK" if failure is None else failure_text(failure, settings.error_level)
        last = self._final(final) if has_final and not settings.is_quiet else b""
        faults = self._device.faults
        before = b""
        if faults.armed:
            if garbage := faults.take("garbage", point=command):
                before = bytes.fromhex(garbage.text("hex"))
            if inside := faults.take("urc_inside", point=command, at="answer", command=command):
                place = int(inside.number("after"))
                urc = self._block(inside.text("line"))
                before += self._information(lines[:place]) + urc
                lines = lines[place:]
        self.finals_at = time.monotonic()
        self.raw(before + self._information(lines) + last)

    def urc(self, *lines: str) -> None:
        """One unsolicited block, now or behind the PDU that is being typed."""
        if self.is_muted:
            return
        block = self._block("\r\n".join(lines))
        if self._is_collecting:
            self._deferred.append(block)
        else:
            self._write(block)

    def collect(self, is_collecting: bool) -> None:
        """Whether a PDU is being typed; what waited is written at the end of it."""
        self._is_collecting = is_collecting
        if not is_collecting and self._deferred:
            waiting, self._deferred = b"".join(self._deferred), []
            self.raw(waiting)

    def reset(self) -> None:
        """A reboot: nothing waits any more, and the output speaks again."""
        self._deferred = []
        self._is_collecting = False
        self.is_muted = False

    def _information(self, lines: tuple[str, ...]) -> bytes:
        return self._block("\r\n".join(lines)) if lines else b""

    def _block(self, line: str) -> bytes:
        data = line.encode("latin-1", "replace")
        return b"\r\n" + data + b"\r\n" if self._device.settings.is_verbose else data + b"\r\n"

    def _final(self, final: str) -> bytes:
        if self._device.settings.is_verbose:
            return b"\r\n" + final.encode() + b"\r\n"
        return _NUMERIC.get(final, final).encode() + b"\r"
