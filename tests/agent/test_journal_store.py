"""The journal's thread: grouped commits, durability before answers, and a disk that is full."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent import config
from agent.housekeeping import Housekeeping
from agent.journal.schema import JournalError, connect_writer
from agent.journal.store import Journal, landed
from tests.agent.fakes import Box, FakeModem


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path / "state" / "journal.db")
    await journal.start(1)
    yield journal
    await journal.close()


def put(key: str) -> object:
    return lambda con: con.execute("INSERT INTO meta VALUES (?, '1')", (key,)).rowcount


async def keys(journal: Journal) -> set[str]:
    return {row[0] for row in await journal.read(lambda con: con.execute("SELECT key FROM meta").fetchall())}


async def test_a_failing_write_undoes_only_itself(journal: Journal) -> None:
    results = await asyncio.gather(
        journal.write(put("a"), patience_s=0.05),  # type: ignore[arg-type]
        journal.write(put("a"), patience_s=0.05),  # type: ignore[arg-type]
        journal.write(put("b"), patience_s=0.05),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, sqlite3.IntegrityError, int]
    assert {"a", "b"} <= await keys(journal)


async def test_a_large_write_keeps_its_old_pages_in_memory(journal: Journal) -> None:
    """Else in a file below /var/tmp, which costs the card as much as the journal itself."""

    def open_files(con: sqlite3.Connection) -> set[str]:
        con.executemany("INSERT INTO meta VALUES (?, ?)", [(f"k{n}", "x" * 2000) for n in range(100)])
        con.execute("SAVEPOINT inner")
        con.execute("UPDATE meta SET value = 'y' || value WHERE key LIKE 'k%'")
        return {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}

    held = await journal.write(lambda con: (open_files(con), con.execute("RELEASE inner"))[0])
    assert any("journal.db-wal" in file for file in held)
    assert not [file for file in held if "etilqs" in file]


async def test_the_wal_is_folded_into_the_file_behind_a_commit_now_and_then(journal: Journal) -> None:
    """Nobody waits for it; SQLite itself would do it within a commit, for which a line waits."""
    for n in range(200):
        await journal.write(put(f"k{n}"))  # type: ignore[arg-type]
    with closing(sqlite3.connect(f"file:{journal.path}?immutable=1", uri=True)) as without_wal:
        folded = without_wal.execute("SELECT count(*) FROM meta WHERE key LIKE 'k%'").fetchone()[0]
    assert 100 <= folded <= 200
    assert journal.path.with_name("journal.db-wal").stat().st_size < 1 << 20


async def test_writes_that_may_wait_share_a_commit(journal: Journal) -> None:
    before = journal.commits
    await asyncio.gather(*(journal.write(put(f"k{n}"), patience_s=0.05) for n in range(50)))  # type: ignore[arg-type]
    assert journal.commits - before <= 2


async def test_early_result_comes_before_its_commit_and_cancelling_one_waiter_leaves_the_other(
    journal: Journal,
) -> None:
    result, durable = await journal.write_early(put("early"))  # type: ignore[arg-type]
    assert result == 1
    waiter = asyncio.create_task(landed(durable))
    await asyncio.sleep(0)
    waiter.cancel()
    await landed(durable)
    assert "early" in await keys(journal)


async def test_readers_cannot_write(journal: Journal) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await journal.read(put("x"))  # type: ignore[arg-type]


async def test_full_disk_releases_the_ballast_for_what_is_in_the_air(journal: Journal) -> None:
    await journal.write(lambda con: con.execute("CREATE TABLE big (x BLOB)"))
    pages = await journal.read(lambda con: con.execute("PRAGMA page_count").fetchone()[0])
    ballast = journal.path.with_suffix(".ballast")
    assert ballast.exists()

    def fill(con: sqlite3.Connection) -> None:
        # The pager's own limit stands for the full disk; the ballast's release lifts it, as freed space would.
        limit = pages + 2 if ballast.exists() else 2**30
        con.execute(f"PRAGMA max_page_count = {limit}")
        con.execute("INSERT INTO big VALUES (zeroblob(200000))")

    await journal.write(fill)
    assert not ballast.exists()
    assert not journal.has_reserve
    journal.keep_ballast()
    assert journal.has_reserve
    assert await journal.read(lambda con: con.execute("SELECT count(*) FROM big").fetchone()[0]) == 1


async def test_room_on_a_disk_that_was_full_is_found_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Housekeeping has just begun its pause of a minute when the disk is full."""
    monkeypatch.setattr("agent.housekeeping._SOON_S", 0.05)
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        journal = box.journal
        keeping = asyncio.create_task(Housekeeping(box.gateway, config.parse({})).run())
        await asyncio.sleep(0.1)
        await journal.write(lambda con: con.execute("CREATE TABLE big (x BLOB)"))
        has_room = False
        room = os.statvfs

        def full(path: Path) -> Any:
            found = room(path)
            return found if has_room else os.statvfs_result((*found[:4], 0, *found[5:]))

        monkeypatch.setattr(os, "statvfs", full)
        await journal.write(_full_until_ballast(journal))
        await asyncio.sleep(0.2)
        assert not journal.has_reserve
        has_room = True
        async with asyncio.timeout(20):
            while not journal.has_reserve:
                await asyncio.sleep(0.01)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def _full_until_ballast(journal: Journal) -> Callable[[sqlite3.Connection], None]:
    """A write that finds the disk full as long as the ballast is there."""
    ballast = journal.path.with_suffix(".ballast")

    def fill(con: sqlite3.Connection) -> None:
        pages = con.execute("PRAGMA page_count").fetchone()[0]
        con.execute(f"PRAGMA max_page_count = {pages + 1 if ballast.exists() else 2**30}")
        con.execute("INSERT INTO big VALUES (zeroblob(200000))")

    return fill


async def test_what_was_handed_over_early_holds_when_a_full_disk_makes_the_batch_run_again(journal: Journal) -> None:
    """A part was handed to a route, the batch ran again without a reserve and claimed nothing, and the part went out
    with nothing of it in the journal."""
    await journal.write(lambda con: con.execute("CREATE TABLE big (x BLOB)"))
    both = threading.Event()
    pause = asyncio.create_task(journal.write(lambda _: both.wait(5)))
    await asyncio.sleep(0)

    def claim(con: sqlite3.Connection) -> bool:
        if journal.has_reserve:
            con.execute("INSERT INTO meta VALUES ('claimed', '1')")
        return journal.has_reserve

    early, durable = journal.begin(claim)
    _, filling = journal.begin(_full_until_ballast(journal))
    both.set()
    assert await landed(early) is True
    assert await landed(durable) is True
    assert "claimed" in await keys(journal)
    await asyncio.gather(pause, landed(filling))
    assert not journal.has_reserve


async def test_what_comes_out_otherwise_the_second_time_is_not_kept_and_said_so(journal: Journal) -> None:
    await journal.write(lambda con: con.execute("CREATE TABLE big (x BLOB)"))
    both = threading.Event()
    pause = asyncio.create_task(journal.write(lambda _: both.wait(5)))
    await asyncio.sleep(0)
    tries = iter(range(9))

    def choose(con: sqlite3.Connection) -> int:
        chosen = next(tries)
        con.execute("INSERT INTO meta VALUES (?, '1')", (f"choice{chosen}",))
        return chosen

    early, durable = journal.begin(choose)
    _, filling = journal.begin(_full_until_ballast(journal))
    both.set()
    assert await landed(early) == 0
    with pytest.raises(JournalError, match="tried again"):
        await landed(durable)
    await asyncio.gather(pause, landed(filling))
    assert not {key for key in await keys(journal) if key.startswith("choice")}


async def test_without_room_nothing_is_half_kept_and_the_next_write_works(journal: Journal) -> None:
    journal.path.with_suffix(".ballast").unlink()
    await journal.write(lambda con: con.execute("CREATE TABLE big (x BLOB)"))

    def fill(con: sqlite3.Connection) -> None:
        con.execute("INSERT INTO meta VALUES ('half', '1')")
        con.execute(f"PRAGMA max_page_count = {con.execute('PRAGMA page_count').fetchone()[0] + 1}")
        con.execute("INSERT INTO big VALUES (zeroblob(200000))")

    with pytest.raises(JournalError, match="free some space"):
        await journal.write(fill)
    await journal.write(lambda con: con.execute(f"PRAGMA max_page_count = {2**30}"))
    await journal.write(put("after"))  # type: ignore[arg-type]
    assert "half" not in await keys(journal)


def test_a_newer_journal_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    connect_writer(path, 1).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="written by a newer phonebridge"):
        connect_writer(path, 1)


def test_a_foreign_database_and_garbage_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(JournalError, match="is not a phonebridge journal"):
        connect_writer(foreign, 1)
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"no database at all" * 500)
    with pytest.raises(JournalError, match="cannot be opened"):
        connect_writer(garbage, 1)
