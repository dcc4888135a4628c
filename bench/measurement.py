"""One measurement, alone or side by side with others, and the cells of the tables that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from bench.contender import NotInTime

_EVER = 99


@dataclass(frozen=True, slots=True)
class Cell:
    """`result` is JSON: what was measured, or `failed` with a sentence."""

    contender: str
    case: str
    result: Any


@dataclass(frozen=True, slots=True)
class Measurement:
    """One cell, or the list of cells that `measure` returns. It raises NotInTime where it does not come to an end."""

    contender: str
    case: str
    measure: Callable[[], Any]
    most_rounds: int = _EVER

    @property
    def name(self) -> str:
        return f"{self.contender}: {self.case}"

    def run(self) -> list[Cell]:
        try:
            result = self.measure()
        except NotInTime as error:
            result = {"failed": str(error)}
        if isinstance(result, list):
            return result
        if is_dataclass(result) and not isinstance(result, type):
            result = asdict(result)
        return [Cell(self.contender, self.case, result)]


def together(name: str, measurements: Sequence[Measurement]) -> Measurement:
    """All at the same time, once: for what is nearly all waiting, where others cannot disturb."""

    def measure() -> list[Cell]:
        with ThreadPoolExecutor(len(measurements)) as threads:
            return [cell for cells in threads.map(Measurement.run, measurements) for cell in cells]

    return Measurement("side by side", name, measure, 1)


def matching(measurements: Iterator[Measurement], match: str) -> list[Measurement]:
    """Those whose name has `match` in it."""
    return [one for one in measurements if match in one.name]
