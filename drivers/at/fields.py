"""Parameters of an answer line: split, unquote, count. Pure, tolerant, never raises."""

from __future__ import annotations

import re

_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")
_WIDEST_RANGE = 1024


def value(text: str) -> str:
    """Return what follows the first colon of an answer line, stripped; the whole line where there is none."""
    head, colon, rest = text.partition(":")
    return rest.strip() if colon and '"' not in head else text.strip()


def split(text: str) -> list[str]:
    """Split at commas outside quotes and parentheses; quotes are kept, since `"1"` and `1` may mean two things."""
    if '"' not in text and "(" not in text:
        return [field.strip() for field in text.split(",")] if text else []
    found: list[str] = []
    start = depth = 0
    quoted = False
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            depth = max(0, depth - 1)
        elif character == "," and depth == 0:
            found.append(text[start:position].strip())
            start = position + 1
    found.append(text[start:].strip())
    return found


def parameters(text: str) -> list[str]:
    """Return the unquoted parameters of an answer line."""
    return [unquote(field) for field in split(value(text))]


def unquote(field: str) -> str:
    """Remove quotes, also where one of the two is missing."""
    return field.strip().strip('"').strip()


def number(field: str) -> int | None:
    """Return a decimal parameter, or None where it is something else."""
    bare = unquote(field)
    return int(bare) if bare.isascii() and bare.isdigit() and len(bare) < 12 else None


def numbers(group: str) -> frozenset[int]:
    """Return the values that one group of a test answer allows: `(0-2,5)` or `1`."""
    found: set[int] = set()
    for item in group.strip().strip("()").split(","):
        between = _RANGE.fullmatch(item.strip())
        if between is None:
            single = number(item)
            if single is not None:
                found.add(single)
            continue
        low, high = int(between[1]), int(between[2])
        found.update(range(low, min(high, low + _WIDEST_RANGE) + 1))
    return frozenset(found)


def groups(text: str) -> list[str]:
    """Return the groups of a test answer, e.g. `("ME","SM"),("ME")` gives two, with their parentheses."""
    return [field for field in split(value(text)) if field]
