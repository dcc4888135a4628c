"""Is the journal's file in order? Looked at before it is used, and whenever a statement meets a page that cannot be.

Two marks stand beside the file. `.damaged`: a statement met a damaged page, so the whole file is checked at the next
start. `.open`: something was committed since the last orderly end, so a WAL must be there; without it the file is an
older state of itself, and what it calls open may have been sent.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from agent.journal import restoring
from agent.journal.schema import JournalError

DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# A file that was not closed is looked through at the start, up to a size that even a Pi reads in seconds.
_QUICK_CHECK_OCTETS = 64 << 20


class JournalDamaged(JournalError):
    """The journal's file cannot be used, and another may take its place. `str()` is one sentence."""


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file is not in order, rather than busy, full or used wrongly."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.DatabaseError) and code is not None and code & 0xFF in DAMAGE


def look_at_file(path: Path) -> None:
    """Before it is opened. Raises: JournalDamaged."""
    if path.exists() and path.stat().st_size == 0:
        # A journal gets its name when it is whole, so this one was more once.
        raise JournalDamaged(f"the journal {path} is empty")
    if not path.exists() and _octets(_wal(path)):
        raise JournalDamaged(f"the journal {path} is gone, and only its WAL is left")


def look_inside(connection: sqlite3.Connection, path: Path, *, was_closed: bool) -> None:
    """Once it is open. Raises: JournalDamaged; sqlite3.Error."""
    is_marked = mark_of(path).exists()
    if not is_marked and (was_closed or path.stat().st_size > _QUICK_CHECK_OCTETS):
        return
    found = connection.execute("PRAGMA integrity_check" if is_marked else "PRAGMA quick_check").fetchone()[0]
    if found != "ok":
        raise JournalDamaged(f"the journal {path} is damaged ({str(found).splitlines()[0]})")
    mark_of(path).unlink(missing_ok=True)


def is_wal_missing(path: Path) -> bool:
    """Whether commits since the last orderly end are gone. To be asked before the file is opened."""
    return path.exists() and open_mark_of(path).exists() and not _octets(_wal(path))


def mark_of(path: Path) -> Path:
    return path.with_suffix(".damaged")


def open_mark_of(path: Path) -> Path:
    return path.with_suffix(".open")


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _octets(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def set_aside(path: Path, now_ms: int) -> Path:
    """A damaged journal gets another name, with its WAL and its migration's copy left alone. Returns that name."""
    aside = restoring.set_aside(path, now_ms, "damaged")
    for mark in (mark_of(path), open_mark_of(path)):
        mark.unlink(missing_ok=True)
    return aside
