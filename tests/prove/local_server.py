"""`make prove WHAT=local-server`: every promise of our own server, measured. Exits 1 on a miss."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import MappingProxyType

from tests.prove import (
    local_server_fuzz,
    local_server_load,
    local_server_memory,
    local_server_operations,
    runner,
)

CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {
        "operations": local_server_operations.prove,
        "fuzz": local_server_fuzz.prove,
        "load": local_server_load.prove_load,
        "million": local_server_load.prove_million,
        "memory": local_server_memory.prove,
    }
)


if __name__ == "__main__":
    sys.exit(runner.main(__doc__, CHECKS))
