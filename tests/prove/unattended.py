"""`make prove WHAT=unattended`: left alone for a year. Each promise as a check; exits 1 on a miss."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import MappingProxyType

from tests.prove import reloads, runner

CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {
        "reload": reloads.prove,
    }
)


if __name__ == "__main__":
    sys.exit(runner.main(__doc__, CHECKS))
