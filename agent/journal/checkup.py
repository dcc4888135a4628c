"""A look at the journal's file from outside, for `doctor` while no daemon runs. Reads only."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from agent.journal.schema import JournalError, connect_reader
from drivers.values import dataclass

# A check reads the whole file; on a card of 20 MB/s this is ten seconds.
_LARGEST_CHECKED_BYTES = 200 << 20


@dataclass(frozen=True, slots=True)
class Checkup:
    """`problem` is one sentence, None where the file is sound; `is_whole` says that all of it was read."""

    version: int
    bytes: int
    problem: str | None
    is_whole: bool


def check(path: Path) -> Checkup:
    """Raises: OSError where there is no such file or it may not be read."""
    size = path.stat().st_size
    try:
        connection = connect_reader(path)
    except (sqlite3.Error, JournalError) as error:
        return Checkup(0, size, f"the journal {path} cannot be opened: {error}", False)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        is_whole = size <= _LARGEST_CHECKED_BYTES
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if is_whole else "ok"
    except sqlite3.DatabaseError as error:
        return Checkup(0, size, f"the journal {path} is damaged: {error}", False)
    finally:
        connection.close()
    return Checkup(version, size, None if said == "ok" else f"the journal {path} is damaged: {said}", is_whole)
