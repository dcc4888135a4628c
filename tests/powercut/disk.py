"""What a disk may hold after the power went: pure, told by operations.

A file's content is certain up to its last sync. What was written since may be there or not, in any selection, and each
write in any selection of its sectors. Of what became of names since their directory's last sync, the first so many
steps are on the disk. Real file systems are kinder.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class Rename:
    path: str
    target: str


Operation = Create | Write | Truncate | Sync | Remove | Rename


@dataclass(slots=True)
class _File:
    certain: bytearray = field(default_factory=bytearray)
    open: list[Write | Truncate] = field(default_factory=list)


class Disk:
    """Fed with operations in their order; `image` at any moment between two of them."""

    def __init__(self) -> None:
        self._names: dict[str, _File] = {}
        self._certain_names: dict[str, _File] = {}
        self._open_steps: list[tuple[Create | Remove | Rename, _File]] = []

    def apply(self, operation: Operation) -> None:
        match operation:
            case Create(path) if path not in self._names:
                self._step(operation, _File())
            case Remove(path) | Rename(path) if path in self._names:
                self._step(operation, self._names[path])
            case Write(path) | Truncate(path) if path in self._names:
                self._names[path].open.append(operation)
            case Sync(path) if path in self._names:
                file = self._names[path]
                for done in file.open:
                    _carry_out(file.certain, done)
                file.open.clear()
            case Sync(path):
                # Of the directory: there is one.
                self._certain_names = dict(self._names)
                self._open_steps.clear()

    def image(self, dice: random.Random, *, keeps: float) -> Mapping[str, bytes]:
        """Name → content. `keeps` is the chance of each open change to be on the disk: 0 the worst, 1 all of it."""
        names = dict(self._certain_names)
        for step, file in self._open_steps:
            if dice.random() >= keeps:
                break
            _rename(names, step, file)
        return {name: _cut(file, dice, keeps) for name, file in names.items()}

    def _step(self, step: Create | Remove | Rename, file: _File) -> None:
        _rename(self._names, step, file)
        self._open_steps.append((step, file))


def _rename(names: dict[str, _File], step: Create | Remove | Rename, file: _File) -> None:
    if not isinstance(step, Create):
        names.pop(step.path, None)
    if not isinstance(step, Remove):
        names[step.target if isinstance(step, Rename) else step.path] = file


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
