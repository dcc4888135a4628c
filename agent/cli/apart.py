"""Reads a configuration that takes pydantic in a process that ends, so that the daemon never holds it (a fifth of its
memory).

That is one that is wrong, or unusual, or partly in the environment. For the last the child is forked before anything
else is imported; while it checks, the parent imports the rest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.exits import Exit, Fault

if TYPE_CHECKING:
    from agent.settings import Config


def start(path: Path) -> Callable[[], Config]:
    """Begin to read `path`; the returned function waits for the result.

    It raises: Fault with the sentence for a configuration that cannot be used. Call while there is one thread.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(path, writer)
    os.close(writer)

    def result() -> Config:
        import pickle  # noqa: PLC0415 - an ordinary start needs none

        with os.fdopen(reader, "rb") as pipe:
            octets = pipe.read()
        os.waitpid(child, 0)
        if not octets:
            raise Fault(f"{path} could not be read: the process that checks it ended; see the lines above")
        # From our own child over a pipe that nobody else has.
        kind, value = pickle.loads(octets)
        if kind == "fault":
            raise Fault(value, Exit.USAGE)
        found: Config = value
        return found

    return result


def _child(path: Path, writer: int) -> None:
    """Never returns."""
    import pickle  # noqa: PLC0415

    from agent import config  # noqa: PLC0415 - only here is pydantic loaded

    answer: tuple[str, Any]
    code = 1
    try:
        try:
            answer = ("config", config.load(path))
        except config.ConfigError as error:
            answer = ("fault", str(error))
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(answer, pipe)
        code = 0
    except BaseException:
        # os._exit below would swallow it: a traceback here is a fault of ours.
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        # Not sys.exit: the parent's clean-up is not this process's to run.
        os._exit(code)
