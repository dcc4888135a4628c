"""Delivers webhooks: what stands in the journal's hook table, in order per message and address.

It knows addresses and bodies, not what they mean. Hosts are served side by side, a few calls each, so that a slow
or dead one holds up nobody else; a call that was delivered but not written down is made again after a crash.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

import structlog

from agent.clock import Clock
from agent.hook_address import host_of, problem_of
from agent.hook_call import Caller, Letter, Outcome
from agent.journal import hooks
from agent.journal.hooks import Delivery, DeliveryPage, Hook, HookForm, NewHook
from agent.journal.store import REPORT_PATIENCE_S, Journal
from drivers.values import dataclass

__all__ = ["Call", "Delivery", "DeliveryPage", "HookForm", "Hooks", "host_of", "problem_of", "wait_before_try"]

_log = structlog.get_logger("hooks")

_CALLS = 32
_CALLS_PER_HOST = 4
# Hosts that do not answer hold a call for the whole timeout: together they get only this many.
_SILENT_CALLS = 16
_FIRST_WAIT_S, _LONGEST_WAIT_S = 10.0, 6 * 3600.0
# Doubling from 10 s to 6 h and 6 h each from there: the 21st wait ends about three days after the first try.
_TRIES = 22
# SMSGate's app doubles from 5 s; 15 retries are its default. From a day on a longer wait would be of no use.
_SMSGATE_FIRST_WAIT_S, _SMSGATE_LONGEST_WAIT_S, _SMSGATE_RETRIES = 5.0, 86_400.0, 15
_SECRET_BYTES = 32
# Tests by hand wait for each other, so that they are no way to flood somebody.
_TESTS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Call:
    """A call to be made: `event_key` is the same whenever the same thing is told to the same address. `retries` are
    of SMSGate's form; None is its default. `secret` signs it instead of its account's key."""

    event_key: str
    message_id: int
    account: int
    url: str
    body: str
    form: HookForm = HookForm.OWN
    retries: int | None = None
    secret: str | None = None


class Hooks:
    """One per gateway. `run` until cancelled; `wake` after something was put into the table."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._wake = asyncio.Event()
        self._caller = Caller()
        self._tests = asyncio.Semaphore(_TESTS_AT_ONCE)
        self._running: dict[int, str] = {}
        # Hosts that did not answer at all: one call at a time, until one does.
        self._silent: set[str] = set()

    def wake(self) -> None:
        """Look into the table soon."""
        self._wake.set()

    async def add(self, calls: Sequence[Call], *, is_urgent: bool = False) -> None:
        """Put calls in; durable when it returns. One whose address cannot be called is left out.

        Those that are not urgent wait a moment for others, to share a commit.
        """
        wanted = [
            NewHook(
                call.event_key, call.message_id, call.account, call.url, host_of(call.url), call.body, call.form,
                call.retries, call.secret,
            )
            for call in calls
            if problem_of(call.url) is None
        ]  # fmt: skip
        if not wanted:
            return
        now_ms, fresh = self._clock.utc_ms(), _new_secret()
        patience_s = 0.0 if is_urgent else REPORT_PATIENCE_S
        await self._journal.write(lambda con: hooks.add(con, wanted, now_ms, fresh), patience_s=patience_s)
        self.wake()

    async def secret(self, account: int) -> str:
        """The key that this account's calls are signed with, made at the first question or call."""
        found = await self._journal.read(lambda con: hooks.secret(con, account))
        if found is None:
            fresh = _new_secret()
            found = await self._journal.write(lambda con: hooks.ensure_secret(con, account, fresh))
        return found

    async def rotate_secret(self, account: int) -> str:
        """A new key; every call from now on is signed with it, also those that were put in before."""
        fresh = _new_secret()
        await self.set_secret(account, fresh)
        return fresh

    async def set_secret(self, account: int, secret: str | None) -> None:
        """A key that the account chose, None for a new one; every call from now on is signed with it."""
        chosen = secret or _new_secret()
        await self._journal.write(lambda con: hooks.set_secret(con, account, chosen))

    async def deliveries(
        self, account: int | None, *, state: str | None = None, message_id: int | None = None, page: int = 1,
        per_page: int = 50,
    ) -> DeliveryPage:  # fmt: skip
        """The log of one account, or of all, newest first; it reaches back 30 days."""
        return await self._journal.read(
            lambda con: hooks.page(con, account, state, message_id, offset=(page - 1) * per_page, limit=per_page)
        )

    async def delivery(self, account: int | None, delivery_id: int) -> Delivery | None:
        """One line of the log, None where the account has none such."""
        return await self._journal.read(lambda con: hooks.one(con, account, delivery_id))

    async def replay(self, account: int | None, delivery_id: int) -> Delivery | None:
        """Make a call again, at once and with all its tries; also one that was taken. None where there is none."""
        now_ms = self._clock.utc_ms()
        found = await self._journal.write(lambda con: hooks.replay(con, account, delivery_id, now_ms))
        self.wake()
        return found

    async def test(self, account: int, url: str, body: str) -> Delivery:
        """Call an address now and once, and put what came of it into the log."""
        key = f"test:{uuid.uuid4()}"
        now_ms, fresh = self._clock.utc_ms(), _new_secret()
        new = NewHook(key, 0, account, url, host_of(url), body)
        hook = await self._journal.write(lambda con: hooks.add_test(con, new, now_ms, fresh))
        async with self._tests:
            outcome = await self._call(hook)
        return await self._journal.write(lambda con: hooks.end_test(con, hook.id, _result(outcome), now_ms))

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._running.clear()
        await self._tidy()
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                wait_s = await self._start_due(group)
                try:
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    # --- pieces -------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        now_ms = self._clock.utc_ms()
        latest_ms = now_ms + round(_SMSGATE_LONGEST_WAIT_S * 1000)
        if await self._journal.read(lambda con: hooks.has_waits_beyond(con, latest_ms)):
            await self._journal.write(lambda con: hooks.rebase(con, latest_ms))

    async def _start_due(self, group: asyncio.TaskGroup) -> float | None:
        """Start what is due and has room; returns the seconds until something else is, None: when woken."""
        now_ms = self._clock.utc_ms()
        # What ends meanwhile has us woken again.
        running, silent = dict(self._running), frozenset(self._silent)
        found, wait_s = await self._journal.read(lambda con: _look(con, now_ms, running, silent))
        for hook in found:
            self._running[hook.id] = hook.host
            group.create_task(self._serve(hook), name=f"hook {hook.id}")
        return wait_s

    async def _serve(self, hook: Hook) -> None:
        try:
            outcome = await self._call(hook)
            await self._note(hook, outcome)
        finally:
            self._running.pop(hook.id, None)
            self.wake()

    async def _call(self, hook: Hook) -> Outcome:
        letter = Letter(hook.id, hook.tries + 1, hook.url, hook.body, hook.secret, hook.is_owner, hook.form)
        return await self._caller.call(letter, self._clock.utc_ms() // 1000)

    async def _note(self, hook: Hook, outcome: Outcome) -> None:
        now_ms = self._clock.utc_ms()
        if outcome.status is None:
            self._silent.add(hook.host)
        else:
            self._silent.discard(hook.host)
        result = _result(outcome)
        if outcome.error is None:
            await self._journal.write(
                lambda con: hooks.done(con, hook.id, result, now_ms), patience_s=REPORT_PATIENCE_S
            )
            return
        wait_s = wait_before_try(hook.tries + 2, hook.form, hook.retries)
        due_ms = None if wait_s is None else now_ms + round(wait_s * 1000)
        _log.warning(
            "hook_failed" if due_ms is not None else "hook_given_up",
            host=hook.host,
            message=hook.lane,
            tries=hook.tries + 1,
            reason=outcome.error,
        )
        await self._journal.write(
            lambda con: hooks.failed(con, hook.id, result, due_ms=due_ms, now_ms=now_ms),
            patience_s=REPORT_PATIENCE_S,
        )


def _look(
    con: sqlite3.Connection, now_ms: int, running: dict[int, str], silent: frozenset[str]
) -> tuple[list[Hook], float | None]:
    """What may start beside what is running, and the seconds until something else is due."""
    found: list[Hook] = []
    waits: list[float] = []
    busy = Counter(running.values())
    hosts = hooks.hosts(con)
    # Who has the fewest under way goes first, so that the room is shared.
    for host in sorted(hosts, key=lambda name: busy[name]):
        if hosts[host] > now_ms:
            waits.append((hosts[host] - now_ms) / 1000)
            continue
        room = _room(host, running, silent)
        if room <= 0:
            continue  # looked at again when one of its calls ends
        due = hooks.due(con, host, now_ms, room + len(running))
        fresh = [hook for hook in due if hook.id not in running][:room]
        running |= {hook.id: host for hook in fresh}
        found += fresh
        if not fresh and (after := hooks.next_due(con, host, now_ms)) is not None:
            waits.append((after - now_ms) / 1000)
    return found, min(*waits, _LONGEST_WAIT_S) if waits else None


def _room(host: str, running: Mapping[int, str], silent: frozenset[str]) -> int:
    """How many more calls to a host may start now; a silent one gets a single call at a time."""
    free = _CALLS - len(running)
    busy = sum(1 for name in running.values() if name == host)
    if host not in silent:
        return min(free, _CALLS_PER_HOST - busy)
    return min(free, 1 - busy, _SILENT_CALLS - sum(1 for name in running.values() if name in silent))


def _new_secret() -> str:
    return secrets.token_hex(_SECRET_BYTES)


def _result(outcome: Outcome) -> hooks.Result:
    return hooks.Result(outcome.status, outcome.error, outcome.answer, outcome.took_ms)


def wait_before_try(number: int, form: HookForm = HookForm.OWN, retries: int | None = None) -> float | None:
    """Seconds before try `number` (the second is the first that waits), None where there is none. Pure."""
    if form is HookForm.SMSGATE:
        if number - 1 > (_SMSGATE_RETRIES if retries is None else retries):
            return None
        return min(_SMSGATE_LONGEST_WAIT_S, _SMSGATE_FIRST_WAIT_S * 2.0 ** min(number - 2, 20))
    if number > _TRIES:
        return None
    return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (number - 2)))
