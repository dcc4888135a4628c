"""The journal as a thing on a disk: old rows go while messages are sent, a busy journal is copied, and kill -9 in the
middle of a backup, a restore, a recovery or a deletion loses nothing."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from agent.clock import Clock
from agent.gateway import Gateway
from agent.journal import copying
from agent.journal.schema import connect_writer
from agent.journal.store import Journal
from agent.model import Job, RouteState
from agent.retention import Retention
from agent.settings import RetentionSettings
from drivers.simulator.process import SimulatorProcess
from tests import own_gateway
from tests.prove.measured import Figures
from tests.prove.stage import ROOT

_DAY_MS = 86_400_000
_OLD_DAYS, _KEPT_DAYS = 400, 300
_RADIO_S = 0.05
_LEAST_SHARE = 0.9
"""Of the line's rate, with old rows going meanwhile."""


def fill(path: Path, old: int, young: int) -> None:
    """A journal with delivered messages of 400 days and of yesterday, each with part, attempt and four events."""
    now_ms = time.time_ns() // 1_000_000
    with closing(connect_writer(path, now_ms)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for count, age_days in ((old, _OLD_DAYS), (young, 1)):
            first = connection.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()[0] + 1
            ids, at_ms = range(first, first + count), now_ms - age_days * _DAY_MS
            connection.executemany(
                "INSERT INTO message (id, uid, direction, upstream, remote_id, number, text, state, created_ms) "
                "VALUES (?1, 'u' || ?1, 'outbound', 'srv', 'r' || ?1, '+4915' || ?1, 'a text of usual size', "
                "'delivered', ?2)",
                ((one, at_ms) for one in ids),
            )
            connection.executemany(
                "INSERT INTO part VALUES (?, 1, 'delivered', 'gsm7', x'0102030405060708', x'', NULL, 1, 0, NULL)",
                ((one,) for one in ids),
            )
            connection.executemany(
                "INSERT INTO attempt (message_id, sequence, route, iccid, recipient, recipient_tail, at_ms, boot_id, "
                "boot_ms, outcome) VALUES (?1, 1, 'sim', '89', '+4915' || ?1, '1', ?2, 'old boot', 1, 'delivered')",
                ((one, at_ms) for one in ids),
            )
            connection.executemany(
                "INSERT INTO event (at_ms, kind, message_id, upstream) VALUES (?2, ?3, ?1, 'srv')",
                ((one, at_ms, kind) for one in ids for kind in ("accepted", "sending", "sent", "delivered")),
            )
            connection.executemany(
                "INSERT INTO remote_key VALUES ('srv', 'r' || ?1, ?1, 'delivered', NULL, ?2, 0)",
                ((one, at_ms) for one in ids),
            )
        connection.execute("COMMIT")


def counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        tables = ("message", "part", "attempt", "event", "remote_key")
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


# --- retention beside sending -------------------------------------------------------------------------


def prove_retention(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """The line's rate without and with old rows going, in a journal of a million rows."""
    del seed
    # A message is eight rows: itself, part, attempt, four events, and the server's id.
    rows, rounds, messages = (2_000, 1, 20) if short else (125_000, 6, 60)
    directory.mkdir(parents=True, exist_ok=True)
    fill(directory / "journal.db", rows, 10)
    figures.state("rows in the journal, of so many messages", f"{8 * rows}, {rows}")
    figures.state("MB before", f"{(directory / 'journal.db').stat().st_size / 1e6:.1f}")
    flags = ("--radio-time", str(_RADIO_S), "--report-delay", "0.05", "--boot-time", "0.2")
    with SimulatorProcess(directory / "sim", *flags) as simulator:
        asyncio.run(_beside_sending(directory, figures, simulator, rounds, messages, short=short))


async def _beside_sending(
    directory: Path, figures: Figures, simulator: SimulatorProcess, rounds: int, messages: int, *, short: bool
) -> None:
    routes = [{"name": "sim", "port": str(simulator.ports[0])}]
    async with own_gateway.running(directory, routes) as gateway:
        while gateway.routes["sim"].view().state is not RouteState.READY:
            await asyncio.sleep(0.02)
        kept = Retention(
            gateway.journal, Clock("trusted"), RetentionSettings(sent_days=_KEPT_DAYS), undelivered_days=30,
            is_busy=lambda: gateway.routes["sim"].view().is_sending,
        )  # fmt: skip
        # By turns, so that whatever else the machine does falls on both.
        sent, deleted, took_s = 0, 0, {"without": 0.0, "with": 0.0}
        for _ in range(rounds):
            took_s["without"] += await _time(gateway, messages, sent)
            before = await gateway.journal.read(_messages)
            clearing = asyncio.create_task(kept.clear())
            took_s["with"] += await _time(gateway, messages, sent + messages)
            deleted += before + messages - await gateway.journal.read(_messages)
            if not short:
                clearing.cancel()
            await asyncio.gather(clearing, return_exceptions=True)
            sent += 2 * messages
        share = took_s["without"] / took_s["with"]
        rates = {name: rounds * messages / seconds for name, seconds in took_s.items()}
        figures.state("parts/s without, with", f"{rates['without']:.2f}, {rates['with']:.2f}")
        figures.state("old messages deleted meanwhile", deleted)
        if short:
            figures.state("ratio", f"{share:.3f}")
            left = await gateway.journal.read(_messages)
            figures.expect("old messages left", left - 10 - sent, left == 10 + sent)
        else:
            figures.expect("ratio", f"{share:.3f}", share >= _LEAST_SHARE)
            clearing = asyncio.create_task(kept.clear())
            started, first = time.monotonic(), await gateway.journal.read(_messages)
            await asyncio.sleep(10)
            idle = (first - await gateway.journal.read(_messages)) / (time.monotonic() - started)
            figures.state("messages deleted per second while nothing is sent", f"{idle:.0f}")
            clearing.cancel()
            await asyncio.gather(clearing, return_exceptions=True)
        aired = len(simulator.events("air"))
        figures.expect("all new ones sent, once", aired, aired == sent)


async def _time(gateway: Gateway, count: int, first: int) -> float:
    accepted = await gateway.accept("cli", [Job(f"+4917{first + n:08}", f"text {n}") for n in range(count)])
    started = time.monotonic()
    last = accepted[-1].message_id or 0
    while (message := await gateway.message(last)) is None or message.sent_ms is None:
        await asyncio.sleep(0.02)
    return time.monotonic() - started


def _messages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT sum(n) FROM counter").fetchone()[0])


# --- backup of a busy journal -------------------------------------------------------------------------


def prove_backup(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """A copy of a journal that is written all the time."""
    del seed
    directory.mkdir(parents=True, exist_ok=True)
    fill(directory / "journal.db", 2_000 if short else 200_000, 0)
    asyncio.run(_copy_busy(directory, figures))


async def _copy_busy(directory: Path, figures: Figures) -> None:
    journal = Journal(directory / "journal.db")
    await journal.start(1)
    written = 0
    for written in range(100):
        await _put(journal, written)
    target = copying.fresh_path(journal.path)
    started = time.monotonic()
    copied = asyncio.create_task(asyncio.to_thread(copying.copy, journal.path, target, lambda *_: None, lambda: True))
    while not copied.done():
        written += 1
        await _put(journal, written)
    await copied
    took_s = time.monotonic() - started
    await journal.close()
    with closing(sqlite3.connect(target)) as connection:
        found = [row[0] for row in connection.execute("SELECT key FROM meta WHERE key LIKE 'w%' ORDER BY key")]
        check = connection.execute("PRAGMA integrity_check").fetchone()[0]
    figures.state("MB, s, commits meanwhile", f"{target.stat().st_size / 1e6:.1f}, {took_s:.2f}, {written - 99}")
    figures.expect("integrity_check", check, check == "ok")
    figures.expect("rows committed before that are in it", f"{len(found[:100])} of 100", found[:100] == _keys(100))
    figures.expect("rows are those up to one moment", len(found), found == _keys(len(found)))


async def _put(journal: Journal, number: int) -> None:
    await journal.write(lambda con: con.execute("INSERT INTO meta VALUES (?, '1')", (f"w{number:07}",)))


def _keys(count: int) -> list[str]:
    return [f"w{number:07}" for number in range(count)]


# --- kill -9 ------------------------------------------------------------------------------------------


def prove_kills(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Each piece of work killed at random moments; after each the journal is whole and nothing is lost."""
    chosen = random.Random(seed)
    times, old = (2, 300) if short else (12, 5_000)
    for work in ("backup", "restore", "recover", "retention"):
        template = directory / f"{work}-template"
        template.mkdir(parents=True)
        fill(template / "journal.db", old, old)
        shutil.copyfile(template / "journal.db", template / "backup.db")
        content = bytearray((template / "journal.db").read_bytes())
        content[:100] = b"x" * 100
        (template / "journal.damaged-1.db").write_bytes(content)
        took_s = _run(work, template, directory / f"{work}-whole", None)
        killed, problems = 0, []
        for number in range(times):
            place = directory / f"{work}-{number}"
            killed += _run(work, template, place, chosen.uniform(0, took_s)) is not None
            problems += _problems(work, place, template)
            shutil.rmtree(place)
        figures.state(f"{work}: killed, of {times} runs", killed)
        figures.expect(f"{work}: lost or damaged", problems or 0, not problems)
        shutil.rmtree(directory / f"{work}-whole")


def _run(work: str, template: Path, place: Path, kill_after_s: float | None) -> float | None:
    """How long it took; None where it ended before it could be killed."""
    shutil.copytree(template, place)
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tests.prove.data_worker", work, str(place)], cwd=ROOT)
    try:
        process.wait(kill_after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return time.monotonic() - started
    if process.returncode:
        raise TimeoutError(f"{work} ended with {process.returncode}")
    return time.monotonic() - started if kill_after_s is None else None


def _problems(work: str, place: Path, template: Path) -> list[str]:
    """What is wrong with the journals that are left."""
    found = []
    whole, half = counts(template / "journal.db"), counts(template / "journal.db")
    half = {table: count // 2 if table != "remote_key" else count for table, count in half.items()}
    for path in (place / "journal.db", *place.glob("journal.replaced-*.db"), place / "backup.db"):
        with closing(sqlite3.connect(path)) as connection:
            if (check := connection.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                found.append(f"{path.name}: {check}")
        have = counts(path)
        is_between = all(half[table] <= have[table] <= whole[table] for table in whole)
        if have != whole and not (work == "retention" and path.name == "journal.db" and is_between):
            found.append(f"{path.name}: {have}")
    if (place / "journal.damaged-1.db").read_bytes() != (template / "journal.damaged-1.db").read_bytes():
        found.append("the damaged journal was changed")
    return found
