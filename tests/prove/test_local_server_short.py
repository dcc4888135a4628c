"""The short form of `make prove WHAT=local-server`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove.local_server import SHORT
from tests.prove.measured import Figures


@pytest.mark.parametrize("name", SHORT)
def test_local_server(name: str, tmp_path: Path) -> None:
    figures = Figures(name)
    SHORT[name](tmp_path, figures, short=True, seed=20261123)
    assert figures.misses == []
