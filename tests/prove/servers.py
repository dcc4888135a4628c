"""`make prove WHAT=servers`: the servers that bring messages, each with its own way to fail. Exits 1 on a miss."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import MappingProxyType

import structlog

from tests.prove import runner, servers_client, servers_mqtt, servers_pool, servers_pool_many, servers_smsgate

CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {
        "smsgate-client": servers_client.prove,
        "mqtt": servers_mqtt.prove,
        "mqtt-latency": servers_mqtt.prove_latency,
        "fairness": servers_mqtt.prove_fairness,
        "smsgate": servers_smsgate.prove,
        "smsgate-e2e": servers_smsgate.prove_e2e,
        "pool": servers_pool.prove,
        "pool-many": servers_pool_many.prove,
    }
)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(runner.main(__doc__, CHECKS))
