"""From strace's output to what happened to a disk, and what was said to the outside meanwhile.

    strace -f -yy -xx -s 200000 -e trace=CALLS -o FILE PROGRAM

With `-xx` every string and every path stands as `\\x..` octets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.powercut.disk import Create, Operation, Remove, Rename, Sync, Truncate, Write

CALLS = "openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,rename,sendto,sendmsg"
COMMAND = ("strace", "-f", "-yy", "-xx", "-s", "200000", "-e", f"trace={CALLS}", "-o")

_CALL = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(\(| resumed>)(.*)$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OF_FD = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})+)")
# The directory of an openat is named, too.
_OPENED = re.compile(r"= \d+<((?:\\x[0-9a-f]{2})+)")


@dataclass(frozen=True, slots=True)
class Said:
    """Octets that left the program, for a tty or a socket."""

    data: bytes


def read(trace: Path, database: Path) -> Iterator[Operation | Said]:
    """What happened to an SQLite database's files and to their directory, in order.

    A sync counts once it has returned, a write as soon as it began.
    """
    syncing: dict[str, str] = {}
    opening: dict[str, str] = {}
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            found = _CALL.match(line)
            if found is None:
                continue
            pid = line.split(maxsplit=1)[0]
            name, begins, rest = found.group(1), found.group(2) == "(", found.group(3)
            is_unfinished = rest.rstrip().endswith("<unfinished ...>")
            if name in ("fsync", "fdatasync"):
                if begins:
                    syncing[pid] = _path_of(rest)
                if not is_unfinished and _is_of(path := syncing.pop(pid, ""), database):
                    yield Sync(path)
            elif name == "openat":
                # Only its end tells whether the file is there, and only its beginning how it was opened.
                if is_unfinished:
                    opening[pid] = rest
                else:
                    yield from _opened(("" if begins else opening.pop(pid, "")) + rest, database)
            elif begins:
                yield from _begun(name, rest, database)


def _begun(name: str, rest: str, database: Path) -> Iterator[Operation | Said]:
    strings = [bytes.fromhex(text.replace("\\x", "")) for text in _STRING.findall(rest)]
    if name in ("sendto", "sendmsg"):
        if strings:
            yield Said(b"".join(strings))
        return
    if name in ("unlink", "rename"):
        path = strings[0].decode()
        if _is_of(path, database):
            yield Remove(path) if name == "unlink" else Rename(path, strings[1].decode())
        return
    path = _path_of(rest)
    if not _is_of(path, database):
        if name == "write" and strings:
            yield Said(strings[0])
        return
    numbers = [int(number) for number in re.findall(r", (\d+)", _STRING.sub("", rest))]
    if name == "ftruncate":
        yield Truncate(path, numbers[0])
    elif name == "pwrite64":
        yield Write(path, numbers[1], strings[0])


def _opened(rest: str, database: Path) -> Iterator[Operation]:
    found = _OPENED.search(rest)
    if found is None:
        return
    path = bytes.fromhex(found.group(1).replace("\\x", "")).decode()
    if _is_of(path, database) and "O_CREAT" in rest:
        yield Create(path)
        if "O_TRUNC" in rest:
            yield Truncate(path, 0)


def _is_of(path: str, database: Path) -> bool:
    """The database, its WAL, what it is made from (all names that begin like it), or the directory of them all."""
    return path == str(database.parent) or path.startswith(str(database))


def _path_of(rest: str) -> str:
    found = _OF_FD.match(rest)
    return "" if found is None else bytes.fromhex(found.group(1).replace("\\x", "")).decode(errors="replace")
