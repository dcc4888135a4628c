"""The command in flight: what came for it so far, and who waits for its end. Knows no octets and no command."""

from __future__ import annotations

import asyncio

from drivers.api import SessionLost
from drivers.at.parser import Kind, Line
from drivers.at.request import Answer


class Pending:
    """Its lines so far, and the one future that somebody may wait on."""

    __slots__ = ("_loop", "_timer", "_waiter", "error", "final", "line_ends_it_s", "lines", "takes_prompt")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter: asyncio.Future[Line] | None = None
        self.lines: list[Line] = []
        self.final: Line | None = None
        self.error: SessionLost | None = None
        self.takes_prompt = False
        self.line_ends_it_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def answer(self, final: Line) -> Answer:
        return Answer(tuple(self.lines), final)

    def take(self, line: Line) -> None:
        """Keep a line of the answer, and wake who waits if it is what is waited for."""
        if line.kind is Kind.INFO:
            self.lines.append(line)
            if self.line_ends_it_s and self._timer is None:
                self._timer = self._loop.call_later(self.line_ends_it_s, self._end_without_final)
            return
        if line.kind is Kind.FINAL and self.final is None:
            self.final = line
        elif line.kind is not Kind.PROMPT or not self.takes_prompt:
            return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(line)

    def _end_without_final(self) -> None:
        """Let the line be the answer. `final` stays None, so that a late OK is discarded before the next command."""
        if self.final is None and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Line(Kind.FINAL, "OK", "OK"))

    def break_off(self, error: SessionLost) -> None:
        self.error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    async def wait(self, timeout_s: float, late: SessionLost) -> Line:
        """Wait for the final result, or for the prompt where it is due; raise `late` after a fixed total time."""
        if self.final is not None:
            return self.final
        if self.error is not None:
            raise self.error
        waiter: asyncio.Future[Line] = self._loop.create_future()
        self._waiter = waiter
        deadline = self._loop.call_later(timeout_s, _run_out, waiter, late)
        try:
            return await waiter
        finally:
            deadline.cancel()
            self._waiter = None
            if self._timer is not None:
                self._timer.cancel()


def _run_out(waiter: asyncio.Future[Line], late: SessionLost) -> None:
    if not waiter.done():
        waiter.set_exception(late)
