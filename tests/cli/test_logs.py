"""Log lines: readable or JSON, one per event, without secrets and without the terminal's libraries."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from agent import logs


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def written(log_format: Any, level: str = "info", **fields: Any) -> str:
    stream = io.StringIO()
    logs.set_up(level, log_format, stream=stream)
    structlog.get_logger("test").info("route_state", **fields)
    return stream.getvalue()


def test_text_is_one_readable_line() -> None:
    line = written("text", route="sim0", state="no service", problem=None, n=3)
    assert line.count("\n") == 1
    assert line.split(" ", 1)[1] == 'info    route_state route=sim0 state="no service" n=3\n'


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_under_journald_lines_have_a_priority_and_no_time(
    log_format: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w+") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        logs.set_up("debug", log_format, stream=stream)
        log = structlog.get_logger("test")
        log.debug("a")
        log.info("b")
        log.warning("c")
        try:
            raise ValueError("x")
        except ValueError:
            log.exception("d")
        logging.getLogger("library").error("e")
        stream.seek(0)
        lines = stream.read().splitlines()
    assert [line[:3] for line in lines[:4]] == ["<7>", "<6>", "<4>", "<3>"]
    assert all(line.startswith("<3>") for line in lines[3:]), "a trace's lines have their event's priority"
    assert '"time"' not in "".join(lines) and "20" not in "".join(lines[:3])


def test_a_stream_that_is_not_the_journal_keeps_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    assert written("text").startswith("20")


def test_json_is_one_object_per_line() -> None:
    found = json.loads(written("json", route="sim0"))
    assert (found["event"], found["level"], found["route"]) == ("route_state", "info", "sim0")
    assert found["time"].endswith("Z")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_secrets_and_numbers_are_hidden(log_format: str) -> None:
    line = written(log_format, pin="1234", api_key="abcd-efgh", number="+491701234567", sender="…4567")
    assert "1234567" not in line and "abcd" not in line and '"1234"' not in line and "pin=1234" not in line
    assert line.count("…4567") == 2


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_peer_text_cannot_forge_a_line_and_is_capped(log_format: str) -> None:
    line = written(log_format, says="x\ninfo    started\x1b[2J" + "y" * 5000)
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert len(line) < 1000


def test_below_the_level_nothing_is_written() -> None:
    assert written("text", "warning") == ""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_error_brings_its_trace(log_format: str) -> None:
    stream = io.StringIO()
    logs.set_up("info", log_format, stream=stream)  # type: ignore[arg-type]
    try:
        raise ValueError("broken")
    except ValueError as error:
        structlog.get_logger().error("piece_failed", exc_info=error)
    assert "ValueError: broken" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()


def test_libraries_speak_through_the_same_lines() -> None:
    stream = io.StringIO()
    logs.set_up("info", "text", stream=stream)
    logging.getLogger("some.library").warning("odd %s", "thing")
    logging.getLogger("httpx").info("HTTP Request: GET https://…")
    assert stream.getvalue().split(" ", 1)[1] == 'warning library library=some.library says="odd thing"\n'
