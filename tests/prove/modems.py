"""`make prove WHAT=modems`: any modem, any mood, measured. Exits 1 on a miss."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import MappingProxyType

import structlog

from tests.prove import modems_matrix, modems_modes, modems_neighbours, runner

CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {
        "modes": modems_modes.prove,
        "neighbours": modems_neighbours.prove,
        "matrix": modems_matrix.prove,
    }
)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(runner.main(__doc__, CHECKS))
