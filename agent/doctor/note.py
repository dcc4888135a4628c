"""One thing that was looked at. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much it matters."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is broken."""
    PROBLEM = "problem"
    """Messages do not flow, or will not for long."""


@dataclass(frozen=True, slots=True)
class Note:
    """`finding` is one sentence; `remedy` the next step, None where there is nothing to do."""

    topic: str
    level: Level
    finding: str
    remedy: str | None = None
