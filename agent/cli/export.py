"""`phonebridge export`: the history as CSV or JSON lines, written as it arrives."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from agent.cli.client import connected
from agent.cli.exits import Exit, Fault
from agent.cli.options import AsJson, ConfigFile

_KINDS = ("messages", "inbox", "events")
_FORMATS = ("csv", "jsonl")
_PATIENCE_S = 6 * 3600.0
# What a spreadsheet runs when it stands at the beginning of a cell (OWASP, CSV injection).
_FORMULA = re.compile(r"[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
Write = Callable[[list[dict[str, Any]]], None]


def export(
    kind: Annotated[str, typer.Argument(metavar="[KIND]", help="messages, inbox or events.")] = "messages",
    *,
    form: Annotated[str | None, typer.Option("--format", help="csv or jsonl (JSON lines).")] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="e.g. 2026-11-01, in UTC.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to before this time.")] = None,
    route: Annotated[str | None, typer.Option("--route", help="Only what went or came by it.")] = None,
    target: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="A new file, mode 0600.")] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Write the history, oldest first, with whole numbers and texts."""
    form = form or ("jsonl" if as_json else "csv")
    if kind not in _KINDS or form not in _FORMATS:
        raise Fault(f"write export {'|'.join(_KINDS)} --format {'|'.join(_FORMATS)}", Exit.USAGE)
    if target is None:
        return _run(sys.stdout, form, config, kind=kind, since=since, until=until, route=route)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Fault(f"{target} cannot be written: {error.strerror}; give another name", Exit.USAGE) from error
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
        return _run(out, form, config, kind=kind, since=since, until=until, route=route)


def guarded(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


# --- pieces -----------------------------------------------------------------------------------------


def _run(out: TextIO, form: str, config: Path | None, **asked: str | None) -> int:
    write = _csv(out) if form == "csv" else _json_lines(out)
    fields = {"kind": asked["kind"], "from": asked["since"], "to": asked["until"], "route": asked["route"]}
    with connected(config) as daemon:
        daemon.ask("export", on_step=lambda step: write(step["rows"]), patience_s=_PATIENCE_S, **fields)
    out.flush()
    return Exit.OK


def _json_lines(out: TextIO) -> Write:
    def write(rows: list[dict[str, Any]]) -> None:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    return write


def _csv(out: TextIO) -> Write:
    table: csv.DictWriter[str] | None = None

    def write(rows: list[dict[str, Any]]) -> None:
        nonlocal table
        if table is None:
            table = csv.DictWriter(out, list(rows[0]), lineterminator="\r\n")
            table.writeheader()
        table.writerows({key: guarded(value) for key, value in row.items()} for row in rows)

    return write
