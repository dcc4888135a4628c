"""Opens the journal file and brings its schema up to date. Knows nothing of what is in it."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path

# Pages that were read stay in the kernel's cache too; the process's own is kept small (a Pi Zero 2 has 512 MB).
_WRITER_CACHE_KIB = 768
_READER_CACHE_KIB = 256
PAGE_OCTETS = 2048
"""A part changes some 25 pages, each of which goes into the WAL whole: half of what SQLite's usual 4 KiB would write to
the card. Smaller still, a damaged page near the root of a table takes more with it."""
APPLICATION_ID = 0x50424A31
"""Marks the file as a phonebridge journal ("PBJ1")."""


_VACUUM_AT_ONCE_OCTETS = 64 << 20


class JournalError(Exception):
    """The journal cannot be used. `str()` is one sentence with the next step."""


def connect_writer(path: Path, now_ms: int, page_octets: int = PAGE_OCTETS) -> sqlite3.Connection:
    """The one connection that writes and checkpoints; creates and migrates the file.

    A journal that is made has pages of that size, and gets its name when it is whole. Raises: JournalError, from the
    sqlite3.Error if any.
    """
    if not path.exists():
        making = path.with_name(path.name + ".making")
        making.unlink(missing_ok=True)
        _open(making, now_ms, page_octets).close()
        making.replace(path)
    return _open(path, now_ms, page_octets)


def _open(path: Path, now_ms: int, page_octets: int) -> sqlite3.Connection:
    try:
        connection = _connect(f"file:{path}", _WRITER_CACHE_KIB)
        if not connection.execute("PRAGMA page_count").fetchone()[0]:
            # Before the first table: pages that retention frees can be given back in small steps.
            connection.execute(f"PRAGMA page_size = {page_octets}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # For a single large write: the journal's thread makes its checkpoints itself.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        # A WAL of 4 MiB is the most that is kept on the card between checkpoints.
        connection.execute("PRAGMA journal_size_limit = 4194304")
        _migrate(connection, path, now_ms)
        # Each write is a savepoint, and one of more than 64 KiB would keep its old pages in a file below /var/tmp: as
        # much written to the card again as the journal itself takes. Not before migrations: VACUUM copies everything.
        connection.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error as error:
        raise JournalError(
            f"the journal {path} cannot be opened ({error}); check the disk and the file's owner, "
            "or move the file away to start anew"
        ) from error
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises: sqlite3.Error."""
    return _connect(f"file:{path}?mode=ro", _READER_CACHE_KIB)


def _connect(uri: str, cache_kib: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=128, timeout=10
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    return connection


def _migrate(connection: sqlite3.Connection, path: Path, now_ms: int) -> None:
    steps = sorted(
        (int(entry.name.removesuffix(".sql")), entry.read_text())
        for entry in files(__package__).joinpath("schema").iterdir()
        if entry.name.endswith(".sql")
    )
    newest = steps[-1][0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    if (version or connection.execute("SELECT 1 FROM sqlite_master").fetchone()) and owner != APPLICATION_ID:
        raise JournalError(f"{path} is not a phonebridge journal; give another state_dir")
    if version > newest:
        raise JournalError(
            f"the journal {path} was written by a newer phonebridge (schema {version}, this one knows {newest}); "
            "install that version again, or restore the copy made before the migration"
        )
    if version == newest:
        return
    if version:
        _copy(connection, path.with_suffix(f".before-{newest}.db"))
    for number, script in steps:
        if number > version:
            _apply(connection, number, script, now_ms)
    if version and path.stat().st_size < _VACUUM_AT_ONCE_OCTETS:
        # A journal made before 0.2 cannot give pages back until it is written anew, once. A large one only reuses them.
        # Its pages keep their size as long as there is a WAL, and that stays where somebody else has the file open.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute(f"PRAGMA page_size = {PAGE_OCTETS}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode = WAL")


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    """A whole journal, with what a power cut left in the WAL; the file itself need not have it."""
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as copy:
        connection.backup(copy)
    partial.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.rename(target)


def _apply(connection: sqlite3.Connection, number: int, script: str, now_ms: int) -> None:
    """All of one step in one transaction, so that a power cut leaves the old version or the new one."""
    birth = ""
    if number == 1:
        journal_id = secrets.token_hex(8)
        birth = (
            f"INSERT INTO meta VALUES ('journal_id', '{journal_id}'), ('born_ms', '{int(now_ms)}');"
            f"PRAGMA application_id = {APPLICATION_ID};"
        )
    try:
        connection.executescript(f"BEGIN IMMEDIATE;{script}\n{birth}PRAGMA user_version = {number};COMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
