"""The daemon's gateway in this process, on its own journal and with its routes running; nothing of it is faked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agent import config, daemon
from agent.clock import Clock
from agent.gateway import Gateway
from agent.journal.store import Journal


@contextlib.asynccontextmanager
async def running(
    directory: Path, routes: list[dict[str, Any]], *, agent: dict[str, Any] | None = None, clock: Clock | None = None
) -> AsyncIterator[Gateway]:
    """Routes as in the configuration, `agent` further keys; an unknown outcome waits one second for evidence."""
    settings = {"state_dir": str(directory), "clock": "trusted", "unknown_wait_s": 1, **(agent or {})}
    loaded = config.parse({"agent": settings, "route": routes})
    clock = clock or Clock("trusted")
    journal = Journal(directory / "journal.db")
    await journal.start(clock.utc_ms())
    gateway = await daemon.build(loaded, journal, clock)
    tasks = [asyncio.create_task(route.run()) for route in gateway.routes.values()]
    try:
        yield gateway
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await journal.close()
