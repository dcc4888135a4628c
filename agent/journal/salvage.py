"""Saves what can be read of a damaged journal, table by table, into a new one.

Rows are read in the order of their keys from both ends, and one by one around pages that cannot be read. It works on
a copy: the damaged file stays as it was found.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from agent.journal import restoring
from agent.journal.lock import Lock
from agent.journal.schema import PAGE_OCTETS, JournalError, connect_writer
from drivers.values import dataclass

_WHY = "the journal was damaged: it may have been sent"
_LOST = "its text was lost with a part of the journal"
# Counters are made again by triggers; the queue is made again by a release.
_MADE_AGAIN = ("counter", "queue")
_HEADER_OCTETS = 100
_WIDEST_GAP = 5_000_000
_MAGIC = b"SQLite format 3\0"
_PAGE_SIZES = (PAGE_OCTETS, 4096)
"""Of our journals: now, and before 0.2."""


@dataclass(frozen=True, slots=True)
class Saved:
    """Rows of one table that were saved; `is_whole` says that none is known to be missing."""

    table: str
    rows: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was saved from `source`, how many messages are held, and where the journal in use before is now."""

    source: Path
    tables: tuple[Saved, ...]
    held: int
    aside: Path | None


def find_damaged(journal: Path) -> Path | None:
    """The journal that was set aside last."""
    found = sorted(journal.parent.glob("journal.damaged-*.db"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def recover(source: Path, journal: Path, now_ms: int, tell: Callable[[Saved], None]) -> Recovered:
    """Make a journal of what can be read of `source`, and put it in place. The daemon must not run.

    Raises: JournalError with a sentence; nothing is changed then.
    """
    lock = Lock(journal)
    lock.take()
    copied, fresh = journal.with_name("journal.reading"), journal.with_name("journal.recovering")
    model = journal.with_name("journal.model")
    try:
        for path in (copied, fresh, model):
            restoring.remove(path)
        connect_writer(fresh, now_ms).close()
        tables = tuple(_save(_readable(source, copied, model, now_ms), fresh, tell))
        held = restoring.prepare(fresh, now_ms, _WHY)
        return Recovered(source, tables, held, restoring.put_in_place(fresh, journal, now_ms, "replaced"))
    finally:
        for path in (copied, fresh, model):
            restoring.remove(path)
        lock.give_back()


def accept_loss(journal: Path, now_ms: int) -> None:
    """The journal that stands in for a damaged one is the journal from now on. Raises: JournalError."""
    lock = Lock(journal)
    lock.take()
    try:
        if not journal.exists():
            raise JournalError(f"there is no journal in {journal.parent}; the daemon makes one when it starts")
        with closing(connect_writer(journal, now_ms)) as connection:
            connection.execute("DELETE FROM meta WHERE key = 'degraded'")
    finally:
        lock.give_back()


# --- pieces -----------------------------------------------------------------------------------------


def _copy(source: Path, copied: Path) -> None:
    shutil.copyfile(source, copied)
    wal = Path(f"{source}-wal")
    if wal.exists():
        shutil.copyfile(wal, f"{copied}-wal")


def _save(source: sqlite3.Connection, fresh: Path, tell: Callable[[Saved], None]) -> Iterator[Saved]:
    with closing(source), closing(sqlite3.connect(fresh, isolation_level=None)) as target:
        target.execute("PRAGMA foreign_keys = OFF")
        tables = [
            row[0]
            for row in target.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name != 'message'")
            if row[0] not in _MADE_AGAIN and not row[0].startswith("sqlite_")
        ]
        for table in tables:
            target.execute("BEGIN IMMEDIATE")
            saved = _save_table(source, target, table)
            target.execute("COMMIT")
            tell(saved)
            yield saved
        target.execute("BEGIN IMMEDIATE")
        for table in tables:
            _drop_orphans(target, table)
        _mend_messages(target)
        target.execute("COMMIT")


def _save_table(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> Saved:
    wanted = {row[1]: row[5] for row in target.execute(f"PRAGMA table_info({table})")}
    try:
        given = [row[1] for row in source.execute(f"PRAGMA table_info({table})") if row[1] in wanted]
    except sqlite3.DatabaseError:
        given = []
    if not given:
        return Saved(table, 0, is_whole=False)
    keys = [name for name, order in sorted(wanted.items(), key=lambda item: item[1]) if order and name in given]
    reader = _Reader(source, table, given, keys)
    marks = ", ".join("?" * len(given))
    # The journal's own birth and id are made when it is renewed; what is there already stays.
    verb = "INSERT OR REPLACE" if table == "meta" else "INSERT OR IGNORE"
    rows = 0
    for row in reader.rows():
        rows += target.execute(f"{verb} INTO {table} ({', '.join(given)}) VALUES ({marks})", row).rowcount
    if table == "part" and not reader.is_whole:
        rows += _parts_by_message(source, target, given)
    return Saved(table, rows, reader.is_whole)


class _Reader:
    """All rows of a table that can be read, each once."""

    def __init__(self, source: sqlite3.Connection, table: str, columns: list[str], keys: list[str]) -> None:
        self._source = source
        self._table = table
        self._columns = columns
        self._keys = keys
        self._places = [columns.index(key) for key in keys]
        self.is_whole = True

    def rows(self) -> Iterator[tuple[object, ...]]:
        last: tuple[object, ...] | None = None
        for row in self._walk("ASC"):
            last = self._key(row)
            yield row
        if self.is_whole:
            return
        first: tuple[object, ...] | None = None
        for row in self._walk("DESC"):
            if last is not None and self._key(row) == last:
                return
            first = self._key(row)
            yield row
        yield from self._between(last, first)

    def _walk(self, order: str) -> Iterator[tuple[object, ...]]:
        by = ", ".join(f"{key} {order}" for key in self._keys) or f"rowid {order}"
        try:
            for row in self._source.execute(f"SELECT {', '.join(self._columns)} FROM {self._table} ORDER BY {by}"):
                yield tuple(row)
        except sqlite3.DatabaseError:
            self.is_whole = False

    def _between(
        self, last: tuple[object, ...] | None, first: tuple[object, ...] | None
    ) -> Iterator[tuple[object, ...]]:
        """One by one between the two ends, where the key is a number."""
        begin, end = (last or (0,))[0], (first or (None,))[0]
        if len(self._keys) != 1 or not isinstance(begin, int):
            return
        if not isinstance(end, int):
            end = begin + 100_000
        statement = f"SELECT {', '.join(self._columns)} FROM {self._table} WHERE {self._keys[0]} = ?"
        for key in range(begin + 1, min(end, begin + _WIDEST_GAP)):
            with suppress(sqlite3.DatabaseError):
                row = self._source.execute(statement, (key,)).fetchone()
                if row is not None:
                    yield tuple(row)

    def _key(self, row: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(row[place] for place in self._places)


def _parts_by_message(source: sqlite3.Connection, target: sqlite3.Connection, columns: list[str]) -> int:
    """Parts of saved messages that the walk from both ends did not reach."""
    lacking = target.execute(
        "SELECT id FROM message m WHERE direction = 'outbound' AND NOT EXISTS "
        "(SELECT 1 FROM part p WHERE p.message_id = m.id)"
    ).fetchall()
    rows, marks = 0, ", ".join("?" * len(columns))
    for (message_id,) in lacking:
        with suppress(sqlite3.DatabaseError):
            found = source.execute(f"SELECT {', '.join(columns)} FROM part WHERE message_id = ?", (message_id,))
            for row in found.fetchall():
                rows += target.execute(
                    f"INSERT OR IGNORE INTO part ({', '.join(columns)}) VALUES ({marks})", tuple(row)
                ).rowcount
    return rows


def _drop_orphans(target: sqlite3.Connection, table: str) -> None:
    """Rows that hang on something that was lost."""
    for row in target.execute(f"PRAGMA foreign_key_list({table})").fetchall():
        parent, column, key = row[2], row[3], row[4]
        target.execute(
            f"DELETE FROM {table} WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT {key} FROM {parent})"
        )


def _mend_messages(target: sqlite3.Connection) -> None:
    """No server's id is forgotten, and what lost its parts is failed rather than sent in pieces."""
    target.execute(
        "INSERT OR IGNORE INTO remote_key (upstream, remote_id, message_id, state, error, seen_ms) "
        "SELECT upstream, remote_id, id, state, error, created_ms FROM message "
        "WHERE direction = 'outbound' AND upstream IS NOT NULL AND remote_id IS NOT NULL"
    )
    target.execute(
        "UPDATE message SET state = 'failed', error = ? WHERE direction = 'outbound' "
        "AND state IN ('queued', 'held', 'sending', 'unknown') "
        "AND parts != (SELECT count(*) FROM part p WHERE p.message_id = message.id)",
        (_LOST,),
    )


# --- a file whose beginning is damaged ----------------------------------------------------------------


def _readable(source: Path, copied: Path, model: Path, now_ms: int) -> sqlite3.Connection:
    """The copy, opened; with a header of our own, and if need be a first page, where its own cannot be used: those of
    `model`, which is made for it. Raises: JournalError where no table is found in it."""
    said = _page_octets(source)
    for page_octets in (said,) if said else _PAGE_SIZES:
        restoring.remove(model)
        _copy(source, copied)
        connect_writer(model, now_ms, page_octets).close()
        template = model.read_bytes()[:page_octets]
        for mend in (0, _HEADER_OCTETS, page_octets):
            _mend_header(copied, template, page_octets, mend)
            connection = sqlite3.connect(copied, isolation_level=None)
            with suppress(sqlite3.DatabaseError):
                if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'message'").fetchone()[0]:
                    return connection
            connection.close()
    raise JournalError(
        f"nothing can be read of {source}; restore a backup (phonebridge restore FILE), or go on without: "
        "phonebridge recover --discard"
    )


def _page_octets(journal: Path) -> int | None:
    """What its header says; None where it has none."""
    with journal.open("rb") as file:
        head = file.read(18)
    size = int.from_bytes(head[16:18], "big")
    return size if head.startswith(_MAGIC) and size in _PAGE_SIZES else None


def _mend_header(copied: Path, template: bytes, page_octets: int, octets: int) -> None:
    """The first octets of another journal, and as many pages as there really are."""
    size = copied.stat().st_size
    pages = -(-size // page_octets)
    if not pages:
        return
    with copied.open("r+b") as file:
        file.truncate(pages * page_octets)
        if octets:
            file.write(template[:octets])
            file.seek(32)
            file.write(bytes(8))  # no free pages that anybody knows of
        file.seek(24)
        counter = file.read(4)
        file.seek(28)
        file.write(pages.to_bytes(4, "big"))
        file.seek(92)
        file.write(counter)  # says that the number of pages is right
