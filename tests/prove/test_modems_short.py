"""The short form of `make prove WHAT=modems`; the matrix has one of its own in tests/matrix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove.measured import Figures
from tests.prove.modems import CHECKS
from tests.prove.modems_modes import MODES


@pytest.mark.parametrize("name", ["modes", "neighbours"])
def test_modems(name: str, tmp_path: Path) -> None:
    figures = Figures(name)
    CHECKS[name](tmp_path, figures, short=True, seed=1)
    assert figures.misses == []


def test_every_failure_mode_has_its_row() -> None:
    assert [mode.number for mode in MODES] == list(range(1, 28))
