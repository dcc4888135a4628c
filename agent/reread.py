"""Reads the configuration again while the daemon runs: in a program of its own, so that the daemon never holds
pydantic, and started afresh, since a process with threads must not go on in a fork of itself.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from pathlib import Path
from typing import Any

from agent import config
from agent.config import ConfigError
from agent.settings import Config

_LONGEST_S = 60.0
"""A Pi Zero needs some seconds for it, and more while it does other things."""


async def read(path: Path) -> Config:
    """The configuration at `path`, checked, with the environment on top. Raises: ConfigError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(path),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    try:
        async with asyncio.timeout(_LONGEST_S):
            octets, _ = await process.communicate()
    except TimeoutError as error:
        raise ConfigError(f"{path} could not be read within {_LONGEST_S:.0f} s; the box is too busy") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not octets:
        raise ConfigError(f"{path} could not be read: the program that checks it ended; see the log above")
    # From our own child over a pipe that nobody else has.
    kind, value = pickle.loads(octets)
    if kind == "fault":
        raise ConfigError(value)
    found: Config = value
    return found


def main(path: Path) -> None:
    """Read, and put the result on standard output for the daemon."""
    answer: tuple[str, Any]
    try:
        answer = ("config", config.load(path))
    except ConfigError as error:
        answer = ("fault", str(error))
    pickle.dump(answer, sys.stdout.buffer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
