"""The short form of `make prove WHAT=unattended`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove.measured import Figures
from tests.prove.unattended import CHECKS


@pytest.mark.parametrize("name", CHECKS)
def test_unattended(name: str, tmp_path: Path) -> None:
    figures = Figures(name)
    CHECKS[name](tmp_path, figures, short=True, seed=20261125)
    assert figures.misses == []
