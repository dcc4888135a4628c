"""MQTT for gateways and for pools of them: `link` is the one connection, `topics` and `payloads` are pure."""
