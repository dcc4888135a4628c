"""Work on a journal in a process of its own, to be killed: `python -m tests.prove.data_worker WORK DIR`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from agent.clock import Clock
from agent.journal import copying, restoring, salvage
from agent.journal.store import Journal
from agent.retention import Retention
from agent.settings import RetentionSettings


def _backup(directory: Path) -> None:
    asyncio.run(_beside_a_writer(directory / "journal.db"))


async def _beside_a_writer(path: Path) -> None:
    journal = Journal(path)
    await journal.start(1)
    target = copying.fresh_path(path)
    copied = asyncio.create_task(asyncio.to_thread(copying.copy, path, target, lambda *_: None, lambda: True))
    number = 0
    while not copied.done():
        await journal.write(lambda con, n=number: con.execute("INSERT OR REPLACE INTO meta VALUES ('busy', ?)", (n,)))
        number += 1
    await copied
    await journal.close()


def _restore(directory: Path) -> None:
    restoring.restore(directory / "backup.db", directory / "journal.db", Clock().utc_ms())


def _recover(directory: Path) -> None:
    salvage.recover(directory / "journal.damaged-1.db", directory / "journal.db", Clock().utc_ms(), lambda _: None)


def _retention(directory: Path) -> None:
    asyncio.run(_clear(directory / "journal.db"))


async def _clear(path: Path) -> None:
    journal = Journal(path)
    await journal.start(1)
    settings = RetentionSettings(sent_days=300)
    await Retention(journal, Clock("trusted"), settings, undelivered_days=30, is_busy=lambda: False).clear()
    await journal.close()


WORK: dict[str, Callable[[Path], None]] = {
    "backup": _backup, "restore": _restore, "recover": _recover, "retention": _retention,
}  # fmt: skip

if __name__ == "__main__":
    WORK[sys.argv[1]](Path(sys.argv[2]))
