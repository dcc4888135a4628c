"""What the gateway tells SMSGate's webhooks of itself: that it has started, and as often as wanted that it lives."""

from __future__ import annotations

import asyncio

from agent.upstreams.local.context import Local
from agent.upstreams.local.smsgate import health, phone, telling

# A SIM that is there at all is read by then.
_SIMS_WITHIN_S = 60.0


async def run(local: Local) -> None:
    """Tell, until cancelled. Raises: JournalError."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_started(local), name=f"started {local.name}")
        group.create_task(_pings(local), name=f"pings {local.name}")


async def _started(local: Local) -> None:
    accounts = await local.accounts.clients.told_of("app:started")
    if not accounts:
        return
    changed = asyncio.Event()
    local.gateway.watch(changed)
    try:
        async with asyncio.timeout(_SIMS_WITHIN_S):
            while any(view.sim is None for view in local.gateway.route_views()):
                changed.clear()
                await changed.wait()
    except TimeoutError:
        pass
    finally:
        local.gateway.unwatch(changed)
    for account in accounts:
        await telling.tell_of_itself(local, account, "app:started", {"simCards": phone.sim_cards(local)})


async def _pings(local: Local) -> None:
    """Each account at its own interval, counted from its last ping."""
    clients = local.accounts.clients
    loop = asyncio.get_running_loop()
    due: dict[int, float] = {}
    while True:
        clients.changed.clear()
        wanted = {
            account: float(interval)
            for account, settings in (await clients.all_settings()).items()
            if (interval := settings.get("ping", {}).get("interval_seconds"))
        }
        now = loop.time()
        due = {account: min(due.get(account, now + wait), now + wait) for account, wait in wanted.items()}
        for account, wait in wanted.items():
            if due[account] <= now:
                due[account] = now + wait
                # A ping that comes late says nothing, so it is not repeated.
                await telling.tell_of_itself(
                    local, account, "system:ping", {"health": await health.document(local)}, retries=0
                )
        try:
            async with asyncio.timeout(None if not due else max(0.0, min(due.values()) - loop.time())):
                await clients.changed.wait()
        except TimeoutError:
            pass
