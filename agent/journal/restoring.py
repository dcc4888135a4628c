"""Puts another journal in the place of this one, so that a power cut leaves the one or the other, whole.

The daemon must not run. What was there before is set aside, never deleted.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from agent.journal import renewal
from agent.journal.copying import verify
from agent.journal.lock import Lock
from agent.journal.schema import JournalError, connect_writer
from drivers.values import dataclass

_WHY = "the journal was restored from a backup: it may have been sent since"


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of it. `aside` is where the old journal is now, None where there was none."""

    held: int
    aside: Path | None


def restore(backup: Path, journal: Path, now_ms: int) -> Restored:
    """Bring a backup in as the journal, renewed. Raises: JournalError with a sentence; nothing is changed then."""
    verify(backup)
    lock = Lock(journal)
    lock.take()
    try:
        fresh = journal.with_name("journal.restoring")
        remove(fresh)
        shutil.copyfile(backup, fresh)
        held = prepare(fresh, now_ms, _WHY)
        return Restored(held, put_in_place(fresh, journal, now_ms, "replaced"))
    finally:
        lock.give_back()


def prepare(fresh: Path, now_ms: int, why: str) -> int:
    """Migrate and renew a file that is about to become the journal. Returns how many messages are held."""
    with closing(connect_writer(fresh, now_ms)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        held = renewal.renew(connection, now_ms, why)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return held


def put_in_place(fresh: Path, journal: Path, now_ms: int, word: str) -> Path | None:
    """`fresh`, closed, becomes the journal; the old one gets another name first. Returns that name."""
    fresh.chmod(0o640 if not journal.exists() else journal.stat().st_mode & 0o777)
    _give_to(fresh, journal.parent)
    _sync(fresh)
    aside = set_aside(journal, now_ms, word, is_kept=True) if journal.exists() else None
    fresh.replace(journal)
    for mark in (".damaged", ".open"):
        journal.with_suffix(mark).unlink(missing_ok=True)
    _sync(journal.parent)
    return aside


def set_aside(journal: Path, now_ms: int, word: str, *, is_kept: bool = False) -> Path:
    """Give a journal and its WAL another name, e.g. `journal.damaged-20261125T101500.db`. With `is_kept` the file
    stays under its own name too, until another takes it."""
    if word == "replaced":
        _fold_wal(journal)
    at = datetime.fromtimestamp(now_ms / 1000, UTC)
    aside = journal.with_name(f"journal.{word}-{at:%Y%m%dT%H%M%S}.db")
    number = 1
    while aside.exists():
        aside, number = aside.with_name(f"journal.{word}-{at:%Y%m%dT%H%M%S}-{number}.db"), number + 1
    # The WAL first: a new journal must never meet the old one's.
    for ending in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{journal}{ending}").rename(f"{aside}{ending}")
    if is_kept:
        _twin(journal, aside)
    else:
        with suppress(FileNotFoundError):
            journal.rename(aside)
    _sync(journal.parent)
    return aside


def _fold_wal(journal: Path) -> None:
    """What stands in the WAL goes into the file, where both are in order."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(journal, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _twin(journal: Path, aside: Path) -> None:
    try:
        os.link(journal, aside)
    except OSError:
        # A file system without hard links (a stick's).
        shutil.copyfile(journal, aside)
        _sync(aside)


def _give_to(path: Path, directory: Path) -> None:
    """To the owner of the state_dir: `sudo phonebridge restore` must not leave a file that the service cannot open."""
    owner = directory.stat()
    if (owner.st_uid, owner.st_gid) != (path.stat().st_uid, path.stat().st_gid):
        try:
            os.chown(path, owner.st_uid, owner.st_gid)
        except PermissionError as error:
            raise JournalError(f"{directory} belongs to another user; run it as that user, or with sudo") from error


def remove(path: Path) -> None:
    """A file and its WAL, where they are."""
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
