"""Copies a journal that is in use: one snapshot, taken in steps by a reader, verified before anybody may have it.

The reader holds its snapshot open, so that commits meanwhile neither show nor restart the copy, and writes nothing
to the journal: only the daemon's own writer does (the WAL reset race of SQLite needs a second one).
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from agent.journal.schema import APPLICATION_ID, JournalError, connect_reader

_PAGES_AT_ONCE = 256
# Between two steps, so that a card is left to the writer most of the time.
_PAUSE_S = 0.005
_ROOM_OCTETS = 16 << 20
_PATTERN = "backup-*.partial"


def fresh_path(journal: Path) -> Path:
    """A name beside the journal for the copy; what an earlier process left there is removed."""
    for stale in journal.parent.glob(_PATTERN):
        stale.unlink(missing_ok=True)
    return journal.with_name(f"backup-{secrets.token_hex(8)}.partial")


def copy(journal: Path, target: Path, tell: Callable[[int, int], None], is_wanted: Callable[[], bool]) -> None:
    """Everything committed before the call, in a new file of mode 0600. `tell(done, total)` pages, from this thread.

    Raises: JournalError with a sentence; what was written is removed then.
    """
    size = journal.stat().st_size + _octets(journal.with_name(journal.name + "-wal"))
    if shutil.disk_usage(target.parent).free < size + _ROOM_OCTETS:
        raise JournalError(f"there is no room for a copy of {size >> 20} MB in {target.parent}; free some space")
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _copy(journal, target, tell, is_wanted)
        verify(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def verify(path: Path) -> None:
    """Raises: JournalError where the file is no journal in good order."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        try:
            owner = connection.execute("PRAGMA application_id").fetchone()[0]
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise JournalError(f"{path} is damaged or no journal ({error})") from error
    if owner != APPLICATION_ID:
        raise JournalError(f"{path} is not a phonebridge journal")
    if found != "ok":
        raise JournalError(f"{path} is damaged ({str(found).splitlines()[0]})")


def _copy(journal: Path, target: Path, tell: Callable[[int, int], None], is_wanted: Callable[[], bool]) -> None:
    source = connect_reader(journal)
    copied = sqlite3.connect(target, isolation_level=None)

    def progress(_: int, remaining: int, total: int) -> None:
        if not is_wanted():
            raise JournalError("the backup was broken off")
        tell(total - remaining, total)
        time.sleep(_PAUSE_S)

    try:
        copied.execute("PRAGMA synchronous = OFF")  # synced once, below
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM meta").fetchone()  # from here on it is this snapshot
        source.backup(copied, pages=_PAGES_AT_ONCE, progress=progress)
        source.execute("COMMIT")
        copied.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it
    except sqlite3.Error as error:
        raise JournalError(f"the journal could not be copied ({error})") from error
    finally:
        copied.close()
        source.close()
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _octets(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
