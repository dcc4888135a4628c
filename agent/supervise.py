"""Keeps a long-running piece alive: restarts it alone, with back-off, whatever it raises.

The only place, with a CLI's `main`, that catches `Exception`: a route or an upstream that crashes must not take
the others along.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from agent.journal.schema import JournalError

_log = structlog.get_logger("supervise")

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
# A piece that ran this long was healthy: the next fault starts the back-off anew.
_HEALTHY_S = 60.0


def backoff_s(failures: int, *, first_s: float = _FIRST_WAIT_S, longest_s: float = _LONGEST_WAIT_S) -> float:
    """Wait before try `failures` + 1, doubling, with ±20 % jitter so that many do not come at once."""
    return float(min(longest_s, first_s * 2 ** min(failures - 1, 16)) * random.uniform(0.8, 1.2))


async def live(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` in a task of its own, which ends before this does. Whoever goes on after faults of others calls this.

    CPython 3.11's TaskGroup leaves its task marked as cancelled behind a fault of a child, and hides a cancellation
    that comes in the same moment: a loop in that task would lose its time-outs, or never end.

    Raises: what `work` raises; CancelledError where this was cancelled, whatever `work` then raised.
    """
    task = asyncio.create_task(work)
    was_cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            was_cancelled = True
            task.cancel()
    if was_cancelled:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("fault_while_ending", error=str(error))
        raise asyncio.CancelledError
    task.result()


async def keep_running(
    name: str, run: Callable[[], Coroutine[Any, Any, None]], *, on_fault: Callable[[str], None] | None = None
) -> None:
    """Run until cancelled, again after each end. `on_fault` is given one sentence per fault."""
    failures = 0
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        try:
            await live(run())
            problem = "ended by itself"
        except Exception as error:
            problem, is_foreseen = _sentence(error)
            if is_foreseen:
                _log.warning("piece_failed", piece=name, error=problem)
            else:
                _log.error("piece_failed", piece=name, error=problem, exc_info=error)
        if on_fault is not None:
            on_fault(problem)
        failures = 1 if loop.time() - started > _HEALTHY_S else failures + 1
        wait_s = backoff_s(failures)
        _log.warning("piece_restarts", piece=name, in_s=round(wait_s, 1), reason=problem)
        await asyncio.sleep(wait_s)


def _sentence(error: Exception) -> tuple[str, bool]:
    """What went wrong, and whether it is a journal that cannot be written, which says all there is to say."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, JournalError):
        return str(error), True
    return f"{type(error).__name__}: {error}", False
