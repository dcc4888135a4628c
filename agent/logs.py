"""How log lines look: one line per event, readable or JSON, on standard error.

The last line of defence for secrets: whatever a caller passes, values of keys that name a secret are replaced,
numbers are shortened and peer text is capped. Needs neither rich nor colour.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog

from agent.masking import masked

LogFormat = Literal["text", "json"]
EventFields = MutableMapping[str, Any]
Renderer = Callable[[Any, str, EventFields], str]

_SECRETS = frozenset({"api_key", "authorization", "key", "passphrase", "password", "pin", "puk", "secret", "token"})
_NUMBERS = frozenset({"msisdn", "number", "recipient", "sender"})
# Of syslog(3).
_PRIORITIES = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>", "critical": "<2>"}
_LONGEST_VALUE_CHARACTERS = 500
_NEED_QUOTES = frozenset(' "=')
# Libraries that write a line per request or packet at INFO.
_CHATTY = ("aiomqtt", "asyncio", "httpcore", "httpx", "mqtt", "uvicorn", "uvicorn.access", "uvicorn.error")


def set_up(level: str = "info", log_format: LogFormat = "text", *, stream: TextIO | None = None) -> None:
    """Configure structlog and the standard library's logging for this process.

    Where the stream goes to journald (JOURNAL_STREAM of systemd.exec(5)) lines carry no time, since journald keeps its
    own, and begin with their priority as "<3>" (sd-daemon(3)), so that `journalctl -p warning` finds them.
    """
    stream = stream or sys.stderr
    is_journal = _is_journal(stream)
    render = (
        _json_renderer(has_time=not is_journal) if log_format == "json" else _text_renderer(has_time=not is_journal)
    )
    if is_journal:
        render = _with_priority(render)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_time,
            structlog.processors.format_exc_info,
            _guard,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_NamedLoggers(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LibraryFormatter(render))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(number)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


class _NamedLoggers:
    """Loggers that write whole lines to one stream; the name given to `get_logger` goes unused."""

    def __init__(self, stream: TextIO) -> None:
        self._logger = structlog.WriteLogger(stream)

    def __call__(self, *_: Any) -> structlog.WriteLogger:
        return self._logger


class _LibraryFormatter(logging.Formatter):
    """A library's record as one of our events: `library` says whose it is."""

    def __init__(self, render: Renderer) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        fields: EventFields = {
            "event": "library",
            "level": record.levelname.lower(),
            "library": record.name,
            "says": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return self._render(None, record.levelname, _guard(None, "", _add_time(None, "", fields)))


def _add_time(_: Any, __: str, fields: EventFields) -> EventFields:
    fields["time"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return fields


def _guard(_: Any, __: str, fields: EventFields) -> EventFields:
    for key, value in fields.items():
        if key in _SECRETS and value is not None:
            fields[key] = "(secret)"
        elif key in _NUMBERS and isinstance(value, str):
            fields[key] = masked(value)
        elif isinstance(value, str) and len(value) > _LONGEST_VALUE_CHARACTERS and key != "exception":
            fields[key] = value[:_LONGEST_VALUE_CHARACTERS] + "…"
    return fields


def _is_journal(stream: TextIO) -> bool:
    """Whether systemd connected this very stream to the journal; one that was redirected has another inode."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _with_priority(render: Renderer) -> Renderer:
    """Each line with its priority: a trace's lines would get another one than their event."""

    def prefixed(logger: Any, name: str, fields: EventFields) -> str:
        priority = _PRIORITIES.get(str(fields.get("level")), "<6>")
        return "\n".join(f"{priority}{line}" for line in render(logger, name, fields).split("\n"))

    return prefixed


def _json_renderer(*, has_time: bool) -> Renderer:
    def render(_: Any, __: str, fields: EventFields) -> str:
        shown = fields if has_time else {key: value for key, value in fields.items() if key != "time"}
        return json.dumps(shown, default=str, ensure_ascii=False)

    return render


def _text_renderer(*, has_time: bool) -> Renderer:
    def render(_: Any, __: str, fields: EventFields) -> str:
        rest = dict(fields)
        words = [f"{rest.pop('level'):<7}", str(rest.pop("event"))]
        time = rest.pop("time")
        if has_time:
            words.insert(0, time)
        trace = rest.pop("exception", None)
        words += [f"{key}={_shown(value)}" for key, value in rest.items() if value is not None]
        line = " ".join(words)
        return line if trace is None else f"{line}\n{trace}"

    return render


def _shown(value: Any) -> str:
    """One word, or a quoted string; control characters escaped, so that a peer cannot forge a line."""
    text = value if isinstance(value, str) else str(value)
    if text and text.isprintable() and _NEED_QUOTES.isdisjoint(text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
