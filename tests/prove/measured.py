"""What a proof measured: printed as a table, with an exit code that tells whether everything was met."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and whether it met what was promised."""

    what: str
    measured: str
    is_met: bool


@dataclass(slots=True)
class Figures:
    """All figures of one proof."""

    title: str
    rows: list[Row] = field(default_factory=list)

    def expect(self, what: str, measured: Any, is_met: bool) -> None:
        """A figure with a promise."""
        row = Row(what, str(measured), bool(is_met))
        self.rows.append(row)
        print(f"  {'ok  ' if row.is_met else 'MISS'} {what}: {row.measured}", flush=True)

    def state(self, what: str, measured: Any) -> None:
        """A figure without a promise."""
        self.rows.append(Row(what, str(measured), True))
        print(f"       {what}: {measured}", flush=True)

    @property
    def is_met(self) -> bool:
        return all(row.is_met for row in self.rows)

    @property
    def misses(self) -> list[Row]:
        return [row for row in self.rows if not row.is_met]

    def as_json(self) -> str:
        return json.dumps({"title": self.title, "rows": [asdict(row) for row in self.rows]}, indent=1)
