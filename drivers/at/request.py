"""One AT command and its answer, as values. Knows no I/O and no particular command."""

from __future__ import annotations

from drivers.at.parser import Expectation, Line
from drivers.values import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """One command without its CR, what its answer looks like, and its total deadline in seconds."""

    text: str
    prefixes: tuple[str, ...] = ()
    timeout_s: float = 5.0
    bare: bool = False
    payload: bool = False
    call: bool = False
    is_final_optional: bool = False
    """The first information line is the answer; some modems let no final result follow it."""

    @property
    def expectation(self) -> Expectation:
        return Expectation(self.text, self.prefixes, self.bare, self.payload, self.call)


@dataclass(frozen=True, slots=True)
class Answer:
    """The information lines of one command, and its final result."""

    lines: tuple[Line, ...]
    final: Line

    @property
    def is_ok(self) -> bool:
        return self.final.name == "OK" or self.final.name.startswith("CONNECT")

    @property
    def first(self) -> str:
        """The first information line, empty where there is none."""
        return self.lines[0].text if self.lines else ""
