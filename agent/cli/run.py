"""`phonebridge run`: the daemon in the foreground, with little else in its memory.

rich, click, pygments and greenlet are kept out of the process. structlog and httpx import them wherever they are
installed, and typer, uvicorn and others install them: 7 MB of a budget of 50.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent import has_environment, memory
from agent.cli import apart
from agent.cli.exits import Exit, Fault, internal, say

if TYPE_CHECKING:
    from agent.settings import Config

# sniffio is for trio. httpcore looks for it on the disk several times in each request: a quarter of what one costs.
_NEVER = ("rich", "pygments", "greenlet", "click", "sniffio")


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code."""
    parsed = _parser().parse_args(arguments)
    memory.hold()
    # Before the fork: a child that reads the configuration has no use for them either, and would take longest.
    block_imports()
    child = apart.start(parsed.config) if has_environment() else None
    slim_imports()
    memory.share_one_heap()
    try:
        return _run(child, parsed.config)
    except Fault as fault:
        say(str(fault))
        return fault.code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:
        return internal(error)


def block_imports() -> None:
    """From here on the terminal's libraries are as if they were not installed."""
    for name in _NEVER:
        # None makes `import name` an ImportError, which is expected. What is loaded already stays.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def slim_imports() -> None:
    """Import structlog without the terminal's libraries. Call before any of ours."""
    block_imports()
    import structlog  # noqa: F401, PLC0415 - now, while the names are blocked


def _run(child: Callable[[], Config] | None, path: Path) -> Exit:
    from agent import daemon, logs  # noqa: PLC0415 - they import structlog and httpx
    from agent.config import ConfigError, load_quickly  # noqa: PLC0415
    from agent.journal.schema import JournalError  # noqa: PLC0415

    config = child() if child is not None else load_quickly(path) or apart.start(path)()
    logs.set_up(config.agent.log_level, config.agent.log_format)
    try:
        asyncio.run(daemon.run(config, path))
    except ConfigError as error:
        raise Fault(str(error), Exit.USAGE) from error
    except JournalError as error:
        raise Fault(str(error)) from error
    return Exit.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="phonebridge run",
        description="Run the daemon in the foreground until SIGTERM or Ctrl-C.",
        epilog="Exit codes: 0 stopped, 1 failed, 2 usage or configuration.",
    )
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path("/etc/phonebridge/config.toml"),
        metavar="FILE",
        help="configuration (default: %(default)s)",
    )
    return parser
