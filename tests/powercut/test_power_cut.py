"""A disk after a power cut: what may be there, and what must be."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.powercut.disk import Create, Disk, Operation, Remove, Sync, Truncate, Write
from tests.powercut.trace import COMMAND, Said, read

_FILE, _DIRECTORY = "/d/f", "/d"


def _after(*operations: Operation, keeps: float, seed: int = 1) -> dict[str, bytes]:
    disk = Disk()
    for operation in operations:
        disk.apply(operation)
    return dict(disk.image(random.Random(seed), keeps=keeps))


_MADE = (Create(_FILE), Sync(_DIRECTORY))


@pytest.mark.parametrize(
    ("operations", "worst", "best"),
    [
        pytest.param((*_MADE, Write(_FILE, 0, b"ab")), b"", b"ab", id="unsynced is gone, or there"),
        pytest.param((*_MADE, Write(_FILE, 0, b"ab"), Sync(_FILE)), b"ab", b"ab", id="synced is there"),
        pytest.param((*_MADE, Write(_FILE, 2, b"ab"), Sync(_FILE)), b"\0\0ab", b"\0\0ab", id="a hole is zeros"),
        pytest.param(
            (*_MADE, Write(_FILE, 0, b"abc"), Sync(_FILE), Truncate(_FILE, 1)), b"abc", b"a", id="cut off, or not yet"
        ),
        pytest.param((Create(_FILE), Write(_FILE, 0, b"a"), Sync(_FILE)), None, b"a", id="a name needs its directory"),
        pytest.param((*_MADE, Write(_FILE, 0, b"a"), Sync(_FILE), Remove(_FILE)), b"a", None, id="removed, or not yet"),
    ],
)
def test_what_a_disk_may_hold(operations: tuple[Operation, ...], worst: bytes | None, best: bytes | None) -> None:
    assert _after(*operations, keeps=0.0).get(_FILE) == worst
    # 1.0 keeps every change, and these writes are smaller than a sector; a torn one may still lose its only sector.
    disks = [_after(*operations, keeps=1.0, seed=seed).get(_FILE) for seed in range(20)]
    assert best in disks
    assert set(disks) <= {best, worst, b""}


def test_a_write_may_be_torn_at_sectors_only() -> None:
    disk = Disk()
    for operation in (*_MADE, Write(_FILE, 0, b"x" * 2048)):
        disk.apply(operation)
    dice = random.Random(3)
    images = {disk.image(dice, keeps=0.9).get(_FILE, b"") for _ in range(60)}
    assert len(images) > 3
    for image in images:
        sectors = {image[start : start + 512] for start in range(0, len(image), 512)}
        assert sectors <= {b"x" * 512, b"\0" * 512}


_PROGRAM = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute(f"PRAGMA synchronous = {sys.argv[2]}")
db.execute("CREATE TABLE t (x)")
for number in range(20):
    db.execute("INSERT INTO t VALUES (?)", (number,))
    sys.stdout.write("committed\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize(("synchronous", "is_safe"), [("FULL", True), ("NORMAL", False)])
def test_sqlite_keeps_its_word_only_where_it_is_told_to_sync(tmp_path: Path, synchronous: str, is_safe: bool) -> None:
    """The same replay finds the loss where there is one: what the proof relies on."""
    database, trace = tmp_path / "j" / "t.db", tmp_path / "trace"
    database.parent.mkdir()
    subprocess.run(
        [*COMMAND, str(trace), sys.executable, "-c", _PROGRAM, str(database), synchronous],
        check=True,
        capture_output=True,
    )
    disk, told, lost = Disk(), 0, 0
    dice = random.Random(1)
    for happened in read(trace, database):
        if not isinstance(happened, Said):
            disk.apply(happened)
        elif happened.data == b"committed\n":
            told += 1
            lost += _rows(tmp_path / f"cut{told}", dict(disk.image(dice, keeps=0.0)), database) < told
    assert told == 20
    assert (lost == 0) == is_safe


def _rows(place: Path, image: dict[str, bytes], database: Path) -> int:
    place.mkdir()
    for name, content in image.items():
        if not name.endswith("-shm"):
            (place / Path(name).name).write_bytes(content)
    connection = sqlite3.connect(place / database.name)
    try:
        return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def test_a_file_is_made_also_where_another_thread_comes_between_its_call_and_the_answer(tmp_path: Path) -> None:
    def shown(text: str) -> str:
        return "".join(f"\\x{octet:02x}" for octet in text.encode())

    path = "/d/journal.db-wal"
    trace = tmp_path / "strace"
    trace.write_text(
        f'7 openat(AT_FDCWD<{shown("/")}>, "{shown(path)}", O_RDWR|O_CREAT|O_CLOEXEC, 0644 <unfinished ...>\n'
        f'8 openat(AT_FDCWD<{shown("/")}>, "{shown("/m.py")}", O_RDONLY) = 3<{shown("/m.py")}>\n'
        f"7 <... openat resumed>) = 9<{shown(path)}>\n"
    )
    assert list(read(trace, Path("/d/journal.db"))) == [Create(path)]
