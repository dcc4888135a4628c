"""Each target for a moment, and whether a finding would be one."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from agent import config
from tests.fuzz import __main__ as fuzz
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", list(TARGETS))
def test_nothing_is_found_in_a_moment(name: str) -> None:
    assert fuzz.search(name, 0.0, seed=20261125) == (300, {})


@pytest.mark.parametrize(
    ("name", "data"),
    [pytest.param("mobsms", b'{"data": [], "total": 1' + b"0" * 400 + b"}", id="total-without-end")],
)
def test_what_was_found_is_mended(name: str, data: bytes) -> None:
    execute, _ = TARGETS[name]
    execute(data)


def test_values_nested_without_end_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("a = " + "[" * 20_000)
    with pytest.raises(config.ConfigError, match="without end"):
        config.load(path)


def test_what_escapes_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        fuzz, "TARGETS", MappingProxyType({"weak": (lambda data: data[:1].decode("ascii"), (b"\xff",))})
    )
    _, broken = fuzz.search("weak", 0.0, seed=1)
    assert len(broken) == 1
    assert next(iter(broken)).startswith("UnicodeDecodeError")
