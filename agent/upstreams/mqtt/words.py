"""Messages, reports and routes as payloads. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from agent.clock import iso_utc
from agent.model import Job, Message, MessageState, Report, RouteState, RouteView
from drivers.api import Link
from drivers.mqtt.payloads import Capacity, InboxMessage, JobOrder, JobStatus, Status

RELEASED = "released to whoever sent it"
"""Why a job is cancelled that was asked back before it was tried."""
CANCELLED = "cancelled by whoever sent it"

_OWN = "~"
"""Begins the ids of jobs that came without one; never those of a sender (`is_senders`)."""

_WORDS: dict[MessageState, Status] = {
    MessageState.HELD: Status.HELD,
    MessageState.QUEUED: Status.ACCEPTED,
    MessageState.SENDING: Status.ACCEPTED,
    MessageState.UNKNOWN: Status.ACCEPTED,
    MessageState.SENT: Status.SENT,
    MessageState.DELIVERED: Status.DELIVERED,
    MessageState.FAILED: Status.FAILED,
    MessageState.EXPIRED: Status.EXPIRED,
    MessageState.CANCELLED: Status.CANCELLED,
}


def job(order: JobOrder, remote_id: str | None) -> Job:
    """What the gateway is asked to accept."""
    return Job(
        recipient=order.to,
        text=order.text,
        remote_id=remote_id,
        sim_slot=order.sim_slot,
        route=order.route,
        priority=order.priority,
        valid_for_s=order.valid_for_s,
        is_flash=order.flash,
        port=order.port,
        data=order.data,
    )


def is_senders(remote_id: str) -> bool:
    """Whether an id may be a sender's."""
    return not remote_id.startswith(_OWN)


def own_prefix(packet_id: int, topic: str, payload: bytes) -> str:
    """How the ids begin that a job without one gets: by this a broker's repetition is known again. Another message
    with this packet id and content can only come after this one was acknowledged."""
    digest = hashlib.sha256(topic.encode() + b"\0" + payload).hexdigest()[:24]
    return f"{_OWN}{packet_id}.{digest}."


def status(state: MessageState, error: str | None) -> Status:
    """The word for a state."""
    if state is MessageState.CANCELLED and error == RELEASED:
        return Status.RELEASED
    return _WORDS[state]


def report(told: Report) -> JobStatus:
    """A report as a status. A job that came without an id is known by its uid."""
    message = told.message
    remote_id = message.remote_id
    word = status(told.state, told.error)
    is_good = word in (Status.ACCEPTED, Status.HELD, Status.SENT, Status.DELIVERED)
    return JobStatus(
        id=remote_id if remote_id is not None and is_senders(remote_id) else message.uid,
        status=word,
        error=None if is_good else told.error,
        to=message.number,
        uid=message.uid,
        # Before it is bound, it may still go another way.
        route=message.route if message.iccid is not None else None,
        parts=message.parts,
        may_be_double=message.may_be_double,
        at=iso_utc(told.at_ms),
    )


def inbox(message: Message, sim_slot: int | None, *, with_text: bool = True) -> InboxMessage:
    """A received message."""
    return InboxMessage(
        id=message.uid,
        sender=message.number,
        text=message.text if with_text else None,
        kind=message.kind.value,
        route=message.route,
        sim_slot=sim_slot,
        received_at=iso_utc(message.created_ms),
        details=message.details if with_text else {},
    )


def call(detail: str | None, route: str | None, at_ms: int) -> dict[str, str | bool | None]:
    """An incoming call, from its line of history ("<number>[, rejected]")."""
    number, _, end = (detail or "").partition(", ")
    is_withheld = not number.lstrip("+").isdigit()
    return {
        "from": None if is_withheld else number,
        "rejected": end == "rejected",
        "route": route,
        "at": iso_utc(at_ms),
    }


def route_state(
    view: RouteView, *, queued: int, sent_today: int, failed_today: int, last_inbound_ms: int | None
) -> dict[str, str | int | bool | None]:
    """A route for people and for Home Assistant."""
    link, sim = view.link or Link(), view.sim
    return {
        "state": view.state.value,
        "problem": view.problem,
        "sim_slot": view.sim_slot,
        "number": None if sim is None else sim.number,
        "registration": None if view.link is None else link.registration.value,
        "operator": link.operator,
        "signal_dbm": link.signal_dbm,
        "model": link.model,
        "balance": view.balance,
        "paused": view.is_paused,
        "queued": queued,
        "sent_today": sent_today,
        "failed_today": failed_today,
        "last_inbound_at": None if last_inbound_ms is None else iso_utc(last_inbound_ms),
    }


def capacity(
    views: Sequence[RouteView],
    queued: int,
    room_per_route: int,
    *,
    per_minute: float | None = None,
    pool: str | None = None,
    born_ms: int | None = None,
) -> Capacity:
    """How many jobs more can wait here without one waiting for long."""
    ready = ready_routes(views)
    room = room_per_route * len(ready)
    return Capacity(
        room=room,
        free=max(0, room - queued),
        queued=queued,
        routes=ready,
        per_minute=per_minute if ready else None,
        pool=pool,
        # A journal is made once, so the instant tells it from any later one of this gateway.
        instance=None if born_ms is None else str(born_ms),
        since=None if born_ms is None else iso_utc(born_ms),
    )


def ready_routes(views: Sequence[RouteView]) -> tuple[str, ...]:
    """Those that can send now."""
    return tuple(view.name for view in views if view.state is RouteState.READY)
