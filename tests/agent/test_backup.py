"""Backup of a journal in use, and a restore that sends nothing twice; real files, a real daemon's operations."""

from __future__ import annotations

import asyncio
import base64
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.journal import copying, restoring
from agent.journal.listing import Filter
from agent.journal.lock import Lock
from agent.journal.schema import JournalError, connect_writer
from agent.journal.store import Journal
from agent.model import Job, MessageState
from agent.operations_data import OPERATIONS
from agent.request import Fields
from drivers.api import OutcomeUnknown
from tests.agent.fakes import Box, FakeModem

TO = "+4915112345678"


def rows(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT key FROM meta WHERE key LIKE 'k%' ORDER BY key")]


async def test_a_backup_of_a_busy_journal_has_all_that_was_committed_before(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    await journal.start(1)
    await journal.write(lambda con: con.execute("CREATE TABLE bulk (x BLOB)"))
    await journal.write(lambda con: con.executemany("INSERT INTO bulk VALUES (zeroblob(4000))", [()] * 2_000))

    async def put(number: int) -> None:
        await journal.write(lambda con: con.execute("INSERT INTO meta VALUES (?, '1')", (f"k{number:06}",)))

    for number in range(50):
        await put(number)
    is_done = False

    async def go_on() -> int:
        number = 50
        while not is_done:
            await put(number)
            number += 1
        return number

    writing = asyncio.create_task(go_on())
    steps: list[tuple[int, int]] = []
    target = copying.fresh_path(journal.path)
    await asyncio.to_thread(copying.copy, journal.path, target, lambda *step: steps.append(step), lambda: True)
    is_done = True
    written = await writing
    await journal.close()
    copying.verify(target)
    found = rows(target)
    assert found[:50] == [f"k{number:06}" for number in range(50)]
    assert found == [f"k{number:06}" for number in range(len(found))] and written > len(found)
    assert len(steps) > 5 and steps[-1][0] == steps[-1][1]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_a_backup_without_room_or_broken_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal.db")
    await journal.start(1)
    target = copying.fresh_path(journal.path)
    with pytest.raises(JournalError, match="broken off"):
        await asyncio.to_thread(copying.copy, journal.path, target, lambda *_: None, lambda: False)
    monkeypatch.setattr(copying, "_ROOM_OCTETS", 1 << 60)
    with pytest.raises(JournalError, match="no room"):
        await asyncio.to_thread(copying.copy, journal.path, target, lambda *_: None, lambda: True)
    target.write_bytes(b"left by a process that was killed")
    copying.fresh_path(journal.path)
    assert list(tmp_path.glob("backup-*")) == []
    await journal.close()


async def test_the_operation_hands_the_copy_over(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        told: list[dict[str, Any]] = []

        async def tell(step: dict[str, Any]) -> None:
            told.append(step)

        answer = await OPERATIONS["backup"](box.gateway, Fields({}), tell)
        copy = tmp_path / "received.db"
        copy.write_bytes(b"".join(base64.b64decode(step["data"]) for step in told if "data" in step))
        copying.verify(copy)
        assert answer["octets"] == copy.stat().st_size and list(tmp_path.glob("backup-*")) == []


async def test_a_restored_journal_holds_what_was_open_and_release_lets_it_go(tmp_path: Path) -> None:
    async def cut_off(_: Any) -> Any:
        raise OutcomeUnknown("cut off")

    modem = FakeModem(answers=[cut_off])
    backup = tmp_path / "backup.db"
    async with Box(tmp_path, {"a": modem}, unknown_wait_s=60) as box:
        box.start()
        (unclear,) = await box.gateway.accept("cli", [Job(TO, "unclear|second part")])
        await box.until(unclear.message_id, "unknown")
        (sent,) = await box.gateway.accept("cli", [Job("+491511", "sent")])
        await box.until(sent.message_id, "sent")
        await box.stop()
        (waiting,) = await box.gateway.accept("cli", [Job("+491512", "waiting")])
        await asyncio.to_thread(copying.copy, box.journal.path, backup, lambda *_: None, lambda: True)
        with pytest.raises(JournalError, match="another phonebridge uses the journal"):
            restoring.restore(backup, box.journal.path, 1)
        box.start()
        await box.until(waiting.message_id, "sent")
        old_id = await box.journal.read(_journal_id)

    done = restoring.restore(backup, tmp_path / "journal.db", 9_000)
    assert done.held == 2 and done.aside is not None and rows(done.aside) == []
    modem.sent.clear()
    async with Box(tmp_path, {"a": modem}, unknown_wait_s=0.05) as box:
        box.start()
        (new,) = await box.gateway.accept("cli", [Job("+491513", "new")])
        await box.until(new.message_id, "sent")
        held = (await box.gateway.page(Filter(states=(MessageState.HELD,)))).messages
        assert [message.text for message in held] == ["waiting", "unclear|second part"]
        assert [message.may_be_double for message in held] == [False, True]
        assert modem.texts() == ["new"]
        assert await box.journal.read(_journal_id) != old_id
        assert await box.journal.read(lambda con: _meta(con, "born_ms")) == "9000"
        assert await box.gateway.release(None) == 2
        await box.until(waiting.message_id, "sent")
        await box.until(unclear.message_id, "sent")
        assert sorted(modem.texts()) == sorted(["new", "waiting", "unclear", "second part"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"no journal at all" * 1000, "is damaged or no journal"), (b"", "is not a phonebridge journal")],
    ids=["garbage", "empty"],
)
def test_a_file_that_is_no_journal_changes_nothing(tmp_path: Path, content: bytes, sentence: str) -> None:
    journal, backup = tmp_path / "journal.db", tmp_path / "backup.db"
    connect_writer(journal, 1).close()
    before = journal.read_bytes()
    backup.write_bytes(content)
    with pytest.raises(JournalError, match=sentence):
        restoring.restore(backup, journal, 1)
    assert journal.read_bytes() == before


def _journal_id(con: sqlite3.Connection) -> str:
    return _meta(con, "journal_id")


def _meta(con: sqlite3.Connection, key: str) -> str:
    return str(con.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])


@pytest.mark.parametrize("work", ["restore", "lock"])
def test_what_root_does_leaves_all_files_to_the_owner_of_the_directory(tmp_path: Path, work: str) -> None:
    if os.geteuid() != 0:
        # Whoever is not root can give nothing away, and owns what they make.
        assert Path(tmp_path).stat().st_uid == os.geteuid()
        return
    journal, backup = tmp_path / "state" / "journal.db", tmp_path / "backup.db"
    journal.parent.mkdir()
    os.chown(journal.parent, 12345, 12345)
    connect_writer(backup, 1).close()
    if work == "restore":
        restoring.restore(backup, journal, 1)
    else:
        lock = Lock(journal)
        lock.take()
        lock.give_back()
    left = list(journal.parent.iterdir())
    assert left and {path.stat().st_uid for path in left} == {12345}
