"""Delivers webhooks: what stands in the journal's hook table, in order per message and address.

It knows addresses and bodies, not what they mean. Hosts are served side by side, a few calls each, so that a slow
or dead one holds up nobody else; a call that was delivered but not written down is made again after a crash.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from agent.clock import Clock
from agent.journal import hooks
from agent.journal.hooks import Hook, NewHook
from agent.journal.store import REPORT_PATIENCE_S, Journal

if TYPE_CHECKING:
    import httpx

_log = structlog.get_logger("hooks")

_TIMEOUT_S = 10.0
_CALLS = 32
_CALLS_PER_HOST = 4
# Hosts that do not answer hold a call for the whole timeout: together they get only this many.
_SILENT_CALLS = 16
_FIRST_WAIT_S, _LONGEST_WAIT_S = 10.0, 6 * 3600.0
# Doubling from 10 s to 6 h and 6 h each from there: the 21st wait ends about three days after the first try.
_TRIES = 22
_KEPT_MS = 30 * 86_400_000
_LONGEST_URL_CHARACTERS = 2000


def problem_of(url: str) -> str | None:
    """Why this cannot be called, as one sentence; None where it can. Pure."""
    if len(url) > _LONGEST_URL_CHARACTERS:
        return f"a webhook address has at most {_LONGEST_URL_CHARACTERS} characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is not a valid address"
    if parts.scheme not in ("http", "https"):
        return "only http:// and https:// addresses are called"
    if not parts.hostname or port == 0 or any(character <= " " for character in url):
        return "it is not a valid address"
    return None


def host_of(url: str) -> str:
    """Scheme, host and port of a valid address: what is slow or down together."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


@dataclass(frozen=True, slots=True)
class Call:
    """A call to be made: `event_key` is the same whenever the same thing is told to the same address."""

    event_key: str
    message_id: int
    account: int
    url: str
    body: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: int | None
    error: str | None


class Hooks:
    """One per gateway. `run` until cancelled; `wake` after something was put into the table."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._wake = asyncio.Event()
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._running: dict[int, str] = {}
        # Hosts that did not answer at all: one call at a time, until one does.
        self._silent: set[str] = set()

    def wake(self) -> None:
        """Look into the table soon."""
        self._wake.set()

    async def add(self, calls: Sequence[Call]) -> None:
        """Put calls in; durable when it returns. One whose address cannot be called is left out."""
        wanted = [
            NewHook(call.event_key, call.message_id, call.account, call.url, host_of(call.url), call.body)
            for call in calls
            if problem_of(call.url) is None
        ]
        if not wanted:
            return
        now_ms = self._clock.utc_ms()
        await self._journal.write(lambda con: hooks.add(con, wanted, now_ms), patience_s=REPORT_PATIENCE_S)
        self.wake()

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._running.clear()
        await self._tidy()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._wake.clear()
                    wait_s = await self._start_due(group)
                    try:
                        async with asyncio.timeout(wait_s):
                            await self._wake.wait()
                    except TimeoutError:
                        pass
        finally:
            client, self._client = self._client, None
            if client is not None:
                await client.aclose()

    # --- pieces -------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        now_ms = self._clock.utc_ms()
        latest_ms, old_ms = now_ms + round(_LONGEST_WAIT_S * 1000), now_ms - _KEPT_MS
        if await self._journal.read(lambda con: hooks.has_waits_beyond(con, latest_ms)):
            await self._journal.write(lambda con: hooks.rebase(con, latest_ms))
        if await self._journal.read(lambda con: hooks.has_ended_before(con, old_ms)):
            await self._journal.write(lambda con: hooks.forget(con, old_ms))

    async def _start_due(self, group: asyncio.TaskGroup) -> float | None:
        """Start what is due and has room; returns the seconds until something else is, None: when woken."""
        now_ms = self._clock.utc_ms()
        waits: list[float] = []
        busy = Counter(self._running.values())
        hosts = await self._journal.read(hooks.hosts)
        # Who has the fewest under way goes first, so that the room is shared.
        for host in sorted(hosts, key=lambda name: busy[name]):
            if hosts[host] > now_ms:
                waits.append((hosts[host] - now_ms) / 1000)
                continue
            room = self._room(host, busy)
            if room <= 0:
                continue  # looked at again when one of its calls ends
            found = await self._due(host, now_ms, room + len(self._running))
            fresh = [hook for hook in found if hook.id not in self._running]
            for hook in fresh[:room]:
                self._running[hook.id] = host
                group.create_task(self._serve(hook), name=f"hook {hook.id}")
            if not fresh:
                after = await self._next_due(host, now_ms)
                if after is not None:
                    waits.append((after - now_ms) / 1000)
        return None if not waits else min(*waits, _LONGEST_WAIT_S)

    async def _due(self, host: str, now_ms: int, limit: int) -> list[Hook]:
        return await self._journal.read(lambda con: hooks.due(con, host, now_ms, limit))

    async def _next_due(self, host: str, now_ms: int) -> int | None:
        return await self._journal.read(lambda con: hooks.next_due(con, host, now_ms))

    def _room(self, host: str, busy: Counter[str]) -> int:
        """How many more calls to a host may start now; a silent one gets a single call at a time."""
        free = _CALLS - len(self._running)
        if host not in self._silent:
            return min(free, _CALLS_PER_HOST - busy[host])
        silent = sum(1 for name in self._running.values() if name in self._silent)
        return min(free, 1 - busy[host], _SILENT_CALLS - silent)

    async def _serve(self, hook: Hook) -> None:
        try:
            outcome = await self._call(hook)
            await self._note(hook, outcome)
        finally:
            self._running.pop(hook.id, None)
            self.wake()

    async def _call(self, hook: Hook) -> _Outcome:
        # Imported here: who has no webhook does not pay for it.
        import httpx  # noqa: PLC0415

        if (problem := problem_of(hook.url)) is not None:
            return _Outcome(None, problem)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                client = await self._opened()
                request = client.build_request(
                    "POST",
                    hook.url,
                    content=hook.body.encode(),
                    headers={"Content-Type": "application/json", "User-Agent": "phonebridge"},
                )
                # The answer's body is of no interest, and may be endless.
                answer = await client.send(request, stream=True)
                await answer.aclose()
        except TimeoutError:
            return _Outcome(None, f"no answer within {_TIMEOUT_S:.0f} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return _Outcome(None, str(error)[:200] or type(error).__name__)
        if answer.is_success:
            return _Outcome(answer.status_code, None)
        return _Outcome(answer.status_code, f"it answered {answer.status_code}")

    async def _opened(self) -> httpx.AsyncClient:
        import httpx  # noqa: PLC0415

        async with self._opening:
            if self._client is None:
                # Reading the CA certificates takes long on a small box.
                context = await asyncio.to_thread(ssl.create_default_context)
                self._client = httpx.AsyncClient(verify=context, follow_redirects=False, timeout=_TIMEOUT_S)
            return self._client

    async def _note(self, hook: Hook, outcome: _Outcome) -> None:
        now_ms = self._clock.utc_ms()
        if outcome.status is None:
            self._silent.add(hook.host)
        else:
            self._silent.discard(hook.host)
        status, error = outcome.status, outcome.error
        if error is None:
            await self._journal.write(
                lambda con: hooks.done(con, hook.id, status or 0, now_ms), patience_s=REPORT_PATIENCE_S
            )
            return
        wait_s = wait_before_try(hook.tries + 2)
        due_ms = None if wait_s is None else now_ms + round(wait_s * 1000)
        _log.warning(
            "hook_failed" if due_ms is not None else "hook_given_up",
            host=hook.host,
            message=hook.lane,
            tries=hook.tries + 1,
            reason=error,
        )
        await self._journal.write(
            lambda con: hooks.failed(con, hook.id, status=status, error=error, due_ms=due_ms, now_ms=now_ms),
            patience_s=REPORT_PATIENCE_S,
        )


def wait_before_try(number: int) -> float | None:
    """Seconds before try `number` (the second is the first that waits), None where there is none. Pure."""
    if number > _TRIES:
        return None
    return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (number - 2)))
