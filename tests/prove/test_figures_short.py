"""The short form of `make prove WHAT=figures`; the benchmarks have tests of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove.figures import CHECKS
from tests.prove.measured import Figures


@pytest.mark.parametrize("name", ["power-cut", "fuzz", "torture"])
def test_figures(name: str, tmp_path: Path) -> None:
    figures = Figures(name)
    CHECKS[name](tmp_path, figures, short=True, seed=20261125)
    assert figures.misses == []
