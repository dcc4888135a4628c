"""Wake-ups from a server with our extensions: `GET /api/devices/{id}/events`. Polling goes on beneath."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from agent.supervise import backoff_s
from agent.upstreams.api import UpstreamDown
from agent.upstreams.mobsms.client import Client
from agent.upstreams.mobsms.offer import Offer
from agent.upstreams.mobsms.rows import Device

_log = structlog.get_logger("mobsms")

# The server sends a comment every 15 s; three of them missing is a dead connection.
_SILENCE_S = 45.0
_AGAIN_S = 60.0


class Events:
    """One per upstream. `run` until cancelled."""

    def __init__(
        self, client: Client, name: str, can_claim: asyncio.Event, device: Callable[[], Device | None],
        heard: Callable[[], None],
    ) -> None:  # fmt: skip
        """`heard` is called at each event, and whenever the stream is open (again): something may have been missed."""
        self.is_open = False
        self._client = client
        self._name = name
        self._can_claim = can_claim
        self._device = device
        self._heard = heard
        self._offer = Offer()

    async def run(self) -> None:
        failures = 0
        while True:
            await self._can_claim.wait()
            device = self._device()
            if device is None or self._offer.is_missing():
                await asyncio.sleep(_AGAIN_S)
                continue
            wait_s = 1.0
            try:
                if await self._client.listen(f"/api/devices/{device.number}/events", self._hear, silence_s=_SILENCE_S):
                    failures = 0
                else:
                    self._offer.found_missing()
            except UpstreamDown as error:
                # Quietly: the poll beneath says what is wrong with the server.
                failures = 1 if self.is_open else failures + 1
                wait_s = max(backoff_s(failures), error.retry_after_s or 0.0)
                _log.debug("events_ended", upstream=self._name, reason=str(error))
            finally:
                self.is_open = False
            await asyncio.sleep(wait_s)

    def _hear(self, _: str) -> None:
        self.is_open = True
        self._heard()
