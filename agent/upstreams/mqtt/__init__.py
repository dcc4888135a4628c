"""The MQTT upstream: SMS by a broker, and this gateway as a member of a pool.

Its modules:

    settings   the `[[upstream]]` keys, and the broker they name
    words      messages, reports and routes as payloads; pure
    orders     what comes in: jobs, cancellations, releases, and what routes are to do
    retained   what is kept at the broker: routes, capacity
    speed      how fast the lines are, for the capacity; pure
    home_assistant  gateway and routes as devices of Home Assistant; pure
    announcing tells Home Assistant of them, and takes away what is no more
    diagnosis  what `doctor` asks the broker
    upstream   puts these together behind the contract

The connection, topics and payloads are in `drivers/mqtt`, which pools use too.
"""

from __future__ import annotations

from agent.upstreams.mqtt.settings import MqttSettings
from agent.upstreams.mqtt.upstream import MqttUpstream

__all__ = ["MqttSettings", "MqttUpstream"]
