"""A gateway in this process for searches: its journal in memory where that can be, its routes without modems, so that
whatever is accepted waits. Run one step at a time, since what is searched is called without a loop.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from agent.gateway import Gateway
from tests import own_gateway

_IN_MEMORY = Path("/dev/shm")
ROUTES = [{"name": f"sim{slot}", "port": f"/dev/of-nobody{slot}", "sim_slot": slot} for slot in range(2)]


@dataclass(frozen=True, slots=True)
class Own:
    """A gateway, and the loop that it lives in."""

    gateway: Gateway
    loop: asyncio.AbstractEventLoop
    directory: Path

    def run(self, step: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(step)


@contextmanager
def gateway(*upstreams: str) -> Iterator[Own]:
    """With rows for these upstreams in its journal. Nothing is logged meanwhile: millions of lines tell nobody."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[_dropped])
    place = _IN_MEMORY if _IN_MEMORY.is_dir() else None
    try:
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=place) as directory, asyncio.Runner() as runner:
            life = own_gateway.running(Path(directory), ROUTES)
            own = Own(runner.run(life.__aenter__()), runner.get_loop(), Path(directory))
            try:
                for name in upstreams:
                    own.run(own.gateway.ensure_upstream(name, name, wants_inbound=True))
                yield own
            finally:
                own.run(life.__aexit__(None, None, None))
    finally:
        structlog.configure(**before)


def _dropped(_: Any, __: str, ___: Any) -> Any:
    raise structlog.DropEvent
