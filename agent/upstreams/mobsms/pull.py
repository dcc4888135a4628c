"""What waits on the server for our device: taken in oldest first, and withdrawn here when it is gone there.

The list is newest first and shifts while it is paged, so a walk goes from the last page back: rows that leave
move others towards the pages still to come, and a page that may have received rows behind our back is read again.
A long list is walked now and then only; in between its first page and total say whether anything changed.
Where the server hands messages out on request (`claim`), that is asked instead of the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from urllib.parse import quote

import structlog

from agent.gateway import Gateway
from agent.model import REPORTABLE, Job, MessageState
from agent.upstreams.api import LaneBusy, LaneRefused
from agent.upstreams.mobsms import rows
from agent.upstreams.mobsms.client import Client
from agent.upstreams.mobsms.offer import Offer
from agent.upstreams.mobsms.report import Reporter
from agent.upstreams.mobsms.rows import Device, ListPage
from drivers.values import dataclass

_log = structlog.get_logger("mobsms")

_LIST = "/api/sms"
_WALK_EVERY_S = 60.0
_WALK_EVERY_S_PER_PAGE = 3.0
"""A whole walk at least this often even when nothing seems to have changed; rarer where it costs more."""
# New rows that came during a walk may have pushed others past it: walk again soon.
_WALK_SOON_S = 2.0
_WALK_SOON_S_PER_PAGE = 0.25
_REREADS = 3
# What is claimed here cannot be sent by another gateway: enough that the line never waits, and no more.
_STOCK = 100
# A message listed as pending whose state was told is told again, but a server that does not listen is left alone.
_TELL_AGAIN_AFTER_S = 1.0
"""Listed as pending for at least so long: else its first report is only just on its way."""
_TELL_AGAIN_FIRST_S = 60.0
_TELL_AGAIN_LONGEST_S = 3600.0
# A list page is rarely more than this share of the requests that a rate limit leaves to us.
_SHARE_OF_LIMIT = 3
_VERIFY_AT_ONCE = 4
# A message that is pending but not listed (another gateway's now, say) is not asked for at every look.
_VERIFIED_S = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look brought. `changed`: look again soon; `at_once`: more is certainly waiting."""

    listed: int
    new: int
    changed: bool
    at_once: bool = False


@dataclass(slots=True)
class _Walk:
    """One look in progress: ids seen so far, with those rows that were of no use."""

    started: float
    listed: set[str]
    unusable: int = 0
    new: int = 0


class Pull:
    """One per upstream; one look at a time."""

    def __init__(self, client: Client, gateway: Gateway, name: str, device_id: str, reporter: Reporter) -> None:
        self.claims = Offer()
        self.can_claim = asyncio.Event()
        self._client = client
        self._gateway = gateway
        self._name = name
        self._device_id = device_id
        self._reporter = reporter
        # What we believe the server lists; None before the first whole walk.
        self._pending: set[str] | None = None
        self._unusable = 0
        self._was_unusable = False
        self._next_walk = 0.0
        self._last_total = -1
        self._told_again: dict[str, tuple[float, float]] = {}
        self._verified: dict[str, float] = {}

    async def look(self, device: Device) -> Seen:
        """See what is pending, take in what is new, withdraw what is gone. Raises: UpstreamDown, JournalError."""
        if not self.claims.is_missing():
            seen = await self._claim(device)
            if seen is not None:
                return seen
        return await self._look_at_list(device)

    # --- the documented way -------------------------------------------------------------------------

    async def _look_at_list(self, device: Device) -> Seen:
        walk = _Walk(self._now(), set())
        first = await self._page(device, 1)
        if first.last > 1 and not self._is_unchanged(first, device, walk.started):
            # A report on its way while the list was made looks like a change: ask once more before walking.
            first = await self._page(device, 1)
        if first.last > 1 and self._is_unchanged(first, device, walk.started):
            await self._take(walk, first.rows, device)
            self._keep_pending((self._pending or set()) | walk.listed, walk.started)
        else:
            newest = await self._walk(walk, first, device)
            await self._withdraw_absent(walk.listed)
            self._remember(walk, first.last, was_disturbed=not _is_same_head(first, newest))
        self._gateway.saw_pending(self._name)
        changed = walk.new > 0 or first.total != self._last_total
        self._last_total = first.total
        return Seen(first.total, walk.new, changed)

    def _is_unchanged(self, first: ListPage, device: Device, started: float) -> bool:
        """Whether page 1 and the total prove that what is new stands on page 1 and nothing else moved."""
        if self._pending is None or self._now() >= self._next_walk:
            return False
        self._pending.difference_update(self._reporter.told())
        ids = {job.remote_id for job in rows.pending(first.rows, device, self._device_id).jobs if job.remote_id}
        new = ids - self._pending
        if len(new) >= len(first.rows):
            return False
        expected = len(self._pending) + len(new) + self._unusable
        fewest = expected - len(self._reporter.under_way & self._pending)
        most = expected + self._reporter.told_since(started)
        return fewest <= first.total <= most

    async def _walk(self, walk: _Walk, first: ListPage, device: Device) -> ListPage:
        """Take in everything, from the last page back to the first, which is returned as it is then."""
        number, page = first.last, first
        while page.last > 1 and (page is first or page.last > number):
            number = page.last
            page = await self._page(device, number)
        await self._take(walk, page.rows, device)
        while number > 1:
            total = page.total
            number = min(number - 1, page.last)
            await self._spare_the_limit()
            page = await self._page(device, number)
            for _ in range(_REREADS):
                if page.total <= total:
                    break
                # More rows than before: some slid over the border to the page that we have read already.
                older = await self._page(device, number + 1)
                await self._take(walk, older.rows, device)
                total = older.total
                page = await self._page(device, number)
            await self._take(walk, page.rows, device)
        return page

    def _remember(self, walk: _Walk, pages: int, *, was_disturbed: bool) -> None:
        self._keep_pending(walk.listed, walk.started)
        self._unusable = walk.unusable
        wait_s = max(_WALK_EVERY_S, _WALK_EVERY_S_PER_PAGE * pages)
        if was_disturbed:
            wait_s = max(_WALK_SOON_S, _WALK_SOON_S_PER_PAGE * pages)
        self._next_walk = self._now() + wait_s
        self._told_again = {id_: told for id_, told in self._told_again.items() if id_ in walk.listed}
        if walk.unusable and not self._was_unusable:
            _log.warning("rows_skipped", upstream=self._name, rows=walk.unusable,
                         reason="without an id, or not a pending message of this device")  # fmt: skip
        self._was_unusable = walk.unusable > 0

    def _keep_pending(self, listed: set[str], since: float) -> None:
        self._pending = {id_ for id_ in listed if not self._reporter.was_told_since(id_, since)}

    async def _page(self, device: Device, number: int) -> ListPage:
        query: dict[str, str | int] = {
            "direction": "outbound", "status": "pending", "device_id": device.number, "page": number,
        }  # fmt: skip
        answer = await self._client.ask("GET", _LIST, query=query)
        if not answer.is_ok:
            raise self._client.refusal(answer, "GET", _LIST)
        try:
            return rows.page(answer.data)
        except rows.Malformed as error:
            raise self._client.malformed(error) from error

    async def _spare_the_limit(self) -> None:
        """A long walk must leave requests for the reports: where the limit is half used, go slower."""
        limit, left = self._client.requests_per_minute, self._client.requests_left
        if limit is not None and left is not None and left < limit / 2:
            await asyncio.sleep(60 * _SHARE_OF_LIMIT / limit)

    # --- our own server's way -----------------------------------------------------------------------

    async def _claim(self, device: Device) -> Seen | None:
        """Claim messages; None where the server has no such operation. Its answer also repeats what was claimed
        earlier and not reported, so it is a whole list of what is ours."""
        walk = _Walk(self._now(), set())
        waiting = len(await self._gateway.untried(self._name))
        limit = max(0, _STOCK - waiting)
        path = f"/api/devices/{device.number}/claim"
        answer = await self._client.ask("POST", path, body={"limit": limit})
        if answer.is_no_such_path:
            await self._client.doubt()
            self.claims.found_missing()
            self.can_claim.clear()
            return None
        if not answer.is_ok or not isinstance(answer.data, list):
            raise self._client.refusal(answer, "POST", path)
        self.claims.found()
        self.can_claim.set()
        # Whatever its order: `_take` expects newest first.
        await self._take(walk, sorted(rows.page(answer.data).rows, key=_age, reverse=True), device)
        await self._withdraw_absent(walk.listed)
        self._gateway.saw_pending(self._name)
        return Seen(len(walk.listed), walk.new, walk.new > 0, at_once=0 < limit <= walk.new)

    # --- taking in and withdrawing ------------------------------------------------------------------

    async def _take(self, walk: _Walk, found: Sequence[rows.Row], device: Device) -> None:
        """Accept the new ones of a page, oldest first; tell again the states that the server does not know."""
        usable = rows.pending(found, device, self._device_id)
        walk.unusable += usable.unusable
        fresh: dict[str, Job] = {}
        for job in reversed(usable.jobs):
            if job.remote_id is not None and job.remote_id not in walk.listed:
                fresh.setdefault(job.remote_id, job)
        walk.listed.update(fresh)
        if not fresh:
            return
        known = await self._gateway.known(self._name, list(fresh))
        new = [job for id_, job in fresh.items() if id_ not in known]
        for id_, ours in known.items():
            if ours.state not in REPORTABLE or not self._may_tell_again(id_, walk.started):
                continue
            if ours.message_id is not None:
                await self._gateway.tell_again(self._name, ours.message_id)
            else:
                await self._tell_of_forgotten(id_, ours.state, ours.error)
        if new:
            await self._gateway.accept(self._name, new)
            walk.new += len(new)
            _log.info("pulled", upstream=self._name, messages=len(new))

    async def _tell_of_forgotten(self, remote_id: str, state: MessageState, error: str | None) -> None:
        """A message that was deleted here has no lane in the feed any more."""
        try:
            await self._reporter.tell(remote_id, state, error)
        except (LaneBusy, LaneRefused) as refusal:
            _log.warning("upstream_refused", upstream=self._name, remote_id=remote_id, reason=str(refusal))

    def _may_tell_again(self, remote_id: str, since: float) -> bool:
        """Not while the list may be older than the report, nor again and again to a server that does not listen."""
        if remote_id in self._reporter.under_way or self._reporter.was_told_since(remote_id, since):
            return False
        now = self._now()
        due, wait_s = self._told_again.setdefault(remote_id, (now + _TELL_AGAIN_AFTER_S, _TELL_AGAIN_FIRST_S))
        if now < due:
            return False
        self._told_again[remote_id] = (now + wait_s, min(2 * wait_s, _TELL_AGAIN_LONGEST_S))
        return True

    async def _withdraw_absent(self, listed: set[str]) -> None:
        """Cancel what waits here and is gone there. Only this object takes messages in, so whatever waits and was
        not listed had been accepted before this look began."""
        now = self._now()
        self._verified = {id_: at for id_, at in self._verified.items() if now - at < _VERIFIED_S}
        waiting = await self._gateway.untried(self._name)
        absent = sorted(
            (message_id, id_) for id_, message_id in waiting.items() if id_ not in listed and id_ not in self._verified
        )
        # Oldest first, because they are sent next; several at once, so that we are ahead of the sending.
        for batch in _batches(absent, _VERIFY_AT_ONCE):
            found = await asyncio.gather(*(self._why_withdrawn(id_) for _, id_ in batch), return_exceptions=True)
            for (message_id, id_), why in zip(batch, found, strict=True):
                if isinstance(why, BaseException):
                    raise why
                if why is None:
                    self._verified[id_] = now
                elif await self._gateway.cancel(message_id, why=why):
                    _log.info("withdrawn", upstream=self._name, message=message_id, reason=why)

    async def _why_withdrawn(self, remote_id: str) -> str | None:
        """What the server says of a message that it did not list; None while it is pending all the same."""
        path = _row(remote_id)
        answer = await self._client.ask("GET", path)
        if answer.is_ok:
            return rows.withdrawal(answer.data.get("status") if isinstance(answer.data, dict) else None)
        if not answer.is_no_model:
            raise self._client.refusal(answer, "GET", path)
        await self._client.doubt()
        return f"{rows.WITHDRAWN}: it was deleted there"

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _row(remote_id: str) -> str:
    return f"{_LIST}/{quote(remote_id, safe='')}"


def _is_same_head(before: ListPage, now: ListPage) -> bool:
    """Whether no row came in between: the list is newest first, so a new one stands on top."""
    return not now.rows or any(row.get("id") == now.rows[0].get("id") for row in before.rows)


def _age(row: rows.Row) -> tuple[str, int]:
    """Sorts rows by creation, then by number; what has neither comes first."""
    created, number = row.get("created_at"), row.get("id")
    return (created if isinstance(created, str) else "", number if isinstance(number, int) else 0)


def _batches(items: Sequence[tuple[int, str]], size: int) -> Iterable[Sequence[tuple[int, str]]]:
    return (items[at : at + size] for at in range(0, len(items), size))
