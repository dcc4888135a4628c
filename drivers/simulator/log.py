"""The event log: one JSON object per line, on disk before anything that follows from the event happens.

Every later count of what was sent, stored, read and lost is made from this file alone; README.md has the
table of events. `write` is synchronous on purpose: the line precedes the answer that the client sees.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

Value = str | int | float | bool | None | list[int] | list[str] | dict[str, str | int | float | bool | None]
Observer = Callable[[int | None, str, dict[str, Value]], None]

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class EventLog:
    """Appends events with wall-clock milliseconds and monotonic seconds (the system-wide monotonic clock)."""

    def __init__(self, path: Path | None) -> None:
        self._descriptor: int | None = None
        if path is not None:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._observer: Observer | None = None
        self._counts: dict[tuple[int | None, str], int] = {}

    def write(self, modem: int | None, event: str, **fields: Value) -> None:
        """One line by one write(2): a killed simulator leaves whole lines."""
        self._counts[modem, event] = self._counts.get((modem, event), 0) + 1
        if self._descriptor is not None:
            record = {
                "at_ms": time.time_ns() // 1_000_000,
                "mono_s": time.monotonic_ns() / 1e9,
                "modem": modem,
                "event": event,
                **fields,
            }
            os.write(self._descriptor, _ENCODE(record).encode() + b"\n")
        if self._observer is not None:
            self._observer(modem, event, fields)

    def observe(self, observer: Observer) -> None:
        """From now on somebody is told of every event."""
        self._observer = observer

    def counts(self, modem: int | None) -> dict[str, int]:
        """How many events of each name that modem had."""
        return {event: count for (owner, event), count in self._counts.items() if owner == modem}

    def close(self) -> None:
        """Closes the file; later events go to the observer only."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
