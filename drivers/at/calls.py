"""Incoming calls: one event per call, however often it rings. Sans-IO; hanging up is the session's."""

from __future__ import annotations

import re

from drivers.api import IncomingCall
from drivers.at import fields
from drivers.at.parser import Line

NAMES = frozenset({"RING", "+CRING", "+CLIP"})
SAME_CALL_S = 12.0
"""It rings every 4 to 6 s; a longer pause means that it is another call."""

_NUMBER = re.compile(r"\+?[0-9*#]{1,20}")


class Calls:
    """Of one session; `now` is a monotonic time in seconds."""

    def __init__(self) -> None:
        self._rang_at: float | None = None
        self._is_told = False

    def take(self, line: Line, iccid: str, now: float, *, rejects: bool) -> IncomingCall | None:
        """Take RING, +CRING or +CLIP. The number follows the first ring; without one, the second ring is told."""
        is_new = self._rang_at is None or now - self._rang_at > SAME_CALL_S
        self._rang_at = now
        if is_new:
            self._is_told = False
        if self._is_told or (is_new and line.name != "+CLIP"):
            return None
        self._is_told = True
        return IncomingCall(iccid, caller(line) if line.name == "+CLIP" else None, is_rejected=rejects)


def caller(line: Line) -> str | None:
    """Return the number of +CLIP: "number",type[,…]; None where it is withheld."""
    parts = fields.parameters(line.text)
    if not parts or not _NUMBER.fullmatch(parts[0]):
        return None
    is_international = len(parts) > 1 and fields.number(parts[1]) == 145
    return "+" + parts[0] if is_international and not parts[0].startswith("+") else parts[0]
