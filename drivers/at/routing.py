"""How the modem tells of new messages and reports (CNMI): read what it allows, try in order, verify, else poll.

Stored beats direct, since what is stored outlives a dead daemon; but modems lie, so what was set is read back.
"""

from __future__ import annotations

from collections.abc import Iterator

from drivers.at import commands
from drivers.at.channel import Channel
from drivers.at.commands import Routing

REPORTS_FACT = "report_routing"
STORED = "stored"
DIRECT = "direct"

_STORED_FIRST = (
    Routing(2, 1, 0, 2, 0),
    Routing(2, 1, 0, 1, 0),
    Routing(2, 1, 2, 1, 0),
    Routing(1, 1, 0, 2, 0),
    Routing(1, 1, 0, 1, 0),
    Routing(3, 1, 0, 1, 0),
    Routing(2, 1, 0, 0, 0),
    Routing(1, 1, 0, 0, 0),
)
_WITHOUT_STORAGE = (Routing(2, 2, 0, 1, 0), Routing(1, 2, 0, 1, 0), Routing(2, 2, 0, 0, 0))


async def establish(
    channel: Channel, *, has_storage: bool, store_reports: bool, may_store: bool = False
) -> Routing | None:
    """Set the best routing that the modem takes and confirms; None where only polling is left.

    Raises: SessionLost.
    """
    choices = commands.routing_choices(await channel.exchange(commands.ROUTING_TEST))
    for wanted in candidates(choices, has_storage=has_storage, store_reports=store_reports, may_store=may_store):
        answer = await channel.exchange(wanted.request())
        if not answer.is_ok:
            continue
        check = await channel.exchange(commands.ROUTING_QUERY)
        found = commands.routing(check) if check.is_ok else wanted
        if found is not None and (found.mt, found.ds) == (wanted.mt, wanted.ds):
            return found
    return None


def candidates(
    choices: tuple[frozenset[int], ...], *, has_storage: bool, store_reports: bool, may_store: bool = False
) -> Iterator[Routing]:
    """Return what to try, in order, within what CNMI=? advertises; all of it where that is empty. Pure.

    `may_store` alone takes stored reports only where direct ones are refused: better in mem3 than not at all.
    A last round ignores the advertisement: modems were seen that advertise a value and refuse it, and the reverse.
    """
    may_store = has_storage and (len(choices) < 2 or 1 in choices[1] or not choices[1])
    table = (*_STORED_FIRST, *_WITHOUT_STORAGE) if may_store else (*_WITHOUT_STORAGE, *_STORED_FIRST)
    wanted = [row for row in table if store_reports or row.ds != 2]
    if may_store and not store_reports:
        direct = [row for row in wanted if row.ds]
        wanted = [*direct, *(row for row in table if row.ds == 2), *(row for row in wanted if not row.ds)]
    advertised = [fitted for row in wanted if (fitted := _fit(row, choices)) is not None]
    yield from dict.fromkeys((*advertised, *wanted))


def _fit(row: Routing, choices: tuple[frozenset[int], ...]) -> Routing | None:
    """Return the row if it is allowed, with another buffer setting where 0 is not."""
    values = [row.mode, row.mt, row.bm, row.ds, row.bfr]
    for position, allowed in enumerate(choices[:5]):
        if not allowed or values[position] in allowed:
            continue
        # bm is for cell broadcasts and bfr for what the modem buffered: neither matters to us.
        if position not in (2, 4):
            return None
        values[position] = min(allowed)
    return Routing(*values)
