"""What a route did hour by hour, from its attempts. A walk along the index of route and time: it costs what was
tried in the hours asked for, whatever the history.
"""

from __future__ import annotations

import sqlite3

from agent.model import AttemptOutcome

_TAKEN = (AttemptOutcome.SENT, AttemptOutcome.DELIVERED, AttemptOutcome.UNDELIVERED)
_REFUSED = (AttemptOutcome.REFUSED, AttemptOutcome.NOT_SENT)


def tries(connection: sqlite3.Connection, route: str, from_ms: int, to_ms: int) -> tuple[int, int]:
    """How many parts the network took and how many tries it refused, from `from_ms` to before `to_ms`.

    A try whose outcome is not known counts as neither.
    """
    found = connection.execute(
        "SELECT outcome, count(*) FROM attempt WHERE route = ? AND at_ms >= ? AND at_ms < ? GROUP BY outcome",
        (route, from_ms, to_ms),
    )
    counts: dict[str, int] = {row[0]: row[1] for row in found}
    return sum(counts.get(outcome, 0) for outcome in _TAKEN), sum(counts.get(outcome, 0) for outcome in _REFUSED)
