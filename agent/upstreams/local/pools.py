"""Remote agents that vanished: what they had not claimed goes to others of their pool, what they had is settled late.

A pool is a name that devices of one account share. An agent is present as long as it is heard of: it asks, or holds
its stream of events open.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from agent.remote import RemoteDevice

if TYPE_CHECKING:
    from agent.upstreams.local.context import Local

_log = structlog.get_logger("pools")

_LOOK_EVERY_S = 5.0
# Somebody who vanished is noticed at most this share of the time later.
_LOOKS_PER_ABSENCE = 4


async def run(local: Local) -> None:
    """Look now and then, until cancelled. Raises: JournalError."""
    # After a start every agent has the whole time to show itself.
    began_ms = local.gateway.clock.utc_ms()
    absent_s = local.settings.agent_absent_after_s
    while True:
        await asyncio.sleep(min(_LOOK_EVERY_S, absent_s / _LOOKS_PER_ABSENCE))
        await look(local, began_ms)


async def look(local: Local, began_ms: int) -> None:
    """Move and settle once. Raises: JournalError."""
    agents = local.accounts.agents
    devices = await agents.with_work()
    if not devices:
        return
    everybody = await agents.devices()
    now_ms = local.gateway.clock.utc_ms()
    absent_ms = local.settings.agent_absent_after_s * 1000
    changed = 0
    for device in devices:
        gone_ms = now_ms - local.last_seen.get(device.number, began_ms)
        if gone_ms < absent_ms and device.is_active:
            continue
        others = [other.number for other in everybody if _stands_in(local, other, device, now_ms)]
        moved = await agents.move_unclaimed(device.number, others) if others else 0
        settled = 0
        if gone_ms >= local.settings.claim_expires_after_s * 1000:
            policy = local.gateway.settings.on_unknown
            if others or policy == "fail":
                settled = await agents.settle_claims(device.number, others, policy)
        if moved or settled:
            _log.warning("agent_vanished", device=device.number, moved=moved, settled=settled)
        changed += moved + settled
    if changed:
        local.gateway.committed()


def is_present(local: Local, number: int, now_ms: int) -> bool:
    """Whether an agent was heard of lately."""
    seen = local.last_seen.get(number)
    return seen is not None and now_ms - seen < local.settings.agent_absent_after_s * 1000


def _stands_in(local: Local, other: RemoteDevice, device: RemoteDevice, now_ms: int) -> bool:
    is_of_pool = device.pool is not None and (other.account, other.pool) == (device.account, device.pool)
    return is_of_pool and other.number != device.number and other.is_active and is_present(local, other.number, now_ms)
