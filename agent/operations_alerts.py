"""What can be asked of the alerts over the control socket."""

from __future__ import annotations

from agent.clock import iso_utc
from agent.gateway import Gateway
from agent.journal.alerts import Alert
from agent.request import LONGEST_PAGE, Answer, Fields, Operation, Tell, time_of


async def _alerts(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    """What stands now, and what was, newest first."""
    limit = fields.number("limit", 10, 1, LONGEST_PAGE) or 1
    return {
        "active": [_shown(alert) for alert in await gateway.alerts.standing()],
        "history": [_shown(alert) for alert in await gateway.alerts.history(limit)],
    }


async def _test(gateway: Gateway, _: Fields, __: Tell) -> Answer:
    """A trial on every way, now."""
    told = await gateway.alerts.test()
    return {"told": [{"channel": one.channel, "ok": one.ok, "detail": one.detail} for one in told]}


def _shown(alert: Alert) -> Answer:
    return {
        "id": alert.id,
        "kind": alert.kind,
        "subject": alert.subject or None,
        "message": alert.sentence,
        "raised_at": iso_utc(alert.raised_ms),
        "cleared_at": time_of(alert.cleared_ms),
        "told_at": time_of(alert.raise_told_ms),
    }


OPERATIONS: dict[str, Operation] = {"alerts": _alerts, "alerts test": _test}
