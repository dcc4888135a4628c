"""backup, restore, recover and export as a person types them, against a real daemon."""

from __future__ import annotations

import contextlib
import csv
import json
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.cli.client import connected
from agent.cli.exits import Fault
from agent.cli.export import guarded
from tests.cli.conftest import Cli, Running
from tests.forked import popen


def _config(directory: Path) -> tuple[str, str]:
    """Arguments for a box of its own, without a daemon."""
    config = directory / "own.toml"
    config.write_text(f'[agent]\nstate_dir = "{directory / "own"}"\n')
    (directory / "own").mkdir(exist_ok=True)
    return "-c", str(config)


def test_backup_then_restore_elsewhere(cli: Cli, daemon: Running, tmp_path: Path) -> None:
    file, running = tmp_path / "backup.db", ("-c", str(daemon.config))
    done = cli("backup", str(file), "--json", *running)
    assert done.code == 0 and done.json["octets"] == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["backup.db"]
    again = cli("backup", str(file), *running)
    assert again.code == 2 and "never overwritten" in again.err
    assert cli("backup", str(tmp_path / "no" / "where.db"), *running).code == 2
    refused = cli("restore", str(file), *running)
    assert refused.code == 1 and "stop it first" in refused.err
    own = _config(tmp_path)
    assert "restored; 0 open message(s)" in cli("restore", str(file), *own).out
    aside = cli("restore", str(file), "--json", *own).json["aside"]
    assert Path(aside).exists()
    with closing(sqlite3.connect(tmp_path / "own" / "journal.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert cli("restore", str(tmp_path / "absent.db"), *own).code == 2


def test_recover_says_what_it_saved(cli: Cli, daemon: Running, tmp_path: Path) -> None:
    own = _config(tmp_path)
    file = tmp_path / "backup.db"
    cli("backup", str(file), "-c", str(daemon.config))
    nothing = cli("recover", *own)
    assert nothing.code == 2 and "nothing was set aside" in nothing.err
    damaged = file.read_bytes()
    (tmp_path / "own" / "journal.damaged-1.db").write_bytes(b"x" * 100 + damaged[100:])
    done = cli("recover", *own)
    assert done.code == 0 and "upstream: " in done.out and "recovered from" in done.out
    assert {table["table"] for table in cli("recover", "--json", *own).json["tables"]} > {"message", "remote_key"}
    assert cli("recover", "--discard", *own).code == 0


def test_export_as_csv_and_as_json_lines(cli: Cli, daemon: Running, tmp_path: Path) -> None:
    running = ("-c", str(daemon.config))
    text = '=HYPERLINK("http://x","y")\nsecond; "line"'
    sent = cli("send", "+491701234999", text, "--json", "--wait", *running).json_lines[-1]
    target = tmp_path / "out.csv"
    assert cli("export", "messages", "--output", str(target), *running).code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with target.open(newline="", encoding="utf-8") as lines:
        (row,) = [row for row in csv.DictReader(lines) if row["id"] == str(sent["id"])]
    assert (row["text"], row["number"]) == ("'" + text, "+491701234999")
    found = [json.loads(line) for line in cli("export", "--format", "jsonl", *running).out.splitlines()]
    assert [one["id"] for one in found] == sorted(one["id"] for one in found)
    assert next(one for one in found if one["id"] == sent["id"])["text"] == text
    events = [json.loads(line) for line in cli("export", "events", "--json", *running).out.splitlines()]
    assert {"accepted", "sending", "sent"} <= {one["kind"] for one in events if one["message_id"] == sent["id"]}
    assert cli("export", "messages", "--json", "--from", "2099-01-01", *running).out == ""
    assert cli("export", "messages", "--json", "--route", "other", *running).out == ""
    assert cli("export", "messages", "--json", "--to", "2001-01-01T00:00+01:00", *running).out == ""
    assert sent["id"] not in [
        json.loads(line)["id"] for line in cli("export", "inbox", "--json", *running).out.splitlines()
    ]
    assert cli("export", "messages", "--from", "yesterday", *running).code == 2
    assert cli("export", "everything", *running).code == 2
    assert cli("export", "--output", str(target), *running).code == 2


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"), ("+49 170", "'+49 170"), ("-2+3", "'-2+3"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"), ("+491701234567", "+491701234567"), ("-5", "-5"), ("hello", "hello"), (7, 7), (None, None),
        ({}, ""), ({"port": 1}, '{"port": 1}'),
    ],
)  # fmt: skip
def test_no_cell_is_a_formula(value: object, cell: object) -> None:
    assert guarded(value) == cell


def test_a_daemon_on_a_damaged_journal_runs_degraded_until_it_is_recovered(cli: Cli, tmp_path: Path) -> None:
    arguments = _config(tmp_path)
    journal = tmp_path / "own" / "journal.db"
    with _running(arguments):
        sent = cli("send", "+491701234567", "no route yet", "--json", *arguments)
        assert sent.json["state"] == "failed"
    with journal.open("r+b") as file:
        file.write(b"garbage " * 12)
    with _running(arguments):
        status = cli("status", *arguments)
        assert status.code == 0 and "phonebridge recover" in status.out
        assert "journal.damaged-" in cli("status", "--json", *arguments).json["degraded"]
        refused = cli("send", "+491701234567", "not now", *arguments)
        assert refused.code == 1 and "phonebridge recover" in refused.err
        assert "stop it first" in cli("recover", *arguments).err
    assert cli("recover", *arguments).code == 0
    with _running(arguments):
        assert cli("status", "--json", *arguments).json["degraded"] is None
        assert cli("messages", "--json", "--full", *arguments).json["messages"][0]["text"] == "no route yet"


@contextlib.contextmanager
def _running(arguments: tuple[str, str]) -> Iterator[None]:
    log = Path(arguments[1]).with_suffix(".log")
    with log.open("ab") as output:
        process = popen("agent.cli", "run", *arguments, stderr=output)
    try:
        until = time.monotonic() + 30
        while True:
            try:
                with connected(Path(arguments[1])) as link:
                    link.ask("status")
                break
            except Fault:
                assert time.monotonic() < until and process.poll() is None, log.read_text()
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        assert process.wait(20) == 0, log.read_text()
