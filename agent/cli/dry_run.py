"""`phonebridge send --dry-run`: how a message would go, by the daemon's settings, or by defaults where none runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent import plugins
from agent.cli import output
from agent.cli.client import connected
from agent.cli.exits import Exit, Fault, say
from agent.plan_view import described
from agent.settings import AgentSettings
from drivers.api import PlanOptions, Unplannable


def dry_run(asked: dict[str, Any], config: Path | None, *, as_json: bool) -> int:
    """Print the plan of a message; nothing is kept or sent. Exits 1 where it can never go."""
    try:
        with connected(config) as daemon:
            plan = daemon.ask("plan", **asked)
    except Fault as fault:
        if fault.code is not Exit.UNREACHABLE:
            raise
        plan = _by_defaults(asked)
    if as_json:
        output.as_json(plan)
    else:
        _show(plan)
    if plan["error"] is not None:
        say(plan["error"])
        return Exit.FAILED
    return Exit.OK


def _by_defaults(asked: dict[str, Any]) -> dict[str, Any]:
    """The plan of a modem whose settings are all at their defaults."""
    try:
        data = None if asked["data"] is None else bytes.fromhex(asked["data"])
    except ValueError as error:
        raise Fault("data is not hexadecimal", Exit.USAGE) from error
    options = PlanOptions(recipient=asked["number"], is_flash=bool(asked["flash"]), port=asked["port"], data=data)
    answer = {"number": asked["number"], "route": None, "error": None, "settings": "defaults"}
    try:
        parts = plugins.load_driver("at").plan(asked["text"] or "", AgentSettings().max_parts, options)
    except Unplannable as error:
        return {**answer, "error": str(error), **described(())}
    return {**answer, **described(parts)}


def _show(plan: dict[str, Any]) -> None:
    parts = plan["parts"]
    if not parts:
        return
    tables = plan["tables"] and ", ".join(f"{name} {language}" for name, language in plan["tables"].items())
    output.pairs(
        [
            ("settings", "defaults; no daemon runs" if plan.get("settings") else None),
            ("number", plan["number"]),
            ("route", plan["route"]),
            ("alphabet", plan["alphabet"]),
            ("tables", tables),
            ("flash", "yes" if plan["flash"] else None),
            ("port", plan["port"]),
            ("parts", len(parts)),
        ]
    )
    unit = "septets" if plan["alphabet"] == "gsm7" else "octets"
    output.table(
        ("part", unit, "of", "header octets", "content"),
        [
            (part["sequence"], part["used"], part["room"], part["header_octets"], part["text"] or part["data"])
            for part in parts
        ],
    )
