"""The server's pending list: new messages taken in, cancelled ones withdrawn, lost reports told again.

A message stays listed until its state was told, and only 100 are; so known ones are recognised by the journal, and
after a full list the next pull comes soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from agent.gateway import Gateway
from agent.model import Job
from agent.upstreams.api import LaneBusy, LaneRefused
from agent.upstreams.smsgate import jobs, rows
from agent.upstreams.smsgate.client import Client
from agent.upstreams.smsgate.credentials import Credentials, Device
from agent.upstreams.smsgate.reporter import Reporter
from agent.upstreams.smsgate.rows import Listed
from drivers.values import dataclass

_log = structlog.get_logger("smsgate")


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: how many were listed, and how many of them were new."""

    listed: int
    new: int

    @property
    def is_full(self) -> bool:
        """Whether more may be hidden behind what was listed."""
        return self.listed >= rows.MOST_LISTED


class Pull:
    """One per device."""

    def __init__(
        self, client: Client, gateway: Gateway, name: str, credentials: Credentials, reporter: Reporter, *,
        choose_slot: Callable[[Listed], int | None], passphrase: Callable[[], str | None],
    ) -> None:  # fmt: skip
        self._client = client
        self._gateway = gateway
        self._name = name
        self._credentials = credentials
        self._reporter = reporter
        self._choose_slot = choose_slot
        self._passphrase = passphrase

    async def look(self, device: Device) -> Seen:
        """One look at the list. Raises: UpstreamDown, JournalError."""
        since = asyncio.get_running_loop().time()
        answer = await self._client.ask("GET", "/message", device.authorization, query={"order": "fifo"})
        if answer.is_unauthorized:
            raise await self._credentials.doubt(self._credentials.index_of(device), device)
        if not answer.is_ok:
            raise self._client.refusal(answer, "GET /message")
        try:
            listed, unusable = rows.listed(answer.document)
        except rows.Malformed as error:
            raise self._client.malformed(error) from error
        if unusable:
            _log.warning("messages_unusable", upstream=self._name, count=unusable, reason="no id or no recipient")
        ids = [remote_id for one in listed for remote_id in jobs.remote_ids(device.id, one)]
        known = await self._gateway.known(self._name, ids)
        fresh = [one for one in listed if jobs.remote_ids(device.id, one)[0] not in known]
        new = await self._take([one for one in fresh if not one.is_cancelling], device)
        for one in fresh:
            if one.is_cancelling:
                await self._gently(self._reporter.cancelled(device, one))
        for one in listed:
            if jobs.remote_ids(device.id, one)[0] in known:
                await self._again(device, one, since)
        return Seen(len(listed) + unusable, new)

    async def cancel(self, bundle: str) -> bool:
        """Withdraw what of a message waits here; whether all of it could be. Its reports follow by the feed."""
        found = await self._gateway.bundle(self._name, bundle)
        done = [await self._gateway.cancel(message.id, why="cancelled by the server") for message in found.members]
        return bool(done) and all(done)

    # --- pieces -------------------------------------------------------------------------------------

    async def _take(self, fresh: list[Listed], device: Device) -> int:
        """Accept new messages: those in clear at once and together, encrypted ones as they are decrypted."""
        plain = [one for one in fresh if not one.is_encrypted]
        together: list[Job] = []
        for one in plain:
            together += await self._jobs(device, one)
        if together:
            await self._gateway.accept(self._name, together)
        for one in fresh:
            if one.is_encrypted:
                await self._gateway.accept(self._name, await self._jobs(device, one))
        return len(fresh)

    async def _jobs(self, device: Device, one: Listed) -> list[Job]:
        content = await jobs.opened(one, self._passphrase())
        return jobs.jobs(device.id, one, content, self._choose_slot(one), self._gateway.clock)

    async def _again(self, device: Device, one: Listed, since: float) -> None:
        """A message that we know is listed: it waits here, or its report was lost, or it is to be cancelled."""
        if one.is_cancelling:
            await self.cancel(jobs.bundle_of(device.id, one.id))
        await self._gently(self._reporter.repair(device, one, since=since, even_pending=one.is_cancelling))

    async def _gently(self, telling: Coroutine[Any, Any, None]) -> None:
        """One message that cannot be told must not end the look."""
        try:
            await telling
        except (LaneBusy, LaneRefused) as error:
            _log.warning("state_refused", upstream=self._name, reason=str(error))
