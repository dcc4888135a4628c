"""Several whole gateways in one process, each with its own configuration, journal, modem and connection to the broker.

`python -m tests.prove.pool_worker CONFIG…`; ended by SIGKILL alone, since a process has one handler for SIGTERM.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent import config, daemon, logs


async def _run(paths: list[Path]) -> None:
    await asyncio.gather(*(daemon.run(config.load(path), path) for path in paths))


def main() -> None:
    """Run until killed."""
    logs.set_up("warning", "text")
    asyncio.run(_run([Path(argument) for argument in sys.argv[1:]]))


if __name__ == "__main__":
    main()
