"""Lets the tests of this folder import tests.tshark under a bare `pytest` too."""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)
