"""A damaged journal: set aside, a degraded start, and what can be saved. Real files, damaged in each way."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent import daemon
from agent.clock import Clock
from agent.gateway import Gateway
from agent.journal import salvage
from agent.journal.damage import mark_of, open_mark_of
from agent.journal.listing import Filter
from agent.journal.schema import PAGE_OCTETS, JournalError, connect_writer
from agent.journal.store import Journal
from agent.model import Job, MessageState
from drivers.api import PortAbsent
from tests.agent.fakes import Box, FakeModem

PAGE = PAGE_OCTETS
COUNT = 400


async def _filled(directory: Path) -> None:
    """A journal of many messages: half of them sent, half waiting; ended as a power cut ends it."""
    directory.mkdir()
    live = directory / "live"
    live.mkdir()
    modem = FakeModem()
    async with Box(live, {"a": modem}) as box:
        box.start()
        jobs = [Job(f"+4915{n:08}", f"text {n} " + "x" * 200, remote_id=f"r{n}") for n in range(COUNT)]
        accepted = await box.gateway.accept("cli", jobs[: COUNT // 2])
        await box.until(accepted[-1].message_id, "sent", timeout_s=30)
        await box.stop()
        modem.open_errors.extend([PortAbsent("gone")] * 9)
        await box.gateway.accept("cli", jobs[COUNT // 2 :])
        for file in live.glob("journal.*"):
            shutil.copyfile(file, directory / file.name)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("damage") / "filled"
    asyncio.run(_filled(directory))
    assert (directory / "journal.db-wal").stat().st_size and open_mark_of(directory / "journal.db").exists()
    return directory


@pytest.fixture
def journal(template: Path, tmp_path: Path) -> Path:
    """The journal as the power cut left it, with its WAL folded in where a test damages the file."""
    state = tmp_path / "state"
    state.mkdir()
    for file in template.glob("journal.*"):
        shutil.copyfile(file, state / file.name)
    return state / "journal.db"


def fold(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def overwrite(journal: Path, at: int, octets: bytes) -> None:
    fold(journal)
    with journal.open("r+b") as file:
        file.seek(at)
        file.write(octets)


def header(journal: Path) -> None:
    overwrite(journal, 0, b"garbage " * 12)


def first_page(journal: Path) -> None:
    overwrite(journal, 0, b"\xa5" * PAGE)


def middle_page(journal: Path) -> None:
    """A page of the message table itself, zeroed, wherever a copy of it may be left."""
    fold(journal)
    content = journal.read_bytes()
    pages = [n for n in range(8, len(content) // PAGE) if b"text 100 x" in content[n * PAGE : (n + 1) * PAGE]]
    for page in pages:
        overwrite(journal, page * PAGE, bytes(PAGE))


def truncated(journal: Path) -> None:
    fold(journal)
    with journal.open("r+b") as file:
        file.truncate(journal.stat().st_size * 2 // 3 - 100)


def emptied(journal: Path) -> None:
    fold(journal)
    journal.write_bytes(b"")


async def _opened(journal: Path) -> tuple[Journal, Gateway]:
    opened = await daemon.opened(journal, Clock("trusted"))
    return opened, Gateway(Box(journal.parent, {}).settings, opened, Clock("trusted"))


@pytest.mark.parametrize("damage", [header, first_page, middle_page, truncated, emptied])
async def test_a_damaged_journal_is_set_aside_and_nothing_is_sent(
    journal: Path, damage: Callable[[Path], None]
) -> None:
    damage(journal)
    before = journal.read_bytes()
    opened, gateway = await _opened(journal)
    (aside,) = journal.parent.glob("journal.damaged-*.db")
    assert aside.read_bytes() == before
    assert gateway.degraded is not None and aside.name in gateway.degraded and "phonebridge recover" in gateway.degraded
    await gateway.ensure_upstream("cli", "cli")
    with pytest.raises(JournalError, match="phonebridge recover"):
        await gateway.accept("cli", [Job("+491", "x")])
    assert gateway.degraded in [reason.sentence for reason in await gateway.monitor.reasons()]
    await gateway.alerts.look()
    assert [alert.kind for alert in gateway.alerts.active if alert.kind == "journal"] == ["journal"]
    await opened.close()
    again, gateway = await _opened(journal)
    assert gateway.degraded is not None
    await again.close()


@pytest.mark.parametrize(
    ("damage", "least"),
    [(header, COUNT), (first_page, COUNT), (middle_page, COUNT - 20), (truncated, COUNT // 4), (emptied, 0)],
)
async def test_recover_saves_what_can_be_read_and_holds_what_was_open(
    journal: Path, tmp_path: Path, damage: Callable[[Path], None], least: int
) -> None:
    damage(journal)
    opened, _ = await _opened(journal)
    await opened.close()
    source = salvage.find_damaged(journal)
    assert source is not None
    before = source.read_bytes()
    if not least:
        with pytest.raises(JournalError, match="nothing can be read"):
            salvage.recover(source, journal, 1, lambda _: None)
        salvage.accept_loss(journal, 1)
        opened, gateway = await _opened(journal)
        assert gateway.degraded is None
        await opened.close()
        return
    done = salvage.recover(source, journal, 1, lambda _: None)
    assert source.read_bytes() == before and done.aside is not None
    saved = {table.table: table.rows for table in done.tables}
    assert saved["message"] >= least
    modem = FakeModem()
    async with Box(journal.parent, {"a": modem}) as box:
        assert box.gateway.degraded is None
        assert await box.gateway.total(Filter()) == saved["message"]
        held = await box.gateway.total(Filter(states=(MessageState.HELD,)))
        assert held == done.held and (held == COUNT // 2 or damage in (middle_page, truncated))
        assert await box.journal.read(lambda con: con.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
        assert await box.journal.read(lambda con: con.execute("PRAGMA foreign_key_check").fetchall()) == []
        (again,) = await box.gateway.accept("cli", [Job("+4915", "listed again", remote_id="r0")])
        assert not again.is_new
        box.start()
        (new,) = await box.gateway.accept("cli", [Job("+491799", "new")])
        await box.until(new.message_id, "sent")
        assert modem.texts() == ["new"]
        await box.gateway.release(None)
        if held:
            (last,) = (await box.gateway.page(Filter(states=(MessageState.QUEUED,)), 1, 1)).messages
            await box.until(last.id, "sent", timeout_s=30)


@pytest.mark.parametrize("octets", [96, 4096])
async def test_a_journal_made_before_its_pages_were_smaller_is_saved_too(tmp_path: Path, octets: int) -> None:
    journal = tmp_path / "journal.db"
    connect_writer(journal, 1, 4096).close()
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        await box.gateway.accept("cli", [Job(f"+4915{n:08}", f"text {n} " + "x" * 200) for n in range(50)])
    overwrite(journal, 0, b"\xa5" * octets)
    opened, _ = await _opened(journal)
    await opened.close()
    source = salvage.find_damaged(journal)
    assert source is not None
    done = salvage.recover(source, journal, 1, lambda _: None)
    assert {table.table: table.rows for table in done.tables}["message"] == 50


async def test_a_journal_without_its_wal_holds_what_was_open(journal: Path) -> None:
    Path(f"{journal}-wal").unlink()
    opened, gateway = await _opened(journal)
    counts = {
        state: await gateway.total(Filter(direction="outbound", states=(state,)))
        for state in (MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN)
    }
    assert gateway.degraded is None and set(counts.values()) == {0}
    await opened.close()


async def test_an_orderly_end_leaves_no_marks_and_a_killed_one_nothing_to_hold(journal: Path) -> None:
    opened, gateway = await _opened(journal)
    assert await gateway.total(Filter(states=(MessageState.QUEUED,))) == COUNT // 2
    await opened.close()
    assert not open_mark_of(journal).exists() and not mark_of(journal).exists()


async def test_a_page_that_turns_out_to_be_damaged_ends_this_life_and_the_next_is_degraded(journal: Path) -> None:
    middle_page(journal)
    open_mark_of(journal).unlink()  # closed in an orderly way, so that it is not looked through at the start
    opened, gateway = await _opened(journal)
    assert gateway.degraded is None
    with pytest.raises(JournalError, match="is damaged"):
        await opened.read(lambda con: con.execute("SELECT sum(length(text)) FROM message").fetchone())
    assert opened.damaged is not None
    await asyncio.wait_for(opened.damaged.wait(), 5)
    await opened.close()
    opened, gateway = await _opened(journal)
    assert gateway.degraded is not None
    await opened.close()
