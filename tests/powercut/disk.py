"""What a disk may hold after the power went: pure, told by operations.

A file's content is certain up to its last sync. What was written since may be there or not, in any selection, and each
write in any selection of its sectors. A name that was made or removed since its directory's last sync may be there or
not. This is what POSIX leaves open; real file systems are kinder.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

SECTOR_OCTETS = 512


@dataclass(frozen=True, slots=True)
class Create:
    path: str


@dataclass(frozen=True, slots=True)
class Write:
    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    path: str
    octets: int


@dataclass(frozen=True, slots=True)
class Sync:
    """Of a file or a directory."""

    path: str


@dataclass(frozen=True, slots=True)
class Remove:
    path: str


Operation = Create | Write | Truncate | Sync | Remove


@dataclass(slots=True)
class _File:
    certain: bytearray = field(default_factory=bytearray)
    open: list[Write | Truncate] = field(default_factory=list)


class Disk:
    """Fed with operations in their order; `image` at any moment between two of them."""

    def __init__(self) -> None:
        self._names: dict[str, _File] = {}
        self._certain_names: dict[str, _File] = {}

    def apply(self, operation: Operation) -> None:
        match operation:
            case Create(path):
                self._names.setdefault(path, _File())
            case Remove(path):
                self._names.pop(path, None)
            case Write(path) | Truncate(path):
                self._names.setdefault(path, _File()).open.append(operation)
            case Sync(path) if path in self._names:
                file = self._names[path]
                for done in file.open:
                    _carry_out(file.certain, done)
                file.open.clear()
            case Sync(path):
                self._certain_names = {
                    **{name: file for name, file in self._certain_names.items() if not _is_in(name, path)},
                    **{name: file for name, file in self._names.items() if _is_in(name, path)},
                }

    def image(self, dice: random.Random, *, keeps: float) -> Mapping[str, bytes]:
        """Name → content. `keeps` is the chance of each open change to be on the disk: 0 the worst, 1 all of it."""
        names: dict[str, _File] = {}
        for name in {**self._certain_names, **self._names}:
            before, after = self._certain_names.get(name), self._names.get(name)
            found = before if before is after or dice.random() >= keeps else after
            if found is not None:
                names[name] = found
        return {name: _cut(file, dice, keeps) for name, file in names.items()}


def _is_in(name: str, directory: str) -> bool:
    return str(PurePosixPath(name).parent) == directory


def _cut(file: _File, dice: random.Random, keeps: float) -> bytes:
    content = bytearray(file.certain)
    for change in file.open:
        if dice.random() >= keeps:
            continue
        if isinstance(change, Truncate) or dice.random() < 0.5:
            _carry_out(content, change)
            continue
        for start in range(0, len(change.data), SECTOR_OCTETS):
            if dice.random() < 0.5:
                piece = change.data[start : start + SECTOR_OCTETS]
                _carry_out(content, Write(change.path, change.offset + start, piece))
    return bytes(content)


def _carry_out(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.octets :]
        content.extend(bytes(change.octets - len(content)))
        return
    content.extend(bytes(max(0, change.offset - len(content))))
    content[change.offset : change.offset + len(change.data)] = change.data
