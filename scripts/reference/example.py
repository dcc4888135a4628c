"""What config.example.toml says of each key: its comments are the one place for these words. Pure, but for reading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "config.example.toml"
_HEADER = re.compile(r"^#?(\[\[?)([a-z_]+)\]\]?$")
_KEY = re.compile(r"^#?([a-z0-9_]+) = (.+)$")
# A line between two groups of keys that says whose the next ones are.
_DIVIDER = re.compile(r"^# Keys of driver .*:$")
_KIND = {"route": "driver", "upstream": "type"}


@dataclass(frozen=True, slots=True)
class Group:
    """Keys that stand under one comment, with an example of each as TOML."""

    words: str
    examples: dict[str, str]


@dataclass(frozen=True, slots=True)
class Block:
    """One table of the file. `kind` is the driver of a route or the type of an upstream; `words` stand above it."""

    section: str
    kind: str | None
    words: str
    groups: tuple[Group, ...]


def blocks(text: str | None = None) -> list[Block]:
    """The tables of the file in its order."""
    lines = (EXAMPLE.read_text() if text is None else text).splitlines()
    headers = [(number, match) for number, line in enumerate(lines) if (match := _HEADER.match(line))]
    ends = [*(number for number, _ in headers[1:]), len(lines)]
    return [
        _block(match[2], _above(lines, number), lines[number + 1 : end])
        for (number, match), end in zip(headers, ends, strict=True)
    ]


def _above(lines: list[str], number: int) -> str:
    begin = number
    while begin > 0 and lines[begin - 1].startswith("# "):
        begin -= 1
    return _joined(lines[begin:number])


def _block(section: str, words: str, lines: list[str]) -> Block:
    groups: list[Group] = []
    comment: list[str] = []
    examples: dict[str, str] = {}
    for line in lines:
        if match := _KEY.match(line):
            examples[match[1]] = match[2]
            continue
        if examples:
            groups.append(Group(_joined(comment), examples))
            comment, examples = [], {}
        if line.startswith("# ") and not _DIVIDER.match(line):
            comment.append(line)
        elif not line:
            comment = []
    if examples:
        groups.append(Group(_joined(comment), examples))
    chosen = next((group.examples[_KIND[section]] for group in groups if _KIND.get(section) in group.examples), None)
    return Block(section, None if chosen is None else chosen.strip('"'), words, tuple(groups))


def _joined(comment: list[str]) -> str:
    return " ".join(line.removeprefix("# ") for line in comment)
