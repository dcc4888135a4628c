"""Stored inbound messages told again by webhook, because the account's owner asked for a span of time.

All of the span are told, also those that were told before: who asks has lost them. A text that the owner keeps none
of is gone and is left out.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from agent.gateway import Gateway
from agent.model import Message, MessageKind
from agent.upstreams.smsgate import rows, telling
from agent.upstreams.smsgate.telling import Telling
from drivers.values import dataclass

_PAGE = 200
_BATCH = 50
_SMS, _MMS = "SMS", "MMS"
_BATCHED = "Batch"
_DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request: which messages, and whether in calls of one or of many."""

    since_ms: int
    until_ms: int
    types: frozenset[str]
    is_batched: bool


def wanted(data: str) -> Wanted | None:
    """A request as its event tells it, all in texts; None where there is nothing to do."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    since_ms, until_ms = rows.instant_ms(found.get("since")), rows.instant_ms(found.get("until"))
    is_refused = found.get("triggerWebhooks") == "false" or found.get("webhookDelivery") == _DISABLED
    if since_ms is None or until_ms is None or is_refused:
        return None
    types = frozenset(str(found.get("messageTypes") or _SMS).replace(" ", "").split(","))
    return Wanted(since_ms, until_ms, types, found.get("webhookDelivery") == _BATCHED)


class Export:
    """One per device. `is_ours` tells whether a message came in by one of its SIMs."""

    def __init__(self, gateway: Gateway, tells: Telling) -> None:
        self._gateway = gateway
        self._tells = tells

    async def run(self, request: Wanted, device_id: str, sim_numbers: dict[str, int]) -> int:
        """Owe the calls; `sim_numbers` by route are this device's. Returns how many messages. Raises: JournalError."""
        run, after, count = secrets.token_hex(8), 0, 0
        batches: dict[str, list[telling.Payload]] = {}
        while found := await self._gateway.received_between(request.since_ms, request.until_ms, after, _PAGE):
            after = found[-1].id
            for message in found:
                told = self._told(message, request, sim_numbers)
                if told is None:
                    continue
                count += 1
                event, payload = told
                if not request.is_batched:
                    key = f"export:{run}:{message.uid}"
                    await self._tells.tell(event, payload, device_id, key=key, lane=message.id)
                    continue
                batch = batches.setdefault(event, [])
                batch.append(payload)
                if len(batch) == _BATCH:
                    await self._tell_batch(event, batches.pop(event), device_id, f"export:{run}:{count}")
        for event, batch in batches.items():
            await self._tell_batch(event, batch, device_id, f"export:{run}:{event}")
        return count

    async def _tell_batch(self, event: str, batch: list[telling.Payload], device_id: str, key: str) -> None:
        kind, _, what = event.partition(":")
        clean = [{name: value for name, value in one.items() if value is not None} for one in batch]
        await self._tells.tell(f"{kind}:batch:{what}", {"messages": clean}, device_id, key=key)

    @staticmethod
    def _told(message: Message, request: Wanted, sim_numbers: dict[str, int]) -> tuple[str, dict[str, Any]] | None:
        if message.route not in sim_numbers:
            return None
        is_blanked = message.kind is MessageKind.TEXT and not message.text
        kind = _MMS if message.kind is MessageKind.MMS else _SMS
        if kind not in request.types or is_blanked:
            return None
        return telling.inbound(message, sim_numbers[message.route])
