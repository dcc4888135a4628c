"""Tells the server the states of its messages: `PUT /api/sms/{id}`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import quote

import structlog

from agent.model import MessageState, Report
from agent.upstreams.api import LaneBusy, LaneRefused
from agent.upstreams.mobsms import rows
from agent.upstreams.mobsms.client import Client

_log = structlog.get_logger("mobsms")

# Longer than any look at the list takes that could still show the state before the report.
_REMEMBERED_S = 120.0


class Reporter:
    """One per upstream. Remembers for a while what it told, so that an older list is not taken for the truth."""

    def __init__(self, client: Client, name: str) -> None:
        self.under_way: set[str] = set()
        """Ids whose report is being sent now."""
        self._client = client
        self._name = name
        self._told: dict[str, float] = {}

    async def report(self, report: Report) -> None:
        """Tell one state. Raises: DeliveryError."""
        if report.message.remote_id is not None:
            await self.tell(report.message.remote_id, report.state, report.error)

    async def tell(self, remote_id: str, state: MessageState, error: str | None) -> None:
        """Tell a state of a message that may be forgotten here. Raises: DeliveryError."""
        body = rows.report(state, error)
        if body is None:
            return
        path = f"/api/sms/{quote(remote_id, safe='')}"
        self.under_way.add(remote_id)
        try:
            answer = await self._client.ask("PUT", path, body=body, is_urgent=state is MessageState.SENT)
            if answer.is_no_model:
                # A proxy or a wrong address can say 404 too; only the API itself knows what was deleted.
                await self._client.doubt()
                _log.info("message_gone", upstream=self._name, remote_id=remote_id, untold=state.value)
            elif answer.status == 422:
                raise LaneRefused(f"{self._client.host} refuses the report {body['status']}: {answer.said}")
            elif answer.status in (400, 409, 410, 413, 423):
                raise LaneBusy(f"{self._client.host} answers {answer.status} to the report: {answer.said}")
            elif not answer.is_ok:
                raise self._client.refusal(answer, "PUT", path)
            self._note(remote_id)
        finally:
            self.under_way.discard(remote_id)

    def was_told_since(self, remote_id: str, since: float) -> bool:
        """Whether a report on this message ended at or after this loop time."""
        return self._told.get(remote_id, -1.0) >= since

    def told(self) -> Iterable[str]:
        """Ids reported in the last two minutes."""
        return self._told.keys()

    def told_since(self, since: float) -> int:
        """How many messages were reported at or after this loop time."""
        return sum(at >= since for at in self._told.values())

    def _note(self, remote_id: str) -> None:
        now = asyncio.get_running_loop().time()
        # Newest last, so that what is too old stands in front.
        self._told.pop(remote_id, None)
        self._told[remote_id] = now
        for old, at in list(self._told.items()):
            if now - at <= _REMEMBERED_S:
                break
            del self._told[old]
