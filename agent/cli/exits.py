"""Exit codes, and the one way in which a command ends with a sentence. Imports nothing, so that `run` can use it."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum

_WANTS_TRACE = "PHONEBRIDGE_TRACEBACK"


class Exit(IntEnum):
    """Exit codes of every command; see MEANINGS."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_YET = 4
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "Done. `send --wait`: delivered, or sent where no report will come.",
    Exit.FAILED: "Failed: refused, not found, not deliverable, no modem found. The sentence says why.",
    Exit.USAGE: "Wrong use, or a wrong configuration.",
    Exit.UNREACHABLE: "No daemon answers.",
    Exit.NOT_YET: "`send --wait`: not delivered in the time given; the message goes on.",
    Exit.INTERRUPTED: "Ctrl-C.",
}
"""For people: docs/cli-reference.md is made from this, and docs/cli.md is checked against it."""


class Fault(Exception):
    """Ends the command. `str()` is one sentence with the next step."""

    def __init__(self, sentence: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(sentence)
        self.code = code


def say(sentence: str) -> None:
    """One sentence on standard error."""
    sys.stderr.write(f"phonebridge: {sentence}\n")


def internal(error: Exception) -> Exit:
    """An error of ours, told without a traceback unless one is asked for."""
    if os.environ.get(_WANTS_TRACE):
        traceback.print_exception(error)
    say(
        f"this is a fault of phonebridge itself ({type(error).__name__}: {error}); "
        f"run it again with {_WANTS_TRACE}=1 and report what it prints"
    )
    return Exit.FAILED
