"""What commands print: JSON for programs, tables and lines for people. Errors go to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.masking import masked

# Where nobody watches, lines are not folded: they are for grep.
_UNWATCHED_COLUMNS = 250


# Of a message's details, what only --full shows: the data itself, and who sent what as an MMS.
_CONTENT = ("data", "mms_sender", "mms_subject", "mms_location", "mms_transaction_id")


def console() -> Console:
    return Console(
        highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _UNWATCHED_COLUMNS
    )


def write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """One document on one line, so that a stream of them is JSON lines."""
    write(json.dumps(value, ensure_ascii=False))


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under headings; None is left empty."""
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
    console().print(drawn)


def pairs(values: Sequence[tuple[str, Any]]) -> None:
    """One "name  value" per line; None is left out."""
    width = max((len(name) for name, _ in values), default=0)
    for name, value in values:
        if value is not None:
            write(f"{name:<{width}}  {printable(str(value))}")


def printable(text: str) -> str:
    """Without control characters: a text that came in must not steer the terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def local_time(iso: str | None) -> str | None:
    """An ISO time as this box's wall clock shows it."""
    if iso is None:
        return None
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def hidden(message: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """A message with its number shortened and its text counted, unless `full`."""
    if full:
        return message
    return {
        **message,
        "number": masked(message["number"]),
        "text": f"({len(message['text'])} characters)",
        "details": {name: value for name, value in message["details"].items() if name not in _CONTENT},
    }
