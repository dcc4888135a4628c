"""What can be asked over the control socket: one function per operation, and the fields of its answer.

They see the gateway only. The answers' keys are a contract with the CLI's `--json` (docs/cli.md): keys may be
added, none is renamed.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import agent
from agent import operations_alerts, operations_data, operations_local
from agent.answers import event_fields, message_fields
from agent.clock import iso_utc
from agent.endpoint import Refusal
from agent.gateway import Gateway, NoSuchRoute, UpstreamView
from agent.journal.listing import Filter
from agent.model import MAX_PRIORITY, MIN_PRIORITY, Job, Message, MessageState, RouteView, is_ended
from agent.operations_pairing import OPERATIONS as PAIRING
from agent.plan_view import described
from agent.reload import Outcome
from agent.request import LONGEST_PAGE, LONGEST_TEXT_CHARACTERS, Answer, Fields, Operation, Refused, Tell

CLI_UPSTREAM = "cli"
# States in which a message may stand in the queue.
_WAITING = (MessageState.QUEUED, MessageState.SENDING)
_LONGEST_COMMAND_CHARACTERS = 1000
_LONGEST_COMMAND_S = 180.0
_LONGEST_USSD_CHARACTERS = 160
_started = time.monotonic()

# --- messages ---------------------------------------------------------------------------------------


async def _send(gateway: Gateway, fields: Fields, tell: Tell) -> Answer:
    job = _job(gateway, fields)
    await gateway.ensure_upstream(CLI_UPSTREAM, CLI_UPSTREAM)
    accepted = (await gateway.accept(CLI_UPSTREAM, [job]))[0]
    if accepted.message_id is None:
        raise Refused(accepted.error or "the message was not accepted")
    if fields.flag("wait"):
        await _follow(gateway, accepted.message_id, tell)
    return await _found(gateway, str(accepted.message_id))


async def _plan(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    """What `send` would make of the same fields; nothing is kept or sent."""
    job = _job(gateway, fields)
    await gateway.ensure_upstream(CLI_UPSTREAM, CLI_UPSTREAM)
    plan = await gateway.plan(CLI_UPSTREAM, job)
    return {"number": plan.number, "route": plan.route or None, "error": plan.failure, **described(plan.parts)}


def _job(gateway: Gateway, fields: Fields) -> Job:
    data = fields.octets("data")
    job = Job(
        recipient=fields.text("number"),
        text="" if data is not None else fields.text("text", at_most_characters=LONGEST_TEXT_CHARACTERS),
        route=fields.optional_text("route"),
        sim_slot=fields.number("sim_slot", None, 0, 63),
        priority=fields.number("priority", 0, MIN_PRIORITY, MAX_PRIORITY) or 0,
        is_flash=fields.flag("flash"),
        port=fields.number("port", None, 0, 0xFFFF),
        data=data,
    )
    if job.route is not None:
        _route(gateway, job.route)
    return job


async def _follow(gateway: Gateway, message_id: int, tell: Tell) -> None:
    """Tell each event of a message until nothing more is expected."""
    changed = asyncio.Event()
    gateway.watch(changed)
    try:
        told = 0
        while True:
            changed.clear()
            # Before its history, which then has all that led to this state.
            message = await gateway.message(message_id)
            for event in await gateway.history(message_id):
                if event.id > told:
                    await tell(event_fields(event))
                    told = event.id
            if message is None or _has_ended(gateway, message):
                return
            await changed.wait()
    finally:
        gateway.unwatch(changed)


def _has_ended(gateway: Gateway, message: Message) -> bool:
    if message.state is MessageState.SENT and message.route in gateway.routes:
        # Without status reports nothing comes after SENT.
        return not gateway.routes[message.route].config.settings.status_reports
    return is_ended(message.state) or message.state is MessageState.HELD


async def _messages(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    return await _page(gateway, fields, fields.optional_text("direction"))


async def _inbox(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    return await _page(gateway, fields, "inbound")


async def _page(gateway: Gateway, fields: Fields, direction: str | None) -> Answer:
    if direction not in (None, "inbound", "outbound"):
        raise Refused(f'direction is "inbound" or "outbound", not "{direction}"', Refusal.USAGE)
    try:
        states = tuple(MessageState(state) for state in fields.texts("states") or ())
    except ValueError as error:
        known = ", ".join(MessageState)
        raise Refused(
            f"{str(error).split(' is ', maxsplit=1)[0]} is no state; known are {known}", Refusal.USAGE
        ) from error
    number = fields.number("page", 1, 1, 10**9) or 1
    per_page = fields.number("limit", 20, 1, LONGEST_PAGE) or 1
    page = await gateway.page(Filter(direction=direction, states=states), number, per_page)
    waits = await gateway.waits([message.id for message in page.messages if message.state in _WAITING])
    return {
        "page": page.page,
        "per_page": page.per_page,
        "total": page.total,
        "messages": [{**message_fields(message), "waits_for": waits.get(message.id)} for message in page.messages],
    }


async def _one(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    answer = await _found(gateway, fields.text("id"))
    answer["waits_for"] = (await gateway.waits([answer["id"]])).get(answer["id"])
    answer["history"] = [event_fields(event) for event in await gateway.history(answer["id"])]
    return answer


async def _cancel(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    before = await _found(gateway, fields.text("id"))
    if not await gateway.cancel(before["id"]):
        state = (await _found(gateway, str(before["id"])))["state"]
        raise Refused(f"message {before['id']} is {state} and cannot be cancelled any more; it will not be sent again")
    return await _found(gateway, str(before["id"]))


async def _resend(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    before = await _found(gateway, fields.text("id"))
    try:
        accepted = await gateway.resend(before["id"])
    except ValueError as error:
        raise Refused(str(error)) from error
    if accepted is None or accepted.message_id is None:
        raise Refused(f"message {before['id']} came in; only one that went out can be sent again")
    return await _found(gateway, str(accepted.message_id))


async def _release(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    """All held messages, or those named by `ids`."""
    keys = fields.texts("ids")
    ids = None if keys is None else [(await _found(gateway, key))["id"] for key in keys]
    return {"released": await gateway.release(ids)}


# --- routes -----------------------------------------------------------------------------------------


async def _status(gateway: Gateway, _: Fields, __: Tell) -> Answer:
    queued = await gateway.queue_length()
    views = gateway.route_views()
    last = None if gateway.reloader is None else gateway.reloader.last
    holds = await gateway.route_holds()
    return {
        "version": agent.__version__,
        "pid": os.getpid(),
        "uptime_s": round(time.monotonic() - _started, 1),
        "device_name": gateway.settings.device_name,
        "state_dir": str(gateway.settings.state_dir),
        "clock_is_right": gateway.clock.is_synchronised(),
        "reload": None if last is None else _outcome(last),
        "degraded": gateway.degraded,
        "queued": sum(queued.values()),
        "held": await gateway.total(Filter(states=(MessageState.HELD,))),
        "routes": [
            {
                **_route_view(view, queued.get(view.name, 0)),
                "port": getattr(gateway.routes[view.name].config.driver, "port", None),
                "waits_for": holds.get(view.name),
            }
            for view in views
        ],
        "upstreams": [_upstream_view(upstream()) for upstream in gateway.upstreams.values()],
    }


async def _reload(gateway: Gateway, _: Fields, __: Tell) -> Answer:
    """Apply the configuration as it stands now. Refused with its sentence where it is wrong; nothing changes then."""
    if gateway.reloader is None:
        raise Refused("this daemon was started without a configuration file")
    outcome = await gateway.reloader.ask()
    if outcome.error is not None:
        raise Refused(f"{outcome.error}; what runs goes on as before", Refusal.USAGE)
    return _outcome(outcome)


def _outcome(outcome: Outcome) -> Answer:
    return {
        "at": iso_utc(outcome.at_ms),
        "error": outcome.error,
        "started": list(outcome.started),
        "restarted": list(outcome.restarted),
        "ended": list(outcome.ended),
        "hints": list(outcome.hints),
    }


async def _pause(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    return await _set_paused(gateway, fields, is_paused=True)


async def _resume(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    return await _set_paused(gateway, fields, is_paused=False)


async def _set_paused(gateway: Gateway, fields: Fields, *, is_paused: bool) -> Answer:
    name = fields.text("route")
    _route(gateway, name)
    await gateway.pause(name, is_paused=is_paused)
    queued = await gateway.queue_length()
    return _route_view(_route(gateway, name).view(), queued.get(name, 0))


async def _at(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    route = _route(gateway, fields.text("route"))
    command = fields.text("command", at_most_characters=_LONGEST_COMMAND_CHARACTERS)
    return {"lines": await route.terminal(command, fields.seconds("timeout_s", 30.0, _LONGEST_COMMAND_S))}


async def _ussd(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    route = _route(gateway, fields.text("route"))
    code = fields.text("code", at_most_characters=_LONGEST_USSD_CHARACTERS)
    found = await route.ussd(code, fields.seconds("timeout_s", _LONGEST_COMMAND_S, _LONGEST_COMMAND_S))
    return {"text": found.text, "raw": found.raw, "expects_answer": found.expects_answer}


async def _pin(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    """What is on record of the route's PIN; with `retry` the record of a try that failed is cleared first."""
    route = _route(gateway, fields.text("route"))
    cleared = await route.retry_pin() if fields.flag("retry") else []
    records = [{"sim": key, "verdict": verdict} for key, verdict in (await route.pins()).items()]
    return {"route": route.name, "cleared": cleared, "records": records, "problem": route.problem}


def _route(gateway: Gateway, name: str) -> Any:
    try:
        return gateway.route(name)
    except NoSuchRoute as error:
        raise Refused(str(error), Refusal.USAGE) from error


# --- what the answers hold --------------------------------------------------------------------------


async def _found(gateway: Gateway, key: str) -> Answer:
    message = await gateway.message(key)
    if message is None:
        raise Refused(f"there is no message {key}; `phonebridge messages` lists them")
    return message_fields(message)


def _route_view(view: RouteView, queued: int) -> Answer:
    link, sim = view.link, view.sim
    return {
        "name": view.name,
        "sim_slot": view.sim_slot,
        "driver": view.driver,
        "state": view.state.value,
        "problem": view.problem,
        "is_paused": view.is_paused,
        "is_sending": view.is_sending,
        "queued": queued,
        "iccid": sim and sim.iccid,
        "number": sim and sim.number,
        "imsi": sim and sim.imsi,
        "balance": view.balance,
        "smsc": sim and sim.smsc,
        "registration": link and link.registration.value,
        "operator": link and link.operator,
        "signal_dbm": link and link.signal_dbm,
        "manufacturer": link and link.manufacturer,
        "model": link and link.model,
        "firmware": link and link.firmware,
        "imei": link and link.imei,
        "storage_used": link and link.storage_used,
        "storage_total": link and link.storage_total,
        "indications": link and link.indications,
        "price": link and link.price,
        "credit": link and link.credit,
    }


def _upstream_view(view: UpstreamView) -> Answer:
    return {
        "name": view.name,
        "type": view.type,
        "problem": view.problem,
        "waiting": view.waiting,
        "parked": view.parked,
        "facts": dict(view.facts),
    }


async def _events(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    """The newest lines of everybody's history, oldest first."""
    limit = fields.number("limit", 50, 1, LONGEST_PAGE) or 1
    return {
        "events": [{**event_fields(event), "message": event.message_id} for event in await gateway.newest_events(limit)]
    }


OPERATIONS: dict[str, Operation] = {
    "events": _events,
    "status": _status,
    "reload": _reload,
    "send": _send,
    "plan": _plan,
    "messages": _messages,
    "message": _one,
    "inbox": _inbox,
    "cancel": _cancel,
    "resend": _resend,
    "release": _release,
    "pause": _pause,
    "resume": _resume,
    "at": _at,
    "ussd": _ussd,
    "pin": _pin,
    **operations_data.OPERATIONS,
    **operations_local.OPERATIONS,
    **PAIRING,
    **operations_alerts.OPERATIONS,
}
