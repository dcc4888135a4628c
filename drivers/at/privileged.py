"""Asks for the steps that the service itself may not take: `phonebridge-reset` runs as root and takes requests from a
directory. A request names a route and a rung; which device that is, and by which command its power is cycled, root
reads in its own configuration (agent/cli/reset.py).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from drivers.at.recovery import Rung

TAKEN_S = 10.0
"""A small box starts a program in some seconds; where nobody takes requests, the step is tried without root."""
_LOOK_S = 0.2


async def ask(rung: Rung, route: str, requests: Path) -> bool:
    """Put a request there, and return whether it was taken. Never raises for a missing or foreign directory."""
    request = requests / route
    if not _put(request, rung.value):
        return False
    until = asyncio.get_running_loop().time() + TAKEN_S
    while asyncio.get_running_loop().time() < until:
        if not request.exists():
            return True
        await asyncio.sleep(_LOOK_S)
    return not _withdrawn(request)


def _put(request: Path, word: str) -> bool:
    partial = request.parent.parent / f".reset-{request.name}"
    try:
        if not request.parent.is_dir():
            return False
        # Renamed into place: root never reads half a word.
        partial.write_text(word, encoding="ascii")
        partial.rename(request)
    except OSError:
        return False
    return True


def _withdrawn(request: Path) -> bool:
    try:
        request.unlink()
    except OSError:
        return False  # taken at the last moment
    return True
