"""The configuration, the journal and the servers, as `doctor` sees them from outside the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent import config, plugins
from agent.config import ConfigError
from agent.doctor.note import Level, Note
from agent.journal import checkup
from agent.settings import Config

_SERVER_S = 20.0
_JOURNAL_FILE = "journal.db"


def configuration(path: Path) -> tuple[Config | None, list[Note]]:
    """Read it as the daemon would."""
    if not path.exists():
        remedy = f"Put what `phonebridge doctor --routes` prints into {path}, and add an [[upstream]]."
        return None, [Note("configuration", Level.NOTE, f"There is no configuration at {path} yet.", remedy)]
    try:
        found = config.load(path)
    except ConfigError as error:
        return None, [Note("configuration", Level.PROBLEM, f"{error}.", "Correct that key: phonebridge check-config")]
    notes = [Note("configuration", Level.NOTE, f"{warning}.") for warning in found.warnings]
    if not found.routes:
        notes.append(Note("configuration", Level.NOTE, f"{path} has no [[route]].", "Add one of those below."))
    return found, notes or [Note("configuration", Level.OK, f"{path} is right.")]


def daemon(status: Mapping[str, Any] | None, why_not: str | None) -> list[Note]:
    """What the running daemon says of itself; `why_not` is why it could not be asked."""
    if status is None:
        return [Note("daemon", Level.NOTE, "The daemon is not running, or may not be asked.", why_not)]
    notes = [Note("daemon", Level.OK, f"The daemon runs (version {status['version']}, PID {status['pid']}).")]
    for upstream in status["upstreams"]:
        if upstream["problem"]:
            notes.append(Note(f"server {upstream['name']}", Level.PROBLEM, str(upstream["problem"])))
        if upstream["parked"]:
            finding = f"{upstream['name']} refused {upstream['parked']} reports or inbound messages for good."
            notes.append(Note(f"server {upstream['name']}", Level.NOTE, finding, "See: phonebridge messages"))
    if status["held"]:
        finding = f"{status['held']} old messages are held, so that nothing goes out late unasked."
        notes.append(Note("queue", Level.NOTE, finding, "phonebridge release sends them."))
    return notes


def journal(state_dir: Path) -> list[Note]:
    """Is the journal sound? Only while no daemon has it."""
    path = state_dir / _JOURNAL_FILE
    try:
        found = checkup.check(path)
    except FileNotFoundError:
        return [Note("journal", Level.OK, f"There is no journal in {state_dir} yet; the first start makes it.")]
    except OSError as error:
        remedy = f"Run doctor with sudo, or see who owns {state_dir}."
        return [Note("journal", Level.NOTE, f"The journal {path} cannot be read: {error.strerror}.", remedy)]
    if found.problem is not None:
        remedy = "Copy the file away, then start the daemon: it sets a broken journal aside."
        return [Note("journal", Level.PROBLEM, f"{found.problem[:1].upper()}{found.problem[1:]}.", remedy)]
    extent = "" if found.is_whole else "; it is too large to be read whole here"
    finding = f"The journal is sound ({found.bytes / 1e6:.1f} MB, schema {found.version}{extent})."
    return [Note("journal", Level.OK, finding)]


async def servers(settings: Config) -> list[Note]:
    """Each configured upstream's own check, side by side."""
    found = await asyncio.gather(*(_server(upstream, settings.agent.device_name) for upstream in settings.upstreams))
    return [note for notes in found for note in notes]


async def _server(settings: Any, device_name: str) -> list[Note]:
    topic = f"server {settings.name}"
    diagnose = getattr(plugins.load_upstream(settings.type), "diagnose", None)
    if diagnose is None:
        return []
    try:
        async with asyncio.timeout(_SERVER_S):
            checks = await diagnose(settings, device_name)
    except TimeoutError:
        return [
            Note(topic, Level.PROBLEM, f"It gave no answer in {_SERVER_S:.0f} s.", "Check the network of this box.")
        ]
    except (ConfigError, OSError) as error:
        return [Note(topic, Level.PROBLEM, f"{error}.", "Correct that key: phonebridge check-config")]
    return [Note(topic, Level.OK if check.ok else Level.PROBLEM, check.finding, check.remedy) for check in checks]
