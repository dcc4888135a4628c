"""The fuzzers for a moment, and whether they would find something."""

from __future__ import annotations

import pytest

from drivers.at.parser import MAX_LINE_OCTETS, Line, Parser
from tests.fuzz import target
from tests.fuzz.parser import fuzz


def test_nothing_is_found_in_a_moment() -> None:
    result = fuzz(0.0, seed=27005, least_executions=500)
    assert result.broken == {}
    assert result.executions == 500
    assert result.kept_octets <= MAX_LINE_OCTETS


DIALOGUE = bytes(4) + b"\r\n+CSQ: 20,99\r\n\r\nOK\r\n" * 4


class Forgetful(Parser):
    """Loses what a chunk leaves unfinished."""

    def feed(self, chunk: bytes) -> list[Line]:
        found = super().feed(chunk)
        self._buffer = b""
        return found


class Hoarder(Parser):
    """Keeps every octet."""

    def feed(self, chunk: bytes) -> list[Line]:
        found = Parser().feed(chunk)
        self._buffer += chunk
        return found


def test_a_parser_that_loses_octets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "Parser", Forgetful)
    with pytest.raises(target.Wrong, match="chunks matter"):
        target.execute(DIALOGUE, Parser())


def test_a_parser_that_keeps_octets_is_found() -> None:
    hoarder = Hoarder()
    with pytest.raises(target.Wrong, match="octets are kept"):
        for _ in range(40):
            target.execute(DIALOGUE, hoarder)
