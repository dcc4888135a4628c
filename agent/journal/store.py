"""The journal file, its one writing thread and its one reading thread.

Writes are functions of a connection. The thread takes what is waiting, runs it in one transaction (each
function behind the first in a savepoint of its own, so that one that raises undoes only itself) and commits
once: that is the group commit by which several routes and reports share an fsync. `write` returns when the
commit is on disk; `write_early` hands over the result before, with a future for the commit.
This module knows only the table `meta`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog

from agent.journal import damage, renewal
from agent.journal.damage import JournalDamaged
from agent.journal.lock import Lock
from agent.journal.schema import JournalError, connect_reader, connect_writer
from drivers.values import dataclass

T = TypeVar("T")
_log = structlog.get_logger("journal")

REPORT_PATIENCE_S = 0.02
"""How long a write that nobody waits for on the line may wait for company (DESIGN decision 1)."""
_BATCH = 256
_COMMITS_PER_FOLD = 64
"""How often the WAL is folded into the file: some 3 MB of parts, most of which are the same pages again and again."""
_BALLAST_OCTETS = 1 << 20
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


class JournalFull(JournalError):
    """The disk is full; nothing of this write was kept."""


@dataclass(slots=True)
class _Work:
    run: Callable[[sqlite3.Connection], Any]
    patience_s: float
    early: asyncio.Future[Any] | None
    durable: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    is_shown: bool = False
    """Whether the result was handed over already."""


class Journal:
    """One open journal. Start and close it in the loop that uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits = 0
        """Transactions that wrote something."""
        self.failures = 0
        """Transactions that could not be written."""
        self._fold_at = _COMMITS_PER_FOLD
        self.degraded: str | None = None
        """Why this journal only stands in for one that was damaged: nothing is accepted or sent."""
        self.damaged_by: str | None = None
        self.damaged: asyncio.Event | None = None
        """Set when a statement met a damaged page: the daemon must begin anew."""
        self.has_reserve = False
        """Whether the ballast is there. Without it only outcomes are written: nothing is accepted or sent."""
        self.reserve_gone: asyncio.Event | None = None
        """Set when a full disk took the ballast: until `keep_ballast` has made it again somebody must look."""
        self._ballast = path.with_suffix(".ballast")
        self._inbox: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = Lock(path)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="journal-reader", initializer=self._open_reader)
        self._local = threading.local()

    async def start(self, now_ms: int) -> None:
        """Open, migrate, and start the writing thread. Raises: JournalDamaged where another journal may take the
        place of the file; JournalError."""
        self._loop = asyncio.get_running_loop()
        self.damaged, self.reserve_gone = asyncio.Event(), asyncio.Event()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as error:
            raise JournalError(
                f"agent.state_dir {self.path.parent} cannot be made: {error.strerror}; "
                "create it or choose one that this user may write"
            ) from error
        self._lock.take()
        try:
            self._connection = await self._loop.run_in_executor(None, self._open_writer, now_ms)
        except BaseException:
            self._lock.give_back()
            raise
        self.keep_ballast()
        self._thread = threading.Thread(target=self._serve, name="journal-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Commit what is waiting, checkpoint and close."""
        if self._thread is not None:
            self._inbox.put(None)
            await self._loop.run_in_executor(None, self._thread.join)
            self._thread = None
            if not self.damaged_by:
                # Before the WAL goes with the connection: whoever is killed in between has lost nothing.
                damage.open_mark_of(self.path).unlink(missing_ok=True)
            self._connection.close()
            self._lock.give_back()
        self._readers.shutdown(wait=True)

    async def write(self, run: Callable[[sqlite3.Connection], T], *, patience_s: float = 0.0) -> T:
        """Run in a transaction; returns once it is durable.

        Raises: what `run` raises; JournalFull; JournalError when closed.
        """
        work = self._put(run, patience_s, early=False)
        result: T = await landed(work.durable)
        return result

    async def write_early(self, run: Callable[[sqlite3.Connection], T]) -> tuple[T, asyncio.Future[Any]]:
        """Run in a transaction; returns the result at once, and a future that is done when it is durable.

        Nothing outside may be told before the future is done. Raises: what `run` raises.
        """
        early, durable = self.begin(run)
        return await landed(early), durable

    def begin(self, run: Callable[[sqlite3.Connection], T]) -> tuple[asyncio.Future[T], asyncio.Future[Any]]:
        """As `write_early`, without waiting: the future of the result, and the one of the commit.

        It is run whether anybody waits or not. Raises: JournalError when closed.
        """
        work = self._put(run, 0.0, early=True)
        assert work.early is not None  # made by _put for early work
        return work.early, work.durable

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run on a connection that sees the last commit and cannot write. Raises: JournalDamaged; what `run` raises."""

        def look() -> T:
            try:
                return run(self._local.connection)
            except sqlite3.DatabaseError as error:
                if damage.is_damage(error):
                    raise self._damage(error) from error
                raise

        return await self._loop.run_in_executor(self._readers, look)

    async def stand_in(self, sentence: str) -> None:
        """This journal is in the place of a damaged one, until `phonebridge recover`."""
        await self.write(lambda con: con.execute("INSERT OR REPLACE INTO meta VALUES ('degraded', ?)", (sentence,)))
        self.degraded = sentence

    async def probe(self) -> None:
        """Returns when a reader and the writing thread both answer; writes nothing."""
        await self.read(lambda con: con.execute("SELECT 1").fetchone())
        await self.write(lambda _: None)

    def size_bytes(self) -> int:
        """Of the journal with its write-ahead log."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def keep_ballast(self) -> None:
        """Make the ballast file again where there is room for it, so that a full disk has a reserve."""
        try:
            if not self._ballast.exists():
                room = os.statvfs(self.path.parent)
                if room.f_bavail * room.f_frsize < _BALLAST_OCTETS:
                    # Not tried: on a card each try would be written.
                    self.has_reserve = False
                    return
                self._ballast.write_bytes(b"\0" * _BALLAST_OCTETS)
            self.has_reserve = True
        except OSError:
            self._ballast.unlink(missing_ok=True)
            self.has_reserve = False

    # --- the loop's side ----------------------------------------------------------------------------

    def _put(self, run: Callable[[sqlite3.Connection], Any], patience_s: float, *, early: bool) -> _Work:
        if self._thread is None:
            raise JournalError("the journal is closed")
        early_future = self._loop.create_future() if early else None
        work = _Work(run, patience_s, early_future, self._loop.create_future())
        # Whoever awaits learns of an error; nobody else need be told that a future was never retrieved.
        for future in filter(None, (work.early, work.durable)):
            future.add_done_callback(_seen)
        self._inbox.put(work)
        return work

    def _settle(self, batch: list[_Work]) -> None:
        for work in batch:
            for future in (work.early, work.durable):
                if future is None or future.done():
                    continue
                if work.error is not None:
                    future.set_exception(work.error)
                else:
                    future.set_result(work.result)

    @staticmethod
    def _show(work: _Work) -> None:
        if work.early is not None and not work.early.done():
            work.early.set_result(work.result)

    # --- the thread's side --------------------------------------------------------------------------

    def _open_writer(self, now_ms: int) -> sqlite3.Connection:
        damage.look_at_file(self.path)
        was_closed = not damage.open_mark_of(self.path).exists()
        is_behind = damage.is_wal_missing(self.path)
        try:
            connection = connect_writer(self.path, now_ms)
            try:
                damage.look_inside(connection, self.path, was_closed=was_closed)
                row = connection.execute("SELECT value FROM meta WHERE key = 'degraded'").fetchone()
                if is_behind:
                    self._hold_what_is_behind(connection, now_ms)
            except BaseException:
                connection.close()
                raise
        except sqlite3.DatabaseError as error:
            raise JournalDamaged(f"the journal {self.path} is damaged ({error})") from error
        except JournalError as error:
            if error.__cause__ is not None and damage.is_damage(error.__cause__):
                raise JournalDamaged(f"the journal {self.path} is damaged ({error.__cause__})") from error
            raise
        self.degraded = None if row is None else str(row[0])
        return connection

    def _hold_what_is_behind(self, connection: sqlite3.Connection, now_ms: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        held = renewal.hold_open(
            connection, now_ms, "the journal's last changes (-wal) are gone: it may have been sent"
        )
        connection.execute("COMMIT")
        _log.error("wal_missing", file=str(self.path), held=held, next="look at them, then: phonebridge release")

    def _damage(self, error: sqlite3.Error) -> JournalDamaged:
        """Note for the next start that the file must be checked, and have the daemon begin anew. From any thread."""
        if not self.damaged_by:
            self.damaged_by = str(error)
            damage.mark_of(self.path).touch()
            _log.error("journal_damaged", file=str(self.path), error=str(error))
            if self.damaged is not None:
                self._loop.call_soon_threadsafe(self.damaged.set)
        return JournalDamaged(f"the journal {self.path} is damaged ({error})")

    def _serve(self) -> None:
        while (first := self._inbox.get()) is not None:
            batch, is_last = self._transaction(first)
            self._loop.call_soon_threadsafe(self._settle, batch)
            if is_last:
                break
            self._fold_now_and_then()
        with contextlib.suppress(sqlite3.DatabaseError):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _fold_now_and_then(self) -> None:
        """Behind a commit that is told already: SQLite's own checkpoints are a part of one, and the line would wait."""
        if self.commits < self._fold_at:
            return
        self._fold_at = self.commits + _COMMITS_PER_FOLD
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            # On a full disk the next one does it.
            if damage.is_damage(error):
                self._damage(error)

    def _transaction(self, first: _Work) -> tuple[list[_Work], bool]:
        batch: list[_Work] = []
        is_last = False
        changes = self._connection.total_changes
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            work: _Work | None = first
            until = time.monotonic() + first.patience_s
            while work is not None:
                batch.append(work)
                self._run(work, is_first=len(batch) == 1)
                until = min(until, time.monotonic() + work.patience_s)
                try:
                    if len(batch) >= _BATCH:
                        break
                    wait_s = until - time.monotonic()
                    work = self._inbox.get(timeout=wait_s) if wait_s > 0 else self._inbox.get_nowait()
                    is_last = work is None
                except queue.Empty:
                    break
            self._commit(changes)
        except sqlite3.Error as error:
            self._undo(batch or [first], error)
            batch = batch or [first]
        return batch, is_last

    def _commit(self, changes_before: int) -> None:
        """One that wrote nothing, as a probe, costs the disk nothing and is not counted."""
        self._connection.execute("COMMIT")
        if self._connection.total_changes > changes_before:
            self.commits += 1
            if self.commits == 1:
                damage.open_mark_of(self.path).touch()

    def _run(self, work: _Work, *, is_first: bool) -> None:
        # Before the first one there is nothing that it could undo, and a savepoint copies each page that is changed.
        if not is_first:
            self._connection.execute("SAVEPOINT work")
        try:
            result = work.run(self._connection)
            if work.is_shown and result != work.result:
                # What was handed over must be what is kept: of two minds, nothing is.
                raise JournalFull(
                    "the disk was full for a moment, and what was under way is given up; it is tried again"
                )
            work.result = result
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in _FULL or damage.is_damage(error):
                raise
            self._roll_back(work, error, is_first=is_first)
        except Exception as error:
            # The border of the thread: whatever it is belongs to whoever asked.
            self._roll_back(work, error, is_first=is_first)
        else:
            if not is_first:
                self._connection.execute("RELEASE work")
            if work.early is not None:
                work.is_shown = True
                self._loop.call_soon_threadsafe(self._show, work)

    def _roll_back(self, work: _Work, error: BaseException, *, is_first: bool) -> None:
        work.error = error
        if is_first:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN IMMEDIATE")
            return
        self._connection.execute("ROLLBACK TO work")
        self._connection.execute("RELEASE work")

    def _undo(self, batch: list[_Work], error: sqlite3.Error) -> None:
        """The commit failed. On a full disk the ballast makes room and the batch is run once more."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        is_full = error.sqlite_errorcode & 0xFF in _FULL
        if is_full and self._ballast.exists():
            _log.warning("disk_full", file=str(self.path), ballast="released")
            self._ballast.unlink(missing_ok=True)
            try:
                changes = self._connection.total_changes
                self._connection.execute("BEGIN IMMEDIATE")
                for work in batch:
                    if work.error is None:
                        self._run(work, is_first=False)
                self._commit(changes)
                return
            except sqlite3.Error as again:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                error = again
            finally:
                # Not before: with less than before, the batch would come to other results than were handed over.
                self.has_reserve = False
                if self.reserve_gone is not None:
                    self._loop.call_soon_threadsafe(self.reserve_gone.set)
        self.failures += 1
        if damage.is_damage(error):
            for work in batch:
                work.error = work.error or self._damage(error)
            return
        _log.error("commit_failed", error=str(error))
        for work in batch:
            if work.error is None:
                work.error = JournalFull(f"the journal could not be written ({error}); free some space on its disk")

    def _open_reader(self) -> None:
        self._local.connection = connect_reader(self.path)


def landing(future: asyncio.Future[T]) -> asyncio.Future[T]:
    """As `future`, for one of several that await it: cancelling this one leaves `future` alone."""
    own = asyncio.shield(future)
    own.add_done_callback(_seen)
    return own


async def landed(future: asyncio.Future[T]) -> T:
    """The result of a future that others may await too."""
    return await landing(future)


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
