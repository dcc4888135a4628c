"""`phonebridge doctor`, first version: which ports speak AT, and a `[[route]]` block for each modem.

Sends no SMS and tries no PIN; the drivers' `diagnose` promises that. Needs no daemon.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from agent import logs, plugins
from agent.cli import output
from agent.cli.exits import Exit, say
from agent.cli.options import AsJson
from drivers.api import Candidate, Diagnosis

# A box has few ports, but an extension card may bring 16 UARTs with nothing behind them.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at one port. `block` is a `[[route]]` for the file, None where there is no modem to use."""

    driver: str
    diagnosis: Diagnosis
    block: str | None


def doctor(
    ports: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PORT]…", help="Only these, e.g. /dev/ttyUSB2; all without.", show_default=False),
    ] = None,
    *,
    routes: Annotated[bool, typer.Option("--routes", help="Print the [[route]] blocks only, for the file.")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Show what is said to the modems, on standard error.")] = False,
    as_json: AsJson = False,
) -> int:
    """Look for modems and say what to configure.

    Exits 0 when a usable modem was found, else 1. Stop the daemon first: a port that it holds cannot be looked at.
    """
    logs.set_up("debug" if trace else "error")
    findings = asyncio.run(_examine(ports or []))
    if as_json:
        output.as_json({"findings": [_shown(finding) for finding in findings]})
    else:
        _print(findings, only_routes=routes)
    return Exit.OK if any(finding.block for finding in findings) else Exit.FAILED


async def _examine(ports: Sequence[str]) -> list[Finding]:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def look(name: str, driver: Any, candidate: Candidate) -> tuple[str, Diagnosis]:
        async with limit:
            return name, await driver.diagnose(candidate)

    looks = []
    for name in plugins.names(plugins.DRIVERS):
        driver = plugins.load_driver(name)
        if "port" not in {key.name for key in fields(driver.Settings)}:
            continue  # a service: nothing of it can be plugged in
        found = [Candidate(port, port, "as given") for port in ports] if ports else driver.discover()
        looks += [look(name, driver, candidate) for candidate in found]
    return _with_blocks(await asyncio.gather(*looks))


def _with_blocks(looks: Sequence[tuple[str, Diagnosis]]) -> list[Finding]:
    """A modem has several ports that speak AT; the first one of each IMEI gets a block."""
    findings: list[Finding] = []
    taken: set[str] = set()
    slot = 0
    for driver, diagnosis in looks:
        block = None
        modem = diagnosis.facts.get("imei", diagnosis.candidate.port)
        if diagnosis.ok and modem not in taken:
            taken.add(modem)
            block, slot = _block(driver, diagnosis, slot), slot + 1
        findings.append(Finding(driver, diagnosis, block))
    return findings


def _block(driver: str, diagnosis: Diagnosis, slot: int) -> str:
    facts = diagnosis.facts
    about = " ".join(facts[key] for key in ("manufacturer", "model", "operator") if key in facts)
    lines = [
        "[[route]]",
        f"name = {json.dumps(f'sim{slot}')}",
        f"driver = {json.dumps(driver)}",
        f"port = {json.dumps(diagnosis.candidate.port)}",
        f"sim_slot = {slot}",
    ]
    if about:
        lines.insert(0, f"# {output.printable(about)}")
    if facts.get("sim") == "SIM PIN":
        lines.append('pin_file = "/etc/phonebridge/sim.pin"  # the SIM asks for its PIN; put it into that file')
    return "\n".join(lines) + "\n"


def _print(findings: Sequence[Finding], *, only_routes: bool) -> None:
    if not findings:
        say("no serial port was found; plug the modem in, wait ten seconds, and run it again (see also: lsusb)")
        return
    modems = [finding for finding in findings if finding.block is not None]
    if not only_routes:
        for finding in findings:
            _print_one(finding, findings)
        if modems:
            output.write(f"For {_where()}:\n")
    for finding in modems:
        output.write(str(finding.block))
    if not modems:
        say("no usable modem was found; what is missing stands above" if not only_routes else "no usable modem found")


def _print_one(finding: Finding, findings: Sequence[Finding]) -> None:
    diagnosis, candidate = finding.diagnosis, finding.diagnosis.candidate
    usb = f" [{candidate.usb_id}]" if candidate.usb_id else ""
    output.write(output.printable(f"{'✓' if diagnosis.ok else '✗'} {candidate.port} — {candidate.description}{usb}"))
    output.write(f"  {output.printable(diagnosis.finding)}")
    if diagnosis.ok and finding.block is None:
        output.write("  Another port of a modem above; one route per modem is enough.")
    if diagnosis.remedy:
        output.write(f"  → {output.printable(diagnosis.remedy)}")
    facts = {key: value for key, value in diagnosis.facts.items() if key != "port"}
    if facts:
        output.write(output.printable("  " + ", ".join(f"{key} {value}" for key, value in facts.items())))
    output.write("")


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
    }


def _where() -> Path:
    from agent.config import DEFAULT_PATH  # noqa: PLC0415 - pydantic-settings is not needed otherwise

    return DEFAULT_PATH
