"""`make prove WHAT=main-job`: every promise of the main job, measured. Exits 1 on a miss."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import MappingProxyType

from tests.prove import demo, flow, inbound, kills, memory, order, runner, texts

CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {
        "demo": demo.prove,
        "texts": texts.prove,
        "inbound": inbound.prove,
        "order": order.prove,
        "flow": flow.prove,
        "kills": kills.prove,
        "memory": memory.prove,
    }
)


if __name__ == "__main__":
    sys.exit(runner.main(__doc__, CHECKS))
