"""Choosing and switching the memories of a modem (CPMS): what it advertises first, then step by step down.

Knows memories and no messages.
"""

from __future__ import annotations

import asyncio

from drivers.at import causes, commands
from drivers.at.channel import Channel
from drivers.at.errors import Unwell
from drivers.at.request import Answer
from drivers.at.state import Storages

REPORTS = "SR"

SMS_READY_S = 60.0
"""From SIM READY to the first CPMS that works: 10 to 30 s on slow modems."""

_PREFERRED = ("ME", "SM", "MT")
_ON_SIM = ("SM", "MT", "ME")
_NOT_READY = {14, 302, 310, 314, 512, 521}
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 1.0


async def choose(channel: Channel, *, with_reports: bool, on_sim: bool = False) -> Storages:
    """Set all three memories as far as the modem lets us, and measure the one for reports.

    `on_sim` prefers the SIM's own memory: what lies there is that SIM's, whichever is in use when it is read.

    Raises: Unwell where the message store never gets ready; SessionLost.
    """
    groups = commands.storages(await _ready_answer(channel))
    storages = Storages()
    if not groups:
        return await _leave(channel, storages)
    readable = groups[0]
    storages.readable = tuple(name for name in (*_PREFERRED, REPORTS) if name in readable)
    preferred = _ON_SIM if on_sim else _PREFERRED
    for name in (name for name in preferred if name in readable):
        if await _set(channel, storages, groups, name):
            break
    else:
        storages = await _leave(channel, storages)
    if with_reports and REPORTS in readable:
        answer = await select(channel, storages, REPORTS)
        usages = commands.usages(answer) if answer is not None else ()
        storages.reports_total = usages[0].total if usages else 0
    return storages


async def select(channel: Channel, storages: Storages, memory: str) -> Answer | None:
    """Make a memory the one that is read from; None where the modem refuses it."""
    names = (memory, storages.second or memory, storages.inbound or memory)[: storages.arguments]
    answer = await channel.exchange(commands.select_storages(*names))
    if not answer.is_ok:
        storages.current = None
        return None
    storages.current = memory
    return answer


async def _set(channel: Channel, storages: Storages, groups: tuple[frozenset[str], ...], name: str) -> bool:
    """Try three memories, then two, then one; False where none is taken or the memory has no room at all."""
    second = _nearest(groups[1] if len(groups) > 1 else frozenset({name}), name)
    inbound = _nearest(groups[2] if len(groups) > 2 else frozenset({name}), name)
    most = min(3, max(1, len(groups)))
    for count in range(most, 0, -1):
        storages.second, storages.inbound, storages.arguments = second, inbound, count
        answer = await select(channel, storages, name)
        if answer is not None:
            usages = commands.usages(answer)
            # mem3 takes what arrives; where fewer are told, mem1 stands for it.
            usage = usages[-1] if usages else None
            storages.used, storages.total = (usage.used, usage.total) if usage else (None, None)
            return usage is None or usage.total > 0
    return False


def _nearest(allowed: frozenset[str], name: str) -> str:
    """Return the wanted memory, else the best that is allowed (one modem refuses ME as mem3)."""
    return next((choice for choice in (name, *_PREFERRED) if choice in allowed), name)


async def _leave(channel: Channel, storages: Storages) -> Storages:
    """Take what is set: some modems neither advertise memories nor let them be set."""
    answer = await channel.exchange(commands.STORAGES_QUERY)
    names = commands.current_storages(answer)
    if answer.is_ok and names:
        storages.current = names[0]
        storages.second = names[1] if len(names) > 1 else names[0]
        storages.inbound = names[2] if len(names) > 2 else names[0]
        storages.readable = tuple(dict.fromkeys((*storages.readable, *names)))
        usages = commands.usages(answer)
        if usages:
            storages.used, storages.total = usages[-1].used, usages[-1].total
    return storages


async def _ready_answer(channel: Channel) -> Answer:
    """Return the answer to CPMS=? once the message store is up after power-on."""
    deadline = asyncio.get_running_loop().time() + SMS_READY_S
    pause_s = _FIRST_PAUSE_S
    while True:
        answer = await channel.exchange(commands.STORAGES_TEST)
        if answer.is_ok:
            query = await channel.exchange(commands.STORAGES_QUERY)
            if query.is_ok or causes.parse(query.final.text).number not in _NOT_READY:
                return answer
        elif causes.parse(answer.final.text).number not in _NOT_READY:
            return answer
        if asyncio.get_running_loop().time() >= deadline:
            raise Unwell(f"The modem's message store does not get ready ({answer.final.text}).")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
