"""Every target of `make fuzz` for a while: how many inputs, and what broke something."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.__main__ import Row, searched
from tests.fuzz.engine import search
from tests.fuzz.targets import TARGETS
from tests.prove.measured import Figures

_SECONDS = 60.0
_SHORT = ("pdu", "mqtt-orders", "yazsana-api")
"""The suite has all of them in tests/fuzz."""


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    del directory
    for name in _SHORT if short else TARGETS:
        row = _short(name, seed) if short else searched(name, _SECONDS, seed, "random")
        figures.expect(
            f"{name}: findings in {row.executions} inputs of {row.seconds:.0f} s", row.findings, row.findings == 0
        )


def _short(name: str, seed: int) -> Row:
    found = search(TARGETS[name], 0.0, seed, least=50)
    return Row(name, found.seconds, found.executions, len(found.broken))
