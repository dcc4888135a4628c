"""What `doctor` asks a broker: whether it is there, takes us, and lets us read and write our topics.

As a client of its own, so that the running daemon keeps its session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from agent.upstreams.api import Check
from drivers.mqtt.link import Broker, Link, LinkDown, LinkRefused, PublishRefused
from drivers.mqtt.topics import Topics

_LONGEST_S = 12.0


async def diagnose(broker: Broker, own: Topics) -> Sequence[Check]:
    """Nothing that anybody listens to is published."""
    guest = replace(broker, client_id=f"{broker.client_id}-doctor", session_expiry_s=0, will=None)
    found: list[Check] = []
    try:
        async with asyncio.timeout(_LONGEST_S), Link(guest) as link:
            found.append(Check(True, f"The broker {broker.address} answers and takes this client."))
            await link.subscribe([f"{own.base}/doctor"])
            await link.publish(f"{own.base}/doctor", b"")
            found.append(Check(True, f"It lets this client read and write below {own.base}."))
    except LinkRefused as error:
        found.append(Check(False, str(error), "Check username, password_file and the broker's access list."))
    except PublishRefused as error:
        found.append(Check(False, str(error), f"Let this user write below {own.base} in the broker's access list."))
    except (LinkDown, TimeoutError) as error:
        sentence = str(error) or f"The broker {broker.address} does not answer in time."
        found.append(Check(False, sentence, "Check url, and that the broker runs and listens on that address."))
    return found
