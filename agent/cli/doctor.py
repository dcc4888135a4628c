"""`phonebridge doctor`: what is plugged in, what is wrong with the box and the servers, and what to do about it.

Sends no SMS and tries no PIN; the drivers' `diagnose` promises that. A port that the running daemon holds is asked
through the daemon.
"""

from __future__ import annotations

import asyncio
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from agent import config, logs
from agent.cli import client, doctor_view, output
from agent.cli.exits import Exit, Fault, say
from agent.cli.options import AsJson, ConfigFile
from agent.doctor import bundle, host, modems, service
from agent.doctor.modems import Finding, Tell
from agent.doctor.note import Level, Note
from agent.settings import AgentSettings, Config

_DAEMON_S = 10.0
_EVENTS = 200


def doctor(
    ports: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PORT]…", help="Only these, e.g. /dev/ttyUSB2; all without.", show_default=False),
    ] = None,
    path: ConfigFile = None,
    *,
    routes: Annotated[bool, typer.Option("--routes", help="Print the [[route]] blocks only, for the file.")] = False,
    report: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Write a report for a bug, without secrets.")
    ] = None,
    root: Annotated[
        Path, typer.Option("--root", metavar="DIR", help="Look at a copy of another box's /sys, /dev, /proc, /etc.")
    ] = Path("/"),
    trace: Annotated[bool, typer.Option("--trace", help="Show what is said to the modems, on standard error.")] = False,
    as_json: AsJson = False,
) -> int:
    """Look for modems and whatever may be wrong, and say what to do.

    Exits 0 when a usable modem was found, else 1. Sends no SMS and tries no PIN.
    """
    logs.set_up("debug" if trace else "error")
    where = path or config.DEFAULT_PATH
    with _progress(quiet=as_json or trace) as tell:
        tell("the daemon")
        status, why_not = _daemon(path) if root == Path("/") else (None, None)
        settings, notes = (None, []) if routes or root != Path("/") else service.configuration(where)
        held = status["routes"] if status is not None else []
        pid = None if status is None else int(status["pid"])
        findings = asyncio.run(modems.examine(ports or [], root, held, tell, daemon_pid=pid))
        if not routes:
            notes += _rest(root, settings, status, why_not, tell)
    if report is not None:
        state_dir = settings.agent.state_dir if settings is not None else None
        _write_report(report, where, state_dir, _document(notes, findings), status)
    if as_json:
        output.as_json(_document(notes, findings))
    elif routes:
        _print_blocks(findings)
    else:
        doctor_view.show(notes, findings, str(where))
        if report is not None:
            output.write(f"The report is in {report}. Read it before you post it: it is plain text.")
    is_usable = any(finding.block or (finding.route and finding.diagnosis.ok) for finding in findings)
    return Exit.OK if is_usable else Exit.FAILED


def _rest(root: Path, settings: Config | None, status: Any, why_not: str | None, tell: Tell) -> list[Note]:
    """What is not a modem."""
    state_dir = (settings.agent if settings is not None else AgentSettings()).state_dir
    notes = []
    if root == Path("/"):
        notes += service.daemon(status, why_not)
        if status is None:
            tell("the journal")
            notes += service.journal(state_dir)
    tell("the box")
    notes += host.examine(root, state_dir)
    if settings is not None:
        tell("the servers")
        notes += asyncio.run(service.servers(settings))
    return notes


def _daemon(path: Path | None) -> tuple[Any, str | None]:
    try:
        with client.connected(path) as daemon:
            return daemon.ask("status", patience_s=_DAEMON_S), None
    except Fault as fault:
        return None, f"{str(fault)[:1].upper()}{str(fault)[1:]}."


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Tell]:
    """Says on the terminal what is being looked at."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where somebody watches

    with Console(stderr=True).status("Looking …") as shown:
        yield lambda what: shown.update(f"Looking at {output.printable(what)} …")


def _print_blocks(findings: Sequence[Finding]) -> None:
    blocks = [finding.block for finding in findings if finding.block is not None]
    for block in blocks:
        output.write(block)
    if not blocks:
        say("no usable modem found")


def _document(notes: Sequence[Note], findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "ok": any(finding.diagnosis.ok for finding in findings)
        and not any(note.level is Level.PROBLEM for note in notes),
        "findings": [_shown(finding) for finding in findings],
        "checks": [
            {"topic": note.topic, "level": note.level.value, "finding": note.finding, "remedy": note.remedy}
            for note in notes
        ],
    }


def _shown(finding: Finding) -> dict[str, Any]:
    diagnosis = finding.diagnosis
    return {
        "driver": finding.driver,
        "port": diagnosis.candidate.port,
        "device": diagnosis.candidate.device,
        "description": diagnosis.candidate.description,
        "usb_id": diagnosis.candidate.usb_id,
        "ok": diagnosis.ok,
        "finding": diagnosis.finding,
        "remedy": diagnosis.remedy,
        "facts": diagnosis.facts,
        "route": finding.block,
        "used_by": finding.route,
    }


def _write_report(file: Path, where: Path, state_dir: Path | None, document: Any, status: Any) -> None:
    pieces = {
        "versions.json": bundle.versions(),
        "findings.json": document,
        "config.json": _raw(where),
        "status.json": status,
        "events.json": bundle.events(_events(where)),
    }
    try:
        bundle.write(file, bundle.compose(pieces, bundle.secrets_of(where, state_dir)))
    except OSError as error:
        raise Fault(f"{file} cannot be written: {error.strerror}", Exit.USAGE) from error


def _raw(where: Path) -> Any:
    try:
        return tomllib.loads(where.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        return {"unreadable": type(error).__name__}


def _events(where: Path) -> list[dict[str, Any]]:
    try:
        with client.connected(where if where != config.DEFAULT_PATH else None) as daemon:
            found: list[dict[str, Any]] = daemon.ask("events", limit=_EVENTS)["events"]
            return found
    except Fault:
        return []
