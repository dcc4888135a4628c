"""The short form of `make prove WHAT=unattended`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove.measured import Figures
from tests.prove.unattended import CHECKS

# The simulated week is not in the suite yet: its clock once did not end on a loaded machine.
_IN_SUITE = [name for name in CHECKS if not name.startswith("week")]


@pytest.mark.parametrize("name", _IN_SUITE)
def test_unattended(name: str, tmp_path: Path) -> None:
    figures = Figures(name)
    CHECKS[name](tmp_path, figures, short=True, seed=20261125)
    assert figures.misses == []
