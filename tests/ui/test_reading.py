"""What the page reads from the journal: lists, searches and charts, and that they walk along an index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from agent.accounts import Caller
from agent.journal import browsing, charts
from agent.journal.browsing import NEWEST, Shown
from agent.journal.schema import connect_writer
from agent.model import MessageState, RouteState
from agent.upstreams.local.ui import reading, words
from agent.upstreams.local.ui.reading import Reading
from drivers.api import PlannedPart
from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local.conftest import Rig

HOUR = 3_600_000
OWNER = (1, None)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect_writer(tmp_path / "journal.db", 0)
    yield connection
    connection.close()


def _add(
    con: sqlite3.Connection, text: str, *, account: int | None = 1, state: str = "sent", number: str = "+1"
) -> int:
    direction = "inbound" if state == "received" else "outbound"
    return int(
        con.execute(
            "INSERT INTO message (uid, direction, account, number, text, state, created_ms) "
            "VALUES (lower(hex(randomblob(8))), ?, ?, ?, ?, ?, 1000) RETURNING id",
            (direction, account, number, text, state),
        ).fetchone()[0]
    )


def _attempt(con: sqlite3.Connection, route: str, at_ms: int, outcome: str, message: int) -> None:
    con.execute(
        "INSERT INTO attempt "
        "(message_id, sequence, route, recipient, recipient_tail, at_ms, boot_id, boot_ms, outcome) "
        "VALUES (?, 1, ?, '+1', '1', ?, 'b', 0, ?)",
        (message, route, at_ms, outcome),
    )


def test_a_leaf_holds_what_the_caller_may_see_newest_first(journal: sqlite3.Connection) -> None:
    mine = [_add(journal, f"mine {n}") for n in range(3)]
    nobodys, others = _add(journal, "nobody's", account=None), _add(journal, "other's", account=2)
    came = _add(journal, "came", state="received")
    shown = [one.id for one in browsing.leaf(journal, Shown(OWNER), NEWEST, 10)]
    assert shown == [came, nobodys, *reversed(mine)]
    assert [one.id for one in browsing.leaf(journal, Shown((2,)), NEWEST, 10)] == [others]
    assert [one.id for one in browsing.leaf(journal, Shown(OWNER), nobodys, 2)] == [mine[2], mine[1]]
    received = Shown(OWNER, (MessageState.RECEIVED,))
    assert [one.id for one in browsing.leaf(journal, received, NEWEST, 10)] == [came]


def test_a_search_stops_where_it_was_told_and_says_so(journal: sqlite3.Connection) -> None:
    old = _add(journal, "ÄPFEL und Birnen")
    for n in range(9):
        _add(journal, f"filler {n}", number="+49152")
    found = browsing.search(journal, Shown(OWNER), "äpfel", NEWEST, 5)
    assert found.messages == () and found.reached is not None
    found = browsing.search(journal, Shown(OWNER), "äpfel", found.reached, 5)
    assert [one.id for one in found.messages] == [old]
    assert browsing.search(journal, Shown(OWNER), "äpfel", old, 5).reached is None
    assert len(browsing.search(journal, Shown(OWNER), "9152", NEWEST, 50).messages) == 9


def test_a_conversation_is_both_ways_and_ones_own(journal: sqlite3.Connection) -> None:
    ids = [_add(journal, "out", number="+7"), _add(journal, "in", number="+7", state="received")]
    _add(journal, "other's", number="+7", account=2)
    _add(journal, "other", number="+8")
    assert [one.id for one in browsing.with_number(journal, OWNER, "+7", NEWEST, 9)] == ids[::-1]


def test_tries_are_counted_by_route_and_hour(journal: sqlite3.Connection) -> None:
    message = _add(journal, "x")
    for later_ms, outcome in enumerate(("delivered", "sent", "not_sent", "refused", "open", "unknown")):
        _attempt(journal, "a", HOUR + later_ms, outcome, message)
    _attempt(journal, "a", HOUR - 1, "sent", message)
    _attempt(journal, "a", 2 * HOUR, "sent", message)
    _attempt(journal, "b", HOUR, "sent", message)
    assert charts.tries(journal, "a", HOUR, 2 * HOUR) == (2, 2)
    assert charts.tries(journal, "b", HOUR, 2 * HOUR) == (1, 0)


def test_nothing_is_read_or_sorted_that_is_not_shown(journal: sqlite3.Connection) -> None:
    plans: list[str] = []

    def watch(statement: str) -> None:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        plans.extend(str(row["detail"]) for row in rows)

    connection = journal
    asked: list[str] = []
    journal.set_trace_callback(asked.append)
    browsing.leaf(journal, Shown(OWNER), NEWEST, 50)
    browsing.leaf(journal, Shown(OWNER, words.GROUPS["waiting"]), NEWEST, 50)
    browsing.with_number(journal, OWNER, "+1", NEWEST, 50)
    browsing.search(journal, Shown(OWNER), "x", NEWEST, 50)
    charts.tries(journal, "a", 0, HOUR)
    journal.set_trace_callback(None)
    for statement in asked:
        watch(statement)
    assert len(asked) == 6
    assert not [plan for plan in plans if plan.startswith(("SCAN message", "SCAN m", "SCAN attempt"))]
    assert any("attempt_by_route_time" in plan for plan in plans)
    assert any("message_by_sender" in plan for plan in plans)


async def test_a_long_search_goes_on_by_its_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SLICE", 3)
    monkeypatch.setattr(reading, "_SLICES", 2)
    async with Box(tmp_path, {"a": FakeModem()}) as box:

        def fill(con: sqlite3.Connection) -> None:
            for n in range(13):
                _add(con, f"needle {n}" if n in (0, 7) else "hay")

        await box.journal.write(fill)
        read, owner = Reading(Rig(box).upstream._local), Caller(1, True, None, ("*",))
        texts, before = [], None
        for _ in range(3):
            leaf = await read.search(owner, (), "needle", before)
            texts += [one.text for one in leaf.messages]
            before = leaf.older
        assert texts == ["needle 7", "needle 0"] and before is None


async def test_a_chart_counts_ended_hours_once(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        now = box.clock.utc_ms()
        old = now - 5 * HOUR

        def fill(con: sqlite3.Connection) -> None:
            message = _add(con, "x")
            for at_ms in (old, now):
                _attempt(con, "a", at_ms, "sent", message)

        await box.journal.write(fill)
        read = Reading(Rig(box).upstream._local)
        first = await read.chart("a")
        await box.journal.write(fill)
        second = await read.chart("a")
        assert (first.sent, len(first.bars)) == (2, 24)
        # One of the two new ones is of an hour that was remembered.
        assert second.sent == 3 and second.last_hour == first.last_hour + 1


def test_bars_stay_inside_the_chart() -> None:
    hours = [(0, 0)] * 22 + [(1, 5000), (5000, 1)]
    chart = words.chart(hours, 100 * HOUR + 1, UTC)
    for bar in chart.bars:
        assert 0 <= bar.failed_y <= bar.sent_y <= words.CHART_HEIGHT
        assert bar.sent_y + bar.sent_height <= words.CHART_HEIGHT + 0.01
        assert bar.failed_y + bar.failed_height <= bar.sent_y + 1.6
    assert chart.bars[-1].title == "04:00 to 05:00: 5000 sent, 1 refused"
    assert chart.bars[0].sent_height == 0


@pytest.mark.parametrize(
    ("dbm", "bars", "word"),
    [(-51, 4, "excellent"), (-85, 3, "good"), (-95, 2, "fair"), (-105, 1, "weak"), (-113, 0, "very weak")],
)
def test_signal_is_bars_and_a_word(dbm: int, bars: int, word: str) -> None:
    found = words.signal(dbm)
    assert found is not None and found.bars == bars and found.text == f"{word}, −{-dbm} dBm"
    assert words.signal(None) is None


@pytest.mark.parametrize(
    ("text", "parts", "left"),
    [("", 0, 160), ("x" * 160, 1, 0), ("x" * 161, 2, 145), ("ж" * 70, 1, 0), ("ж" * 71, 2, 63), ("😀", 1, 68)],
    ids=["empty", "full", "two", "ucs2 full", "ucs2 two", "pair"],
)
def test_parts_and_room(text: str, parts: int, left: int) -> None:
    found = words.count(text, 25)
    assert (found.parts, found.left, found.is_too_long) == (parts, left, False)


def test_a_route_with_tables_counts_as_it_will_send() -> None:
    # A single shift table takes three octets of element (TS 23.040 §9.2.3.24.15), so 155 septets are left.
    planned = (PlannedPart("gsm7", b"x" * 10, header=b"\x24\x01\x01"),)
    found = words.count("ığışçöü ab", 25, planned)
    assert (found.left, "national table" in found.sentence) == (145, True)
    assert "service" in words.count("any", 25, (PlannedPart("text", b"any"),)).sentence
    assert words.count("x" * 2000, 5).is_too_long


def test_every_state_has_a_word() -> None:
    assert set(words.MESSAGE_WORDS) == set(MessageState)
    assert set(words.ROUTE_WORDS) == set(RouteState)
    assert {state for states in words.GROUPS.values() for state in states} == set(MessageState)
