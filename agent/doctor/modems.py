"""Looks at every port that a driver finds, and writes a `[[route]]` block for each modem. Sends nothing, tries no PIN.

A port that the running daemon holds is not opened: what the daemon says of its route stands for it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from agent import plugins
from drivers.api import Candidate, Diagnosis

# A box has few ports, but an extension card may bring 16 UARTs with nothing behind them.
_AT_ONCE = 8
_AUTO = "auto:"
_ROUTE_FACTS = ("manufacturer", "model", "firmware", "imei", "iccid", "number", "smsc", "operator", "registration")

Tell = Callable[[str], None]
"""Told what is being looked at now."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at one port. `block` is a `[[route]]` for the file, None where there is no modem to configure.

    `route` is the daemon's route that holds the port.
    """

    driver: str
    diagnosis: Diagnosis
    block: str | None = None
    route: str | None = None

    @property
    def is_hears(self) -> bool:
        """Whether the modem was heard to speak on this port unasked."""
        return self.diagnosis.facts.get("urcs") == "seen"


async def examine(
    ports: Sequence[str], root: Path, routes: Sequence[Mapping[str, Any]], tell: Tell, *, daemon_pid: int | None = None
) -> list[Finding]:
    """All ports, or those given. `routes` are the running daemon's, as `status` shows them."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def look(name: str, driver: Any, candidate: Candidate) -> Finding:
        if (route := _held(driver, candidate, routes, daemon_pid)) is not None:
            return Finding(name, _by_the_daemon(candidate, route), route=str(route["name"]))
        async with limit:
            tell(candidate.port)
            return Finding(name, await driver.diagnose(candidate))

    looks = []
    without_port: list[Finding] = []
    for name in plugins.names(plugins.DRIVERS):
        driver: Any = plugins.load_driver(name)
        if "port" not in {key.name for key in fields(driver.Settings)}:
            continue  # a service: nothing of it can be plugged in
        if root != Path("/") and hasattr(driver, "below"):
            driver = driver.below(root)
        found = [Candidate(port, port, "as given") for port in ports] if ports else driver.discover()
        looks += [look(name, driver, candidate) for candidate in found]
        if not ports and hasattr(driver, "unusable"):
            without_port += [Finding(name, diagnosis) for diagnosis in driver.unusable()]
    return _with_blocks([*await asyncio.gather(*looks), *without_port])


def _held(
    driver: Any, candidate: Candidate, routes: Sequence[Mapping[str, Any]], daemon_pid: int | None
) -> Mapping[str, Any] | None:
    """The daemon's route on this port, if any."""
    real = os.path.realpath(candidate.device)
    for route in routes:
        port = str(route.get("port") or "")
        if port and (port in (candidate.port, candidate.device) or os.path.realpath(port) == real):
            return route
    automatic = [route for route in routes if str(route.get("port") or "").startswith(_AUTO)]
    if daemon_pid is None or not automatic or not hasattr(driver, "holder"):
        return None
    holder = driver.holder(candidate.device)
    return automatic[0] if holder is not None and f"(PID {daemon_pid})" in holder else None


def _by_the_daemon(candidate: Candidate, route: Mapping[str, Any]) -> Diagnosis:
    facts = {"port": candidate.port, **{key: str(route[key]) for key in _ROUTE_FACTS if route.get(key)}}
    if route.get("signal_dbm") is not None:
        facts["signal_dbm"] = str(route["signal_dbm"])
    if route.get("storage_total"):
        facts["storage"] = f"{route.get('storage_used') or 0} of {route['storage_total']}"
    if route.get("indications"):
        facts["urcs"] = str(route["indications"])
    name, problem = route["name"], route.get("problem")
    if problem is None:
        return Diagnosis(
            candidate, True, f"The daemon uses it for route {name}, which is {route['state']}.", None, facts
        )
    finding, _, remedy = str(problem).partition("; ")
    finding = f"The daemon uses it for route {name}: {finding.rstrip('.')}."
    return Diagnosis(candidate, False, finding, f"{remedy[:1].upper()}{remedy[1:]}" or None, facts)


def _with_blocks(found: Sequence[Finding]) -> list[Finding]:
    """A modem has several ports that speak AT: one of each IMEI gets a block, best one that was heard unasked."""
    chosen: dict[str, Finding] = {}
    used = {finding.diagnosis.facts.get("imei") for finding in found if finding.route is not None} - {None}
    for finding in found:
        modem = finding.diagnosis.facts.get("imei", finding.diagnosis.candidate.port)
        if not finding.diagnosis.ok or finding.route is not None or modem in used:
            continue
        best = chosen.get(modem)
        if best is None or (finding.is_hears and not best.is_hears):
            chosen[modem] = finding
    slots = {id(finding): slot for slot, finding in enumerate(f for f in found if f in chosen.values())}
    return [
        Finding(finding.driver, finding.diagnosis, _block(finding, slots[id(finding)]), finding.route)
        if id(finding) in slots
        else finding
        for finding in found
    ]


def _block(finding: Finding, slot: int) -> str:
    facts = finding.diagnosis.facts
    about = " ".join(facts[key] for key in ("manufacturer", "model", "operator") if key in facts)
    about = "".join(character if character.isprintable() else "?" for character in about)
    lines = [
        *([f"# {about}"] if about else []),
        "[[route]]",
        f"name = {json.dumps(f'sim{slot}')}",
        f"driver = {json.dumps(finding.driver)}",
        f"port = {json.dumps(finding.diagnosis.candidate.port)}",
        f"sim_slot = {slot}",
    ]
    if facts.get("sim") == "SIM PIN":
        lines.append('pin_file = "/etc/phonebridge/sim.pin"  # the SIM asks for its PIN; put it into that file')
    return "\n".join(lines) + "\n"
