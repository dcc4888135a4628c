"""Where the control socket is and how its lines look; shared by the daemon and the CLI, so it imports neither.

One JSON object per line. A request is {"op": …, …}; its answer is any number of {"step": {…}} and then one
{"ok": true, "result": {…}} or {"ok": false, "kind": …, "error": sentence}.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

RUNTIME_DIR = Path("/run/phonebridge")
SOCKET_NAME = "control.sock"
GROUP = "phonebridge"
KEY_FILE = "local-api-key"
"""In the state_dir: the key that the local server makes for itself where none is configured."""
LONGEST_LINE_OCTETS = 1 << 20
"""A page of 200 long messages is a tenth of this."""


class Refusal(StrEnum):
    """Why a request was not carried out, by what the caller should do."""

    USAGE = "usage"
    """The request itself is wrong: mend it."""
    FAILED = "failed"
    """It was understood and could not be done."""
    ELSEWHERE = "elsewhere"
    """This daemon is not the one that was meant: look for another."""


def sockets(state_dir: Path | None, *, is_state_dir_first: bool = False) -> list[Path]:
    """Where a daemon with this state_dir may listen, likeliest first."""
    shared = [RUNTIME_DIR / SOCKET_NAME]
    own = [] if state_dir is None else [state_dir / SOCKET_NAME]
    return own + shared if is_state_dir_first else shared + own
