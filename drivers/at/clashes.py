"""Which routes cannot both be configured: two on one port, unless they are the two SIMs of its modem. Pure."""

from __future__ import annotations

import os

from drivers.at import ports
from drivers.at.settings import AtSettings


def between(one: AtSettings, other: AtSettings) -> str | None:
    """Return the end of the sentence "Routes A and B …", or None where they get along."""
    if _place(one.port) != _place(other.port):
        return None
    if one.modem_sim is None or other.modem_sim is None:
        return (
            f"have the same port {one.port}; where its modem has two SIM cards, set modem_sim = 1 in one of them and "
            "modem_sim = 2 in the other, else give each its own port"
        )
    if one.modem_sim == other.modem_sim:
        return f"are both modem_sim = {one.modem_sim} of {one.port}; a modem has one SIM 1 and one SIM 2"
    for key in ("port", "baud_rate", "rtscts"):
        values = getattr(one, key), getattr(other, key)
        if values[0] != values[1]:
            return f"are SIMs of one modem and differ in {key} ({values[0]}, {values[1]}); write the same in both"
    return _too_long_a_dwell(one, other) or _too_long_a_dwell(other, one)


def _too_long_a_dwell(absent: AtSettings, present: AtSettings) -> str | None:
    if absent.visit_every_s > present.dwell_s:
        return None
    return (
        f"do not fit: visit_every_s of one ({absent.visit_every_s:g} s) must be longer than dwell_s of the other "
        f"({present.dwell_s:g} s)"
    )


def _place(port: str) -> str:
    is_path = not ports.is_network(port) and not port.startswith(ports.AUTO_PREFIX)
    return os.path.realpath(port) if is_path else port
