"""Splits a command line into commands by the rules of V.25ter §5.2. Pure."""

import re
from dataclasses import dataclass
from enum import Enum

_BASIC = re.compile(r"(&[A-Z]|S\d+(?==)|[A-Z])(=?\d*)", re.IGNORECASE)
_EXTENDED = re.compile(r"[+^#$*%!][A-Z0-9_]+", re.IGNORECASE)


class Operation(Enum):
    """The four forms of an extended command."""

    EXECUTE = ""
    READ = "?"
    TEST = "=?"
    SET = "="


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `name` in capitals with its sign (`+CMGS`), or a basic command's letter (`E`, `&F`)."""

    name: str
    operation: Operation
    arguments: str

    @property
    def fields(self) -> tuple[str, ...]:
        """Arguments split at commas outside quotes, quotes taken off; no arguments give no fields."""
        return tuple(part.strip().strip('"') for part in _split(self.arguments, ",")) if self.arguments else ()

    @property
    def numbers(self) -> tuple[int | None, ...] | None:
        """Fields as numbers, None for an omitted one; None altogether where one is no number."""
        fields = self.fields
        if any(field and not field.isdecimal() for field in fields):
            return None
        return tuple(int(field) if field else None for field in fields)


def parse(line: str) -> tuple[Command, ...] | None:
    """The commands behind `AT`, in order; empty for a bare `AT`. None where the line holds none."""
    start = line.upper().find("AT")
    if start < 0:
        return None
    rest = line[start + 2 :].strip()
    commands: list[Command] = []
    while rest:
        if rest[0] in "; ":
            rest = rest[1:]
            continue
        if extended := _EXTENDED.match(rest):
            body = _split(rest, ";")[0]
            commands.append(_extended(extended.group().upper(), body[extended.end() :].strip()))
            rest = rest[len(body) :]
        elif basic := _BASIC.match(rest):
            commands.append(Command(basic.group(1).upper(), Operation.EXECUTE, basic.group(2)))
            rest = rest[basic.end() :]
        else:
            return None
    return tuple(commands)


def _extended(name: str, tail: str) -> Command:
    if tail == "?":
        return Command(name, Operation.READ, "")
    if tail == "=?":
        return Command(name, Operation.TEST, "")
    if tail.startswith("="):
        return Command(name, Operation.SET, tail[1:].strip())
    return Command(name, Operation.EXECUTE, tail)


def _split(text: str, separator: str) -> list[str]:
    """Splits at separators outside double quotes."""
    parts: list[str] = []
    begin = 0
    is_quoted = False
    for position, character in enumerate(text):
        if character == '"':
            is_quoted = not is_quoted
        elif character == separator and not is_quoted:
            parts.append(text[begin:position])
            begin = position + 1
    parts.append(text[begin:])
    return parts
