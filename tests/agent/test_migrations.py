"""A journal as 0.1.0 left it, with everything in it that a later version moves, opened by this version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from agent.journal import alerts
from agent.journal.schema import APPLICATION_ID, connect_writer
from agent.journal.store import Journal

SCHEMA = files("agent.journal").joinpath("schema")
HELD = """
INSERT INTO meta VALUES ('journal_id', 'old'), ('born_ms', '1');
INSERT INTO message (id, uid, direction, upstream, number, text, state, created_ms) VALUES
    (1, 'u1', 'outbound', 'u', '+49151', 'kept', 'queued', 5), (2, 'u2', 'outbound', 'cli', '+491', 'old', 'sent', 1);
INSERT INTO part VALUES (1, 1, 'queued', 'text', x'6b', x'', NULL, 0, 0, NULL);
INSERT INTO queue (message_id, route, upstream, recipient, priority, accepted_boot_ms, due_boot_ms)
    VALUES (1, '', 'u', '+49151', 0, 0, 0);
INSERT INTO attempt (message_id, sequence, route, iccid, recipient, recipient_tail, at_ms, boot_id, boot_ms, outcome)
    VALUES (2, 1, 'a', '8949', '+491', '491', 7200000, 'b', 1, 'sent'),
           (2, 1, 'a', '8949', '+491', '491', 7200001, 'b', 1, 'not_sent');
INSERT INTO hook (event_key, lane, account, url, host, body, state, due_ms, created_ms)
    VALUES ('k', 1, 1, 'http://h/', 'http://h', '{}', 'waiting', 0, 0);
INSERT INTO upstream (name, identity, cursor, send_delay_s) VALUES ('u', 'i', 0, 2.5);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    old = sqlite3.connect(path)
    old.executescript(
        f"BEGIN;{SCHEMA.joinpath('001.sql').read_text()}{HELD}"
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1; COMMIT;"
    )
    old.close()
    return path


@pytest.fixture
def new(path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect_writer(path, 9)
    yield connection
    connection.close()


def test_it_is_whole_of_the_newest_version_and_was_copied_before(path: Path, new: sqlite3.Connection) -> None:
    newest = max(int(one.name[:3]) for one in SCHEMA.iterdir())
    assert new.execute("PRAGMA user_version").fetchone()[0] == newest
    assert new.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert len(list(path.parent.glob("journal.before-*.db"))) == 1


def test_whoever_reads_the_old_journal_in_that_moment_stops_nothing(path: Path) -> None:
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        assert reader.execute("SELECT count(*) FROM message").fetchone() == (2,)
        with closing(connect_writer(path, 9)) as new:
            assert new.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
            assert new.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        pytest.param(
            "SELECT text, starts_ms, wants_report, bundle, is_free FROM message ORDER BY id",
            [("kept", None, 1, None, 0), ("old", None, 1, None, 0)], id="messages",
        ),
        pytest.param("SELECT message_id, route, starts_ms FROM queue", [(1, "", None)], id="the queue"),
        pytest.param("SELECT form, retries, secret FROM hook", [("own", None, None)], id="webhooks"),
        pytest.param(
            "SELECT send_delay_s, limit_messages, work_hours FROM upstream", [(2.5, None, None)], id="upstreams",
        ),
        pytest.param("SELECT * FROM sim_usage", [("8949", 2, 1)], id="what a SIM has sent, without what was not"),
    ],
)  # fmt: skip
def test_what_it_holds_is_kept(new: sqlite3.Connection, query: str, rows: list[tuple[object, ...]]) -> None:
    assert [tuple(row) for row in new.execute(query)] == rows


def test_the_queue_is_searched_by_upstream(new: sqlite3.Connection) -> None:
    found = {row[0] for row in new.execute("SELECT name FROM sqlite_master WHERE tbl_name = 'queue'")}
    assert "queue_turn" in found and "queue_order" not in found


async def test_the_daemons_journal_opens_it(path: Path) -> None:
    journal = Journal(path)
    await journal.start(2)
    assert await journal.read(alerts.active) == []
    await journal.close()
