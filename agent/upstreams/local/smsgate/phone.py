"""The gateway as SMSGate's device: one device whose SIMs are our routes; remote agents are further devices."""

from __future__ import annotations

from typing import Any

from agent.model import Message
from agent.upstreams.local.context import Local
from agent.upstreams.local.devices import DeviceView
from agent.upstreams.local.smsgate import words
from agent.upstreams.local.smsgate.tokens import Client
from drivers.values import dataclass

_KEPT_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class Phone:
    """A device. `agent` is None for the gateway itself."""

    id: str
    name: str
    agent: DeviceView | None


async def phones(local: Local, client: Client) -> list[Phone]:
    """Those of an account, the gateway itself first."""
    own = Phone(await local.accounts.clients.identity(), local.gateway.settings.device_name, None)
    visible = await local.devices.visible(client.caller)
    return [own, *(Phone(one.device_id, one.name, one) for one in visible if one.route is None)]


async def find(local: Local, client: Client, device_id: str) -> Phone | None:
    return next((one for one in await phones(local, client) if one.id == device_id), None)


async def agents(local: Local, client: Client) -> dict[int, str]:
    """Number → id of an account's remote agents."""
    return {one.agent.number: one.id for one in await phones(local, client) if one.agent is not None}


def sim_cards(local: Local) -> list[dict[str, Any]]:
    """What is known of the SIMs now; identities are shortened as SMSGate's app does."""
    found = []
    for view in local.gateway.route_views():
        slot = view.sim_slot or 0
        number = None if view.sim is None else view.sim.number
        row = {
            "slotIndex": slot,
            "simNumber": slot + 1,
            "phoneNumber": _masked(number),
            "carrierName": None if view.link is None else view.link.operator,
            "iccid": None if view.sim is None else _masked(view.sim.iccid),
        }
        found.append(words.without_null(row))
    return found


def sim(local: Local, message: Message) -> tuple[str | None, int | None]:
    """The own number, where it is known, and the SIM number by which a message came or went."""
    route = local.gateway.routes.get(message.route or "")
    if route is None:
        return None, None
    view = route.view()
    return (None if view.sim is None else view.sim.number), (view.sim_slot or 0) + 1


def _masked(value: str | None) -> str | None:
    if value is None:
        return None
    return "*" * max(_KEPT_CHARACTERS, len(value) - _KEPT_CHARACTERS) + (
        value[-_KEPT_CHARACTERS:] if len(value) > _KEPT_CHARACTERS else ""
    )
