"""Exit codes, and the one way in which a command ends with a sentence. Imports nothing, so that `run` can use it."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum

_WANTS_TRACE = "PHONEBRIDGE_TRACEBACK"


class Exit(IntEnum):
    """Exit codes of every command (docs/cli.md)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_YET = 4
    INTERRUPTED = 130


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
