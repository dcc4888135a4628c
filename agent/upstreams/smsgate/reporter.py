"""Tells the server the states of its messages: full snapshots, in order, one under way per message.

The server answers 204 to everything, even to what it could not store; what it lists again although it was told is
told again by the pull.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog

from agent.gateway import Gateway
from agent.journal.listing import Bundle
from agent.model import MessageState, Report
from agent.upstreams.api import LaneRefused
from agent.upstreams.smsgate import jobs, snapshot
from agent.upstreams.smsgate.client import Client
from agent.upstreams.smsgate.credentials import Credentials, Device
from agent.upstreams.smsgate.rows import Listed
from agent.upstreams.smsgate.snapshot import State

_log = structlog.get_logger("smsgate")

_REMEMBERED = 10_000


class Reporter:
    """One per upstream, for all its devices."""

    def __init__(self, client: Client, gateway: Gateway, name: str, credentials: Credentials) -> None:
        self._client = client
        self._gateway = gateway
        self._name = name
        self._credentials = credentials
        # Bundle → (newest event told, loop time of that).
        self._told: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def report(self, report: Report, first: Device | None) -> None:
        """Tell the state of the message that a report is of; `first` takes what names no device.

        Returns also where a snapshot told meanwhile shows it already. Raises: DeliveryError.
        """
        message = report.message
        bundle = message.bundle or str(message.remote_id or "").rpartition(":")[0]
        device_id, message_id = jobs.parts_of(bundle)
        device = self._credentials.by_id(device_id) or (None if message.bundle else first)
        if device is None:
            # It was deleted there with its messages, or paired anew.
            _log.info("report_without_device", upstream=self._name, message=message.id, device=device_id)
            return
        async with self._alone(bundle):
            told, _ = self._told.get(bundle, (0, 0.0))
            if told >= report.event_id:
                return
            found = await self._gateway.bundle(self._name, bundle)
            if not found.members:
                found = Bundle((message,), ())
            await self._tell(device, bundle, message_id or str(message.remote_id), found)

    async def repair(self, device: Device, listed: Listed, *, since: float, even_pending: bool = False) -> None:
        """Tell a listed message's state again, unless it only waits here, or was told after the list was asked for
        (loop time `since`).

        Raises: DeliveryError.
        """
        bundle = jobs.bundle_of(device.id, listed.id)
        async with self._alone(bundle):
            _, told_at = self._told.get(bundle, (0, 0.0))
            if told_at > since:
                return
            found = await self._gateway.bundle(self._name, bundle)
            if not found.members:
                await self._tell_deleted(device, listed)
                return
            total = snapshot.aggregate(snapshot.state_of(message.state) for message in found.members)
            # "Pending" would be stored as a word that takes away the chance to cancel.
            if total is not State.PENDING or even_pending:
                await self._tell(device, bundle, listed.id, found)

    async def cancelled(self, device: Device, listed: Listed) -> None:
        """Tell that a message which never came here is cancelled for all. Raises: DeliveryError."""
        await self._uniform(device, listed.id, listed.numbers, MessageState.CANCELLED, None)

    # --- pieces -------------------------------------------------------------------------------------

    async def _tell_deleted(self, device: Device, listed: Listed) -> None:
        """What is known of a message that was deleted here: one state for all, the first recipient's."""
        ids = jobs.remote_ids(device.id, listed)
        known = await self._gateway.known(self._name, ids)
        if known and (first := known.get(ids[0])) is not None:
            await self._uniform(device, listed.id, listed.numbers, first.state, first.error)

    async def _uniform(
        self, device: Device, message_id: str, numbers: Sequence[str], state: MessageState, error: str | None
    ) -> None:
        now_ms = self._gateway.clock.utc_ms()
        await self._patch(device, snapshot.uniform(message_id, numbers, state, error, now_ms))

    async def _tell(self, device: Device, bundle: str, message_id: str, found: Bundle) -> None:
        await self._patch(device, snapshot.document(message_id, found, self._gateway.clock.utc_ms()))
        self._told[bundle] = (snapshot.newest_event(found), asyncio.get_running_loop().time())
        self._told.move_to_end(bundle)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    async def _patch(self, device: Device, item: dict[str, Any]) -> None:
        answer = await self._client.ask("PATCH", "/message", device.authorization, body=[item])
        if answer.is_ok:
            return
        if answer.is_unauthorized:
            raise await self._credentials.doubt(self._credentials.index_of(device), device)
        if answer.status in (400, 413, 422):
            said = f": {answer.said}" if answer.said else ""
            raise LaneRefused(f"{self._client.host} refuses the report ({answer.status}){said}")
        raise self._client.refusal(answer, "PATCH /message")

    @asynccontextmanager
    async def _alone(self, bundle: str) -> AsyncIterator[None]:
        """One at a time per message."""
        lock, users = self._locks.get(bundle, (asyncio.Lock(), 0))
        self._locks[bundle] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[bundle]
            if users == 1:
                del self._locks[bundle]
            else:
                self._locks[bundle] = (lock, users - 1)
