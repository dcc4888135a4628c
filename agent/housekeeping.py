"""What must be looked at now and then although nothing happens: stranded messages, partial inbound, expiry."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from agent import memory
from agent.gateway import Gateway
from agent.journal import dispatch, feeds, inbound
from agent.settings import Config

_log = structlog.get_logger("housekeeping")

_SOON_S = 5.0
_LATER_S = 60.0
_HOUR_MS = 3_600_000
# keep_inbound = false: a text is blanked at the latest after this, also where an upstream never took it.
_LATEST_BLANK_MS = 72 * _HOUR_MS


class Housekeeping:
    """Run until cancelled."""

    def __init__(self, gateway: Gateway, config: Config) -> None:
        self._gateway = gateway
        self._config = config

    async def run(self) -> None:
        journal, loop = self._gateway.journal, asyncio.get_running_loop()
        slow_at = loop.time()
        while True:
            is_any_down = await self._gateway.move_stranded()
            if loop.time() >= slow_at:
                slow_at = loop.time() + _LATER_S
                await self._slow_round()
            elif not journal.has_reserve:
                self._look_for_room()
            if is_any_down or not journal.has_reserve or journal.reserve_gone is None:
                await asyncio.sleep(_SOON_S)
                continue
            journal.reserve_gone.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(slow_at - loop.time()):
                    await journal.reserve_gone.wait()

    def _look_for_room(self) -> None:
        self._gateway.journal.keep_ballast()
        self._gateway.outbox.wake()

    async def _slow_round(self) -> None:
        gateway = self._gateway
        journal, now = gateway.journal, gateway.clock.now()
        partial_ms = round(self._config.retention.partial_after_h * _HOUR_MS)
        stale_ms = round(self._config.agent.undelivered_days * 24 * _HOUR_MS)
        may_expire = gateway.clock.is_synchronised()
        # Looked for by a reader first, so that an idle gateway commits nothing.
        if await journal.read(lambda con: inbound.has_partials(con, partial_ms, now)):
            made = await journal.write(lambda con: inbound.deliver_partials(con, partial_ms, now))
            _log.warning("partial_messages_delivered", count=len(made))
            gateway.committed()
        if may_expire and await journal.read(lambda con: dispatch.has_expired(con, now.utc_ms)):
            await journal.write(lambda con: dispatch.expire(con, now))
            gateway.committed()
        if await journal.read(feeds.has_undelivered):
            dropped = await journal.write(lambda con: feeds.drop_stale(con, now.utc_ms - stale_ms))
            if dropped:
                gateway.alerts.gave_up(dropped)
                _log.error("undelivered_given_up", items=dropped, after_days=self._config.agent.undelivered_days)
        if await journal.read(inbound.keeps_no_text):
            await journal.write(lambda con: inbound.blank_delivered_texts(con, now.utc_ms - _LATEST_BLANK_MS))
        await asyncio.to_thread(memory.give_back)
        self._look_for_room()
