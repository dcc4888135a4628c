"""`phonebridge alerts`: what is wrong now and what was, and a trial of the ways by which the owner is told."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agent.cli import output
from agent.cli.client import connected
from agent.cli.exits import Exit
from agent.cli.options import AsJson, ConfigFile

_TEST_S = 60.0


def alerts(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many old ones.")] = 10,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Show what is wrong now, and what was."""
    if context.invoked_subcommand is not None:
        return Exit.OK
    with connected(config) as daemon:
        found = daemon.ask("alerts", limit=limit)
    if as_json:
        output.as_json(found)
        return Exit.OK
    if not found["active"]:
        output.write("nothing is wrong")
    else:
        _table(found["active"], "told")
    if found["history"]:
        output.write("\nIt was:")
        _table(found["history"], "cleared")
    return Exit.OK


def test(as_json: AsJson = False, config: ConfigFile = None) -> int:
    """Tell a test alert on every configured way. Exits 1 where one failed or there is none."""
    with connected(config) as daemon:
        found = daemon.ask("alerts test", patience_s=_TEST_S)
    told = found["told"]
    if as_json:
        output.as_json(found)
    elif not told:
        output.write("no way is configured; set webhook or sms_to in [alerts]")
    else:
        rows = [(one["channel"], "✓" if one["ok"] else "✗", one["detail"]) for one in told]
        output.table(("way", "", "what came of it"), rows)
    return Exit.OK if told and all(one["ok"] for one in told) else Exit.FAILED


def _table(rows: list[dict[str, Any]], last: str) -> None:
    output.table(
        ("kind", "about", "since", last, "what"),
        [
            (
                row["kind"],
                row["subject"] or "the box",
                output.local_time(row["raised_at"]),
                output.local_time(row[f"{last}_at"]) or "not yet",
                row["message"],
            )
            for row in rows
        ],
    )
