"""The short form of `make prove WHAT=main-job`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove.main_job import CHECKS
from tests.prove.measured import Figures


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "demo"])
def test_main_job(name: str, tmp_path: Path) -> None:
    figures = Figures(name)
    CHECKS[name](tmp_path, figures, short=True, seed=20261123)
    assert figures.misses == []
