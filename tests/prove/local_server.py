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

_WHOLE: dict[str, Callable[..., None]] = {
    "operations": local_server_operations.prove,
    "load": local_server_load.prove_load,
    "million": local_server_load.prove_million,
    "memory": local_server_memory.prove,
}
CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType({**_WHOLE, **local_server_fuzz.slices()})
SHORT: MappingProxyType[str, Callable[..., None]] = MappingProxyType({**_WHOLE, "fuzz": local_server_fuzz.prove})
"""What `make test` runs of it."""


if __name__ == "__main__":
    sys.exit(runner.main(__doc__, CHECKS))
