"""The pieces that run by themselves, by name: each is supervised, and can be ended or replaced alone.

Knows no routes and no upstreams; what a piece is made of is `assembly`'s to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import field
from typing import Any

import structlog

from agent.supervise import keep_running
from drivers.values import dataclass

_log = structlog.get_logger("roster")

# A local server lets its requests end for some seconds; whoever takes longer holds up a reload, not the box.
_LONGEST_END_S = 20.0

Work = Callable[[], Coroutine[Any, Any, None]]


def _nothing() -> None:
    pass


async def _at_once() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What `work` does is kept running; `on_fault` is told of the faults of the work of that name.

    `drain` is awaited before it is cancelled; `join` makes it known to the rest of the process and `leave` undoes that.
    """

    name: str
    work: Mapping[str, Work]
    on_fault: Mapping[str, Callable[[str], None]] = field(default_factory=dict)
    drain: Work = _at_once
    join: Callable[[], None] = _nothing
    leave: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class _Entry:
    piece: Piece
    made_from: object
    tasks: list[asyncio.Task[None]]


class Roster:
    """Who runs now. All tasks belong to one task group."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._entries: dict[str, _Entry] = {}

    def pieces(self) -> list[Piece]:
        return [entry.piece for entry in self._entries.values()]

    def runs(self, name: str, made_from: object) -> bool:
        """Whether a piece of this name runs that was made from the same."""
        entry = self._entries.get(name)
        return entry is not None and entry.made_from == made_from

    def start(self, piece: Piece, made_from: object) -> None:
        """Start what has joined. `made_from` is what another one is compared by."""
        tasks = [
            self._group.create_task(keep_running(name, work, on_fault=piece.on_fault.get(name)), name=name)
            for name, work in piece.work.items()
        ]
        self._entries[piece.name] = _Entry(piece, made_from, tasks)

    async def end(self, names: Iterable[str]) -> None:
        """Let those pieces finish what they have begun, all at the same time, and stop them."""
        await asyncio.gather(*(self._end(self._entries[name]) for name in names))

    def cancel(self) -> None:
        """Stop everything at once."""
        for entry in self._entries.values():
            for task in entry.tasks:
                task.cancel()

    async def _end(self, entry: _Entry) -> None:
        await entry.piece.drain()
        for task in entry.tasks:
            task.cancel()
        if (await asyncio.wait(entry.tasks, timeout=_LONGEST_END_S))[1]:
            _log.error("piece_does_not_end", piece=entry.piece.name, after_s=_LONGEST_END_S)
        del self._entries[entry.piece.name]
