"""The AT dialogue over one transport: one command in flight, fixed total deadlines, URCs in order.

AT has no sequence numbers, so a command that timed out or was cancelled puts the channel out of step: the next one
resynchronises first, or the session is lost. Knows no particular command but `AT` and `AT+CMGF?`.

    SessionLost
    └── CommandTimeout     no final result in time; the channel is out of step
        └── PromptMissing  CMGS was not answered by its prompt: nothing was sent
    BodyUnanswered         the PDU was handed over, in whole or in part, and no answer came
    PromptRefused          a final result instead of the prompt: nothing was sent
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol, cast

import structlog

from drivers.api import SessionError, SessionLost
from drivers.at import trace
from drivers.at.parser import IDLE, Kind, Line, Parser
from drivers.at.pending import Pending
from drivers.at.request import Answer, Request

ESCAPE = b"\x1b"
CTRL_Z = b"\x1a"

AT = Request("AT", timeout_s=1.0)
PDU_MODE_QUERY = Request("AT+CMGF?", ("+CMGF",), timeout_s=2.0)

RESYNCHRONISE_S = 10.0
"""Longer than any modem needs to give up a prompt, short enough to reopen within a minute of a freeze."""

_QUIET_S = 0.1
"""A late answer that is under way arrives within this; a tty in between buffers for up to 16 ms."""
_JUST_OPENED_S = 0.01
"""The loop's time to read what was there before the port was opened, or it would answer our first question."""

_CLOSE_S = 1.0

_CAREFUL_GUARD_S = 0.02
"""Telit advises 20 ms between a response and the next command, and loses what comes earlier."""

_LONE_LINE_S = 0.3
"""How long an OK may lag behind its information line, where it is known to be left out at times."""

MAX_WAITING_URCS = 8192
"""Some MB at most. What overflows is still on the SIM, and the next session sweeps it."""


class CommandTimeout(SessionLost):
    """No final result within the deadline."""


class PromptMissing(CommandTimeout):
    """No prompt within the deadline; nothing was sent."""


class BodyUnanswered(SessionError):
    """The link broke, or the deadline passed, after the first octet of the PDU."""


class PromptRefused(SessionError):
    """The modem gave a final result where the prompt was due."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"The modem refused to take a message ({answer.final.text}).")
        self.answer = answer


class Transport(Protocol):
    """The byte seam: what a channel needs of a link."""

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...


class Channel(asyncio.Protocol):
    """One dialogue, used once: after `lost` is set nothing works any more."""

    def __init__(self, *, route: str = "", guard_s: float = 0.0) -> None:
        self.guard_s = guard_s
        self.secrets: frozenset[str] = frozenset()
        self.lost: SessionLost | None = None
        self.last_answer_at = 0.0
        self.urcs: deque[Line] = deque()
        self._loop = asyncio.get_running_loop()
        self._transport: Transport | None = None
        self._parser = Parser()
        self._pending: Pending | None = None
        self._in_step = False
        self._last_octet_at = 0.0
        self._arrived = asyncio.Event()
        self._broken = asyncio.Event()
        self._released = asyncio.Event()
        self._overheard: asyncio.Queue[Line] | None = None
        self._log = structlog.get_logger().bind(route=route)
        # Asked once: cleaning each line for a log that drops it would cost more than the dialogue.
        self._is_traced: bool = getattr(self._log, "is_enabled_for", _always)(logging.DEBUG)

    # --- the side of the transport

    def connection_made(self, transport: object) -> None:
        self._transport = cast(Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._last_octet_at = self._loop.time()
        for line in self._parser.feed(data):
            if self._is_traced:
                self._log.debug("at_in", kind=line.kind.name, line=trace.clean(line.text, self.secrets))
            self._dispatch(line)

    def connection_lost(self, exc: Exception | None) -> None:
        """Lose the session: also an unrequested end without an error is a lost link."""
        self._released.set()
        self.fail(SessionLost(f"The link to the modem broke ({exc})." if exc else "The link to the modem ended."))

    def _dispatch(self, line: Line) -> None:
        pending = self._pending
        is_late = line.kind is Kind.STRAY and line.name == "+CMGS"
        if line.kind is Kind.URC:
            self._keep(line)
        elif self._overheard is not None and (pending is None or is_late):
            self._overheard.put_nowait(line)
        elif is_late:
            self._keep(line)
        elif pending is not None:
            pending.take(line)

    def _keep(self, line: Line) -> None:
        if len(self.urcs) >= MAX_WAITING_URCS:
            self.fail(SessionLost("The modem floods the line with indications."))
            return
        self.urcs.append(line)
        self._arrived.set()

    # --- the side of the session

    def fail(self, error: SessionLost) -> None:
        """Lose the session; the first reason wins and reaches everyone who waits."""
        if self.lost is not None:
            return
        self.lost = error
        self._broken.set()
        self._arrived.set()
        if self._pending is not None:
            self._pending.break_off(error)
        if self._transport is not None:
            self._transport.abort()

    async def wait_lost(self) -> SessionLost:
        """Return the reason once the session is lost."""
        await self._broken.wait()
        if self.lost is None:
            raise SessionLost("The link to the modem ended.")
        return self.lost

    async def close(self) -> None:
        """Release the port; returns when it can be opened again, or after a second."""
        self.fail(SessionLost("The session was closed."))
        if self._transport is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._released.wait()

    def forget(self, names: frozenset[str]) -> None:
        """Drop waiting URCs of these names, e.g. the marks of a boot that is over."""
        kept = [line for line in self.urcs if line.name not in names]
        self.urcs.clear()
        self.urcs.extend(kept)

    async def next_urcs(self) -> list[Line]:
        """Wait for URCs and return all that wait, in order of arrival."""
        await self._arrived.wait()
        self._arrived.clear()
        found = list(self.urcs)
        self.urcs.clear()
        return found

    async def exchange(self, request: Request, timeout_s: float | None = None) -> Answer:
        """Run one command to its final result, whatever that is.

        Raises: CommandTimeout; SessionLost.
        """
        if not self._in_step:
            await self.resynchronise()
        return await self._exchange(request, timeout_s or request.timeout_s)

    async def send_pdu(
        self, request: Request, pdu: str, ready: Awaitable[None], *, prompt_s: float, body_s: float
    ) -> Answer:
        """Run CMGS: the PDU and Ctrl-Z leave in one write, after both the prompt and `ready`, and nothing after.

        Where `ready` raises, the prompt is escaped and the error passes through. Where this raises before `ready` was
        awaited, awaiting it is left to the caller.

        Raises: PromptMissing, PromptRefused or SessionLost with nothing sent; BodyUnanswered.
        """
        if not self._in_step:
            await self.resynchronise()
        await self._guard()
        async with _Turn(self, request) as pending:
            pending.takes_prompt = True
            self._write(request.text.encode("ascii", "replace") + b"\r", request.text)
            line = await pending.wait(prompt_s, PromptMissing(f"No prompt from the modem within {prompt_s:g} s."))
            if line.kind is Kind.FINAL:
                raise PromptRefused(pending.answer(line))
            pending.takes_prompt = False
            try:
                await ready
            except BaseException:
                self.escape()
                raise
            if pending.final is not None:
                raise PromptRefused(pending.answer(pending.final))
            if self.lost is not None:
                raise self.lost
            self._parser.expect_echo(pdu)
            self._write(pdu.encode("ascii") + CTRL_Z, pdu)
            try:
                final = await pending.wait(body_s, CommandTimeout(f"No answer to the message within {body_s:g} s."))
            except SessionLost as error:
                raise BodyUnanswered(str(error)) from error
            except asyncio.CancelledError:
                # Nobody may write now, not even to resynchronise.
                self.fail(SessionLost("A submit was broken off before its answer."))
                raise
            return pending.answer(final)

    def escape(self) -> None:
        """Leave a prompt, if there is one; the channel resynchronises before the next command."""
        self._in_step = False
        self._parser.reset()
        if self.lost is None:
            self._write(ESCAPE, "<ESC>")

    async def resynchronise(self, limit_s: float = RESYNCHRONISE_S, *, settled: bool = True) -> None:
        """ESC, CR, then AT until the answers match the questions; late lines are discarded, URCs are kept.

        `settled` False shortens the first wait, for a port that was only just opened: no command is on its way, but
        the answer to one that a session before was cut off from may lie there.

        Raises: SessionLost.
        """
        deadline = self._loop.time() + limit_s
        wait_s = _QUIET_S if settled else _JUST_OPENED_S
        refusals = 0
        while self._loop.time() < deadline:
            self.escape()
            self._write(b"\r", "<CR>")
            await self._quiet(wait_s)
            wait_s = max(_QUIET_S, wait_s)
            try:
                await self._exchange(AT, min(AT.timeout_s, limit_s))
                check = await self._exchange(PDU_MODE_QUERY, min(PDU_MODE_QUERY.timeout_s, limit_s))
            except CommandTimeout:
                wait_s = min(2 * wait_s, 1.0)
                # Some are deaf for a moment after each answer; which maker it is, is not known yet.
                self.guard_s = max(self.guard_s, _CAREFUL_GUARD_S)
                continue
            # A late OK has no +CMGF line before it. A modem that refuses the query does so twice in a row.
            refusals += not check.is_ok
            if check.lines or refusals > 1:
                return
            self._in_step = False
            await self._quiet(_QUIET_S)
        if self.lost is not None:
            raise self.lost
        error = SessionLost("The modem does not answer any more.")
        self.fail(error)
        raise error

    async def overhear(self, timeout_s: float) -> Line | None:
        """Return the next line that comes while no command runs; None where none does.

        Raises: SessionLost.
        """
        if self._overheard is None:
            self._overheard = asyncio.Queue()
        if not self._overheard.empty():
            return self._overheard.get_nowait()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._overheard.get()
        except TimeoutError:
            if self.lost is not None:
                raise self.lost from None
            return None

    def stop_overhearing(self) -> None:
        """Discard lines that belong to no command from now on."""
        self._overheard = None

    async def try_at(self, timeout_s: float) -> Line | None:
        """Write one plain AT without ESC; return its final result, or None. For a line of unknown state.

        Raises: SessionLost.
        """
        try:
            return (await self._exchange(AT, timeout_s)).final
        except CommandTimeout:
            return None

    # --- private

    async def _exchange(self, request: Request, timeout_s: float) -> Answer:
        await self._guard()
        async with _Turn(self, request) as pending:
            self._write(request.text.encode("ascii", "replace") + b"\r", request.text)
            name = trace.clean(request.text, self.secrets)
            late = CommandTimeout(f"No answer to {name} within {timeout_s:g} s.")
            if request.is_final_optional:
                pending.line_ends_it_s = _LONE_LINE_S
            final = await pending.wait(timeout_s, late)
            return pending.answer(final)

    async def _guard(self) -> None:
        """Keep the pause that some makers want between a final result and the next command."""
        if self.guard_s:
            await asyncio.sleep(max(0.0, self.last_answer_at + self.guard_s - self._loop.time()))

    async def _quiet(self, quiet_s: float) -> None:
        """Wait until nothing came for a while, a few times as long at most."""
        until = self._loop.time() + 5 * quiet_s
        started = self._loop.time()
        while (now := self._loop.time()) < until:
            rest = max(self._last_octet_at, started) + quiet_s - now
            if rest <= 0:
                return
            await asyncio.sleep(rest)

    def _write(self, data: bytes, shown: str) -> None:
        if self.lost is not None:
            raise self.lost
        if self._transport is None:
            raise SessionLost("The link to the modem is not open.")
        if self._is_traced:
            self._log.debug("at_out", line=trace.clean(shown, self.secrets))
        self._transport.write(data)


def _always(_level: int) -> bool:
    return True


class _Turn:
    """Holds the channel for one command: registers it, and removes it in every case."""

    __slots__ = ("_channel", "_request")

    def __init__(self, channel: Channel, request: Request) -> None:
        self._channel = channel
        self._request = request

    async def __aenter__(self) -> Pending:
        channel = self._channel
        if channel.lost is not None:
            raise channel.lost
        if channel._pending is not None:
            raise RuntimeError("two AT commands at once")
        pending = channel._pending = Pending(channel._loop)
        channel._in_step = False
        channel._parser.expect(self._request.expectation)
        return pending

    async def __aexit__(self, *_: object) -> None:
        channel = self._channel
        pending, channel._pending = channel._pending, None
        channel._parser.expect(IDLE)
        if pending is not None and pending.final is not None:
            channel._in_step = True
            channel.last_answer_at = channel._loop.time()
