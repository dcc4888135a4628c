"""What is old goes, what is owed or open stays, a wrong clock deletes nothing, and the file is made smaller."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import Clock
from agent.journal import acceptance, feeds, messages, retention
from agent.journal.store import Journal
from agent.model import Job
from agent.retention import Retention
from agent.settings import RetentionSettings
from drivers.api import PlannedPart
from tests.agent.fakes import Box, FakeModem
from tests.clocks import SetClock

DAY_S = 86_400
FOR_EVER = {"sent_days": 0.0, "failed_days": 0.0, "inbound_days": 0.0, "attempts_days": 0.0, "events_days": 0.0,
            "hooks_days": 0.0, "requests_days": 0.0}  # fmt: skip


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    await journal.start(1)
    yield journal
    await journal.close()


def keeper(journal: Journal, clock: Clock, **days: float) -> Retention:
    settings = RetentionSettings(**{**FOR_EVER, **days})
    return Retention(journal, clock, settings, undelivered_days=30, is_busy=lambda: False)


def put(con: sqlite3.Connection, clock: SetClock, state: str, *, number: str = "+491") -> int:
    """One message with all that hangs on it, as it stands when it ended now."""
    direction = "inbound" if state == "received" else "outbound"
    remote = f"r{con.execute('SELECT count(*) FROM message').fetchone()[0]}"
    key = con.execute(
        "INSERT INTO message (uid, direction, upstream, remote_id, number, text, state, created_ms) "
        "VALUES (hex(randomblob(8)), ?, 'srv', ?, ?, 'text', ?, ?)",
        (direction, remote, number, state, clock.utc_ms()),
    ).lastrowid
    con.execute("INSERT INTO part VALUES (?, 1, ?, 'text', x'00', x'', NULL, 0, 0, NULL)", (key, state))
    con.execute("INSERT INTO remote_key VALUES ('srv', ?, ?, 'queued', NULL, 1, 0)", (remote, key))
    messages.add_event(con, clock.utc_ms(), state, message_id=key)
    now = clock.now()
    con.execute(
        "INSERT INTO attempt (message_id, sequence, route, iccid, recipient, recipient_tail, at_ms, boot_id, boot_ms, "
        "outcome) VALUES (?, 1, 'a', '89', '+491', '491', ?, ?, ?, 'sent')",
        (key, now.utc_ms, now.boot_id, now.boot_ms),
    )
    return int(key or 0)


async def left(journal: Journal) -> list[str]:
    found = await journal.read(lambda con: con.execute("SELECT state FROM message ORDER BY id").fetchall())
    return [row[0] for row in found]


ENDED = ["delivered", "sent", "failed", "expired", "cancelled", "received"]
OPEN = ["queued", "held", "sending", "unknown"]


@pytest.mark.parametrize(
    ("days", "gone"),
    [
        ({"sent_days": 10}, {"delivered", "sent"}),
        ({"failed_days": 10}, {"failed", "expired", "cancelled"}),
        ({"inbound_days": 10}, {"received"}),
        ({"sent_days": 10, "failed_days": 10, "inbound_days": 10}, set(ENDED)),
        ({"sent_days": 12, "failed_days": 12, "inbound_days": 12}, set()),
        ({}, set()),
    ],
    ids=["sent", "failed", "inbound", "all", "younger", "for ever"],
)
async def test_each_kind_goes_after_its_days_and_open_messages_stay(
    journal: Journal, days: dict[str, float], gone: set[str]
) -> None:
    clock = SetClock()
    await journal.write(lambda con: [put(con, clock, state) for state in (*ENDED, *OPEN)])
    clock.pass_by(11 * DAY_S)
    assert await keeper(journal, clock, **days).clear() == len(gone)
    assert await left(journal) == [state for state in (*ENDED, *OPEN) if state not in gone]


async def test_what_hangs_on_a_message_goes_with_it_and_its_remote_id_stays_known(journal: Journal) -> None:
    clock = SetClock()
    await journal.write(lambda con: put(con, clock, "delivered"))
    clock.pass_by(11 * DAY_S)
    await keeper(journal, clock, sent_days=10).clear()

    def look(con: sqlite3.Connection) -> tuple[list[int], tuple[Any, ...]]:
        tables = ("message", "part", "attempt", "event")
        counts = [con.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
        return counts, tuple(con.execute("SELECT message_id, state FROM remote_key").fetchone())

    assert await journal.read(look) == ([0, 0, 0, 0], (None, "delivered"))
    listed_again = acceptance.PreparedJob(Job("+491", "x", remote_id="r0"), "+491", "", (PlannedPart("text", b""),))
    (again,) = await journal.write(lambda con: acceptance.accept(con, "srv", [listed_again], clock.now()))
    assert (again.is_new, again.state) == (False, "delivered")
    assert await left(journal) == []


async def test_what_a_server_was_not_told_stays_for_as_long_as_it_is_owed(journal: Journal) -> None:
    clock = SetClock()

    def fill(con: sqlite3.Connection) -> None:
        feeds.register(con, "srv", "a server", wants_inbound=True)
        feeds.advance(con, "srv", 10**9, [], [])
        con.execute("UPDATE upstream SET cursor = 1")
        for state in ("delivered", "received", "delivered"):
            put(con, clock, state)

    await journal.write(fill)
    clock.pass_by(11 * DAY_S)
    days = {"sent_days": 10.0, "inbound_days": 10.0}
    assert await keeper(journal, clock, **days).clear() == 1
    clock.pass_by(20 * DAY_S)
    assert await keeper(journal, clock, **days).clear() == 2


async def test_attempts_events_hooks_and_requests_go_by_days_of_their_own(journal: Journal) -> None:
    clock = SetClock()

    def fill(con: sqlite3.Connection) -> None:
        put(con, clock, "delivered")
        put(con, clock, "unknown")
        messages.add_event(con, clock.utc_ms(), "call", route="a")
        con.execute("INSERT INTO idempotency VALUES (1, 'k', 'r', '[]', ?)", (clock.utc_ms(),))
        for state in ("done", "given_up", "waiting"):
            con.execute(
                "INSERT INTO hook (event_key, lane, account, url, host, body, state, due_ms, created_ms, done_ms) "
                "VALUES (?, 9, 1, 'u', 'h', 'b', ?, 1, 1, ?)",
                (state, state, clock.utc_ms()),
            )

    await journal.write(fill)
    clock.pass_by(31 * DAY_S)
    days = {"attempts_days": 30.0, "events_days": 30.0, "hooks_days": 30.0, "requests_days": 30.0}
    assert await keeper(journal, clock, **days).clear() == 1 + 1 + 2 + 1
    counts = await journal.read(
        lambda con: [con.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("attempt", "event", "hook")]
    )
    assert counts == [1, 2, 1]


@pytest.mark.parametrize("jump_s", [10 * DAY_S, -10 * DAY_S], ids=["+10 days", "-10 days"])
async def test_after_a_jump_nothing_is_deleted_for_a_day(journal: Journal, jump_s: float) -> None:
    clock = SetClock()
    await journal.write(lambda con: put(con, clock, "delivered"))
    clock.pass_by(25 * DAY_S)
    kept = keeper(journal, clock, sent_days=10)
    clock.jump(jump_s)
    assert await kept.clear() == 0
    clock.pass_by(DAY_S - 60)
    assert await kept.clear() == 0
    clock.pass_by(61)
    assert await kept.clear() == 1


async def test_a_jump_before_the_daemon_was_started_again_is_seen_too(journal: Journal) -> None:
    clock = SetClock()
    await journal.write(lambda con: put(con, clock, "delivered"))
    clock.jump(11 * DAY_S)
    assert await keeper(journal, clock, sent_days=10).clear() == 0


async def test_a_clock_that_was_never_set_deletes_nothing(journal: Journal) -> None:
    clock = SetClock(is_right=False)
    await journal.write(lambda con: put(con, clock, "delivered"))
    clock.pass_by(11 * DAY_S)
    assert await keeper(journal, clock, sent_days=10).clear() == 0


async def test_pages_are_given_back_in_steps(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.retention._MANY_FREE_PAGES", 100)
    monkeypatch.setattr("agent.retention._IDLE_PAUSE_S", 0.0)
    clock = SetClock()
    await journal.write(lambda con: con.execute("CREATE TABLE bulk (x BLOB)"))
    await journal.write(lambda con: con.execute("INSERT INTO bulk VALUES (zeroblob(800000))"))
    await journal.write(lambda con: con.execute("DROP TABLE bulk"))
    free, before = await journal.read(retention.free_pages)
    await keeper(journal, clock).clear()
    left_free, after = await journal.read(retention.free_pages)
    # As many steps as it takes until free pages are few, or no longer a quarter.
    assert free > 300 and left_free < free - 100 and after < before - 100


async def test_a_step_gives_back_as_many_pages_as_it_says(journal: Journal) -> None:
    await journal.write(lambda con: con.execute("CREATE TABLE bulk (x BLOB)"))
    await journal.write(lambda con: con.execute("INSERT INTO bulk VALUES (zeroblob(400000))"))
    await journal.write(lambda con: con.execute("DROP TABLE bulk"))
    free, before = await journal.read(retention.free_pages)
    await journal.write(lambda con: retention.give_back_pages(con, 64))
    left_free, after = await journal.read(retention.free_pages)
    assert free > 100 and before - after == 64
    assert left_free <= free - 64


async def test_deleting_goes_on_while_messages_are_sent(tmp_path: Path) -> None:
    clock = SetClock()
    async with Box(tmp_path, {"a": FakeModem(radio_s=0.01)}, clock=clock) as box:
        await box.journal.write(lambda con: [put(con, clock, "delivered") for _ in range(300)])
        clock.pass_by(11 * DAY_S)
        box.start()
        accepted = await box.gateway.accept("cli", [Job(f"+4915{n:06}", "new") for n in range(30)])
        assert await keeper(box.journal, clock, sent_days=10).clear() == 300
        for one in accepted:
            await box.until(one.message_id, "sent")
