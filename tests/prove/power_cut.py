"""The power goes at random instants, with what was not synced in part or wholly gone: the journal opens, and holds all
that the outside was told of.

The real daemon runs under strace; the disk is replayed from its system calls (`tests/powercut`).
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from agent import daemon
from agent.journal.schema import JournalError, connect_writer
from tests.powercut.disk import Disk
from tests.powercut.trace import COMMAND, Said, read
from tests.prove.measured import Figures
from tests.prove.stage import Stage, wait_until

_PUT = re.compile(rb"PUT /api/sms/(\d+) ")
_NEVER_WRITTEN = ("-shm",)
"""The index of the WAL is mapped memory, made anew at the first opening."""


@dataclass(slots=True)
class _Told:
    """What the outside has seen so far."""

    pdus: int = 0
    deletions: int = 0
    reported: set[str] = field(default_factory=set)

    def note(self, data: bytes) -> bool:
        """Whether it was something that must be in the journal."""
        if data.endswith(b"\x1a"):
            self.pdus += 1
        elif data.startswith(b"AT+CMGD="):
            self.deletions += 1
        elif found := _PUT.match(data):
            self.reported.add(found.group(1).decode())
        else:
            return False
        return True


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """One run, and many disks that it may have left."""
    out, inward, share = (8, 4, 0.02) if short else (150, 60, 0.2)
    trace, state = directory / "strace", _run(directory, out, inward)
    dice = random.Random(seed)
    disk, told = Disk(), _Told()
    images = opened = 0
    problems: list[str] = []
    synced = 0
    for happened in read(trace, state / daemon.JOURNAL_FILE):
        is_told = False
        if isinstance(happened, Said):
            is_told = told.note(happened.data)
        else:
            disk.apply(happened)
            synced += type(happened).__name__ == "Sync"
        # What was just told to the outside is the hardest to have lost.
        if not is_told and dice.random() > share:
            continue
        for keeps in (0.0, dice.random(), 1.0) if is_told else (dice.random(),):
            images += 1
            problem = _problem(directory / "cut", disk.image(dice, keeps=keeps), state, told)
            opened += problem is None
            if problem is not None:
                problems.append(f"image {images}: {problem}")
    figures.state(
        "PDUs, deletions and reports told to the outside", f"{told.pdus}, {told.deletions}, {len(told.reported)}"
    )
    figures.expect("the run had something to lose", synced, told.pdus >= out and told.deletions >= inward)
    figures.expect(
        "disks after a power cut that open and hold all that was told",
        f"{opened} of {images}{''.join(f'; {problem}' for problem in problems[:5])}",
        opened == images and images > 0,
    )


def _run(directory: Path, out: int, inward: int) -> Path:
    with Stage(directory, "--radio-time", "0.02", "--report-delay", "0.1") as stage:
        stage.server.add_device()
        stage.server.set_account(webhook_url_incoming=stage.server.hook_url)
        stage.configure()
        stage.daemon.start(prefix=(*COMMAND, str(directory / "strace")))
        wait_until("the daemon polls", lambda: len(stage.server.log("request")) > 2, 60)
        stage.server.enqueue(out)
        for number in range(inward):
            stage.modem.control.deliver(f"+49170{number:07d}", f"in {number}")
        stage.wait_for_states(("delivered",), out, 300)
        wait_until("all inbound at the server", lambda: len(stage.server.hooks()) >= inward, 120)
        wait_until("all deleted from the SIM", lambda: len(stage.events("delete")) >= inward, 60)
        stage.daemon.stop()
        return stage.daemon.state


def _problem(place: Path, image: dict[str, bytes], state: Path, told: _Told) -> str | None:
    """What is wrong with the journal on such a disk; None where nothing is."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name, content in image.items():
        if not name.endswith(_NEVER_WRITTEN):
            (place / Path(name).relative_to(state)).write_bytes(content)
    try:
        connection = connect_writer(place / daemon.JOURNAL_FILE, 1)
    except JournalError as error:
        return str(error)
    try:
        return _missing(connection, told)
    except sqlite3.Error as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def _missing(connection: sqlite3.Connection, told: _Told) -> str | None:
    check = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if check != "ok":
        return f"integrity_check: {check}"
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        return "a foreign key points nowhere"
    attempts = _count(connection, "SELECT count(*) FROM attempt")
    if attempts < told.pdus:
        return f"{told.pdus} PDUs were sent, {attempts} attempts are known"
    taken = _count(connection, "SELECT (SELECT count(*) FROM inbound_part) + (SELECT count(*) FROM status_report)")
    if taken < told.deletions:
        return f"{told.deletions} messages were deleted from the SIM, {taken} are known"
    query = "SELECT remote_id FROM remote_key JOIN attempt USING (message_id) WHERE outcome IN ('sent', 'delivered')"
    settled = {row[0] for row in connection.execute(query)}
    if unknown := told.reported - settled:
        return f"{len(unknown)} states were reported and are not known, e.g. of {min(unknown)}"
    return None


def _count(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
