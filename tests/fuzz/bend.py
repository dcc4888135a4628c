"""Inputs bent a little: octets of any kind, and values inside JSON, so that what comes out still is JSON. Pure."""

from __future__ import annotations

import json
import random
from typing import Any

MOST_OCTETS = 4000
_TOKENS = (b"[", b"]", b"{", b"}", b'"', b"=", b",", b":", b"\n", b"-1", b"1e999", b"9" * 400, b"null", b"\\ud800",
           b"\x00", b"\xff", b"true", b"0001-01-01T00:00:00+23:59", b"inf", b"nan", b"%00", b"%ff", b"&", b"/", b"+",
           b"[[route]]\n", b"[" * 400)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 255, 65_535, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308,
    float("inf"), float("nan"), "", " ", "0", "1", "-1", "+491701234567", "a" * 300, "\x00", "\ud800", "\U0001f600",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-11-25T10:00:00+00:00", "2026-02-30", "00:00", "%",
    "{name}", "http://[", "http://127.0.0.1:1/", "AAAA", "=", [], {}, [None], [[]], ["+491701234567"], {"a": 1},
)  # fmt: skip
_BLANK = (b"\r\n\r\n", b"\n\n")


def bent(dice: random.Random, data: bytes) -> bytes:
    """The next input, made from one that there was."""
    head, document = _document(data)
    if document is not None and dice.random() < 0.6:
        for _ in range(dice.choice((1, 1, 2, 4))):
            document = _replaced(dice, document)
        data = head + json.dumps(document, ensure_ascii=dice.random() < 0.7).encode("utf-8", "surrogatepass")
        if dice.random() < 0.7:
            return data[:MOST_OCTETS]
    return _octets(dice, data)


def _octets(dice: random.Random, data: bytes) -> bytes:
    octets = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 5, 9))):
        at = dice.randint(0, len(octets))
        span = slice(at, at + dice.choice((1, 1, 2, 4, 16)))
        match dice.randrange(5):
            case 0:
                octets[at:at] = dice.choice(_TOKENS)
            case 1:
                octets[span] = b""
            case 2:
                octets[span] = dice.choice(_TOKENS)
            case 3:
                octets[at:at] = octets[span] * dice.randint(1, 4)
            case _:
                octets[at : at + 1] = dice.randbytes(1)
    return bytes(octets[:MOST_OCTETS])


def _document(data: bytes) -> tuple[bytes, Any]:
    """What stands before a JSON document, and the document: after a blank line, a first line, or nothing."""
    starts = [at + len(blank) for blank in _BLANK if (at := data.find(blank)) >= 0]
    for start in (*starts[:1], data.find(b"\n") + 1, 0):
        if data[start : start + 1] not in (b"{", b"["):
            continue
        try:
            return data[:start], json.loads(data[start:])
        except (ValueError, RecursionError):
            continue
    return data, None


def _replaced(dice: random.Random, value: Any) -> Any:
    """With one value of it, wherever it stands, gone, doubled, or another."""
    if not isinstance(value, (dict, list)) or not value or dice.random() < 0.1:
        return dice.choice(_VALUES)
    if isinstance(value, list):
        at = dice.randrange(len(value))
        how = dice.random()
        if how < 0.1:
            return value[:at] + value[at + 1 :]
        if how < 0.2:
            return [*value, *value[at : at + 1] * dice.choice((1, 2, 50))]
        return [*value[:at], _replaced(dice, value[at]), *value[at + 1 :]]
    key = dice.choice(list(value))
    if dice.random() < 0.1:
        return {name: one for name, one in value.items() if name != key}
    return {**value, key: _replaced(dice, value[key])}
