"""Times as MobSMS writes them, and files of JSON lines that survive a kill of the writing process.

Knows nothing of HTTP or of messages.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def now_ms() -> int:
    """The present instant as UTC milliseconds."""
    return time.time_ns() // 1_000_000


def stamp(instant_ms: int | None) -> str | None:
    """UTC milliseconds as `2026-06-08T10:00:00.000000Z`.

    The fraction is always zero, as in every example of the API: the server's columns hold whole seconds.
    """
    if instant_ms is None:
        return None
    return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def parse_stamp(text: str) -> int:
    """UTC milliseconds of an ISO 8601 instant with a zone.

    Raises: ValueError: not an ISO 8601 instant, or one without a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"instant without a zone: {text}")
    return int(moment.timestamp() * 1000)


class LineFile:
    """An append-only file of JSON lines, each line handed to the kernel before `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, *records: dict[str, Any]) -> None:
        # One os.write per call: a kill between two buffered halves would leave a torn line in the middle.
        # surrogatepass: a test may well send half a surrogate pair, and the log must show it.
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        data = text.encode("utf-8", "surrogatepass")
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        os.close(self._file)


class Log:
    """The server's log: `event`, `at_ms` (UTC) and `mono_s` (CLOCK_MONOTONIC) on every line.

    CLOCK_MONOTONIC is one clock for all processes of a machine, so lines of two logs can be put in order.
    """

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)

    def write(self, event: str, **fields: Any) -> None:
        self.write_all([{"event": event, **fields}])

    def write_all(self, records: Iterable[dict[str, Any]]) -> None:
        at_ms, mono_s = now_ms(), time.monotonic_ns() / 1e9
        lines = [{"event": record["event"], "at_ms": at_ms, "mono_s": mono_s, **record} for record in records]
        if lines:
            self._file.write(*lines)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole JSON line of a file; a torn last line, left by a kill, is passed over."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and line.strip():
                yield json.loads(line)
