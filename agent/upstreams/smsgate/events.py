"""The stream of events of one device: opened again for ever, looked behind at each opening.

Nothing is stored for a device that is not listening, the server cuts each stream after half an hour, and a dead
connection is only known by its silence. So at each opening everything is asked for once, also a moment after the
request went out, since the headers that say "open" come as late as the first keep-alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import structlog

from agent.supervise import backoff_s
from agent.upstreams.api import UpstreamDown
from agent.upstreams.smsgate.client import Client
from agent.upstreams.smsgate.credentials import Credentials, Device

_log = structlog.get_logger("smsgate")

_SUBSCRIBED_AFTER_S = 1.0
_SHORTEST_LIFE_S = 60.0
_LONGEST_WAIT_S = 60.0


class Events:
    """`run` until cancelled. `missed` is called when something may have been missed, `heard` with each event, and
    `ended` when nothing more is heard for now."""

    def __init__(
        self, client: Client, credentials: Credentials, name: str, *, silence_s: float,
        missed: Callable[[], None], heard: Callable[[str, str], None], ended: Callable[[], None],
    ) -> None:  # fmt: skip
        self.is_open = False
        self._client = client
        self._credentials = credentials
        self._name = name
        self._silence_s = silence_s
        self._missed = missed
        self._heard = heard
        self._ended = ended
        self._failures = 0
        self._opened_at: float | None = None

    async def run(self, device: Device) -> None:
        """Listen with one registration until it is not valid any more."""
        loop = asyncio.get_running_loop()
        while True:
            self._opened_at = None
            began = loop.time()
            early = loop.call_later(_SUBSCRIBED_AFTER_S, self._missed)
            try:
                status = await self._client.listen(
                    "/events", device.authorization, self._open, self._heard, silence_s=self._silence_s
                )
                if status == HTTPStatus.UNAUTHORIZED:
                    raise await self._credentials.doubt(self._credentials.index_of(device), device)
                if status != HTTPStatus.OK:
                    raise UpstreamDown(f"{self._client.host} answers {status} to GET /events")
            except UpstreamDown as error:
                # Quietly: the pull says what is wrong with the server.
                _log.debug("events_ended", upstream=self._name, reason=str(error))
                if self._credentials.by_id(device.id) is None:
                    return
            finally:
                self.is_open = False
                early.cancel()
                self._ended()
            await asyncio.sleep(self._wait_s(loop.time() - began))

    def _open(self) -> None:
        self.is_open = True
        self._opened_at = asyncio.get_running_loop().time()
        self._missed()

    def _wait_s(self, life_s: float) -> float:
        """None after a stream that lived: the cut was the server's half-hourly one."""
        if self._opened_at is not None and life_s > _SHORTEST_LIFE_S:
            self._failures = 0
            return 0.0
        self._failures += 1
        return backoff_s(self._failures, longest_s=_LONGEST_WAIT_S)
