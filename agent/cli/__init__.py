"""The command `phonebridge`. `run` takes a path of its own, which imports nothing of the terminal's libraries."""

from __future__ import annotations

import sys

PROGRAM = "phonebridge"


def main() -> None:
    """Entry point. Exits with one of `exits.Exit`, 0 to 4 or 130."""
    if sys.argv[1:2] == ["run"]:
        from agent.cli.run import main as run  # noqa: PLC0415 - see the module's first line

        sys.exit(run(sys.argv[2:]))
    from agent.cli.app import main as command  # noqa: PLC0415

    sys.exit(command(sys.argv[1:]))
