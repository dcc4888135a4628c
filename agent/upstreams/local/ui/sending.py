"""The form that sends, the count while it is filled in, and the stream that says when something changed."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict

from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from agent import numbers
from agent.accounts import Caller
from agent.journal.acceptance import Idempotency, IdempotencyConflict
from agent.model import Job
from agent.upstreams.local.devices import NoActiveDevice, NoSuchDevice
from agent.upstreams.local.ui import words
from agent.upstreams.local.ui.page import ROOT
from agent.upstreams.local.ui.site import COOKIE, Site, Stop, Visit
from agent.upstreams.local.ui.words import Count

# The API's own bound of a text.
_LONGEST_TEXT = 1600
_LONGEST_COUNTED = 20_000
# Stands for a recipient who is not typed yet.
_ANYBODY = "000"
_KEEP_ALIVE_S = 20.0
# Several commits belong to one change, and a busy gateway need not be drawn more often than this.
_SETTLE_S, _AT_MOST_EVERY_S = 0.05, 1.0
_MOST_STREAMS = 32


def add(site: Site) -> None:
    local = site.local

    async def form(visit: Visit, *, problem: str | None = None, status: int = 200) -> Response:
        given = visit.form or dict(visit.request.query_params)
        devices = await local.devices.visible(visit.caller)
        return await site.show(
            visit,
            "send",
            status,
            to=given.get("to", "")[:40],
            text=given.get("text", "")[:_LONGEST_COUNTED],
            device=given.get("device", ""),
            devices=devices,
            count=await _counted(site, visit.caller, given),
            once=secrets.token_urlsafe(12),
            problem=problem,
        )

    async def send(visit: Visit) -> Response:
        try:
            message_id = await _accept(site, visit)
        except _Refused as refused:
            return await form(visit, problem=str(refused), status=422)
        visit.said("Accepted.")
        return RedirectResponse(f"{ROOT}messages/{message_id}", 303)

    async def count(visit: Visit) -> Response:
        return JSONResponse(asdict(await _counted(site, visit.caller, visit.form)))

    site.get("/send", form)
    site.post("/send", send)
    site.post("/count", count)
    _add_stream(site)


class _Refused(Exception):
    """`str()` is one sentence for the form."""


async def _accept(site: Site, visit: Visit) -> int:
    """The new message's id, or that of the first time where the form came twice. Raises: _Refused."""
    local, form, caller = site.local, visit.form, visit.caller
    text = form.get("text", "")
    if not text.strip():
        raise _Refused("There is no text.")
    if len(text) > _LONGEST_TEXT:
        raise _Refused(f"The text is longer than {_LONGEST_TEXT} characters.")
    counted = await _counted(site, caller, form)
    if counted.is_too_long:
        raise _Refused(counted.sentence)
    try:
        number = numbers.dialable(form.get("to", ""), local.gateway.settings.default_region)
        target = (await local.devices.choose(caller, form.get("device") or None, None, 1))[0].device
    except numbers.NotDialable as error:
        sentence = str(error)
        raise _Refused(f"{sentence[:1].upper()}{sentence[1:]}.") from error
    except NoSuchDevice as error:
        raise _Refused("There is no such device.") from error
    except NoActiveDevice as error:
        raise _Refused("No device can send now.") from error
    job = Job(
        recipient=number,
        text=text,
        route=None if target is None else target.route,
        device=None if target is None else target.number,
        account=caller.account,
        attributes={"price": local.settings.sms_rate if target is None else target.sms_rate},
    )
    digest = hashlib.sha256("\0".join((number, form.get("device", ""), text)).encode("utf-8", "replace")).hexdigest()
    # A form that is sent twice, by a double click or a reload, is one message.
    once = Idempotency(caller.account, f"page:{form.get('once', '')[:40]}", digest) if form.get("once") else None
    try:
        accepted = (await local.gateway.accept(local.name, [job], idempotency=once))[0]
    except IdempotencyConflict as error:
        raise _Refused("This form was sent already, with something else in it. Send it again.") from error
    if accepted.message_id is None:
        raise _Refused(accepted.error or "It was not accepted.")
    return accepted.message_id


async def _counted(site: Site, caller: Caller, form: Mapping[str, str]) -> Count:
    """Alphabet and parts by the route that would take it, as far as the form says which."""
    local, text = site.local, form.get("text", "")[:_LONGEST_COUNTED]
    route = None
    try:
        if device := form.get("device"):
            route = (await local.devices.find(caller, device)).route
    except NoSuchDevice:
        pass  # said when it is sent
    job = Job(form.get("to", "").strip() or _ANYBODY, text, route=route, account=caller.account)
    planned = (await local.gateway.plan(local.name, job)).parts if text and local.gateway.routes else ()
    return words.count(text, local.gateway.settings.max_parts, planned)


def _add_stream(site: Site) -> None:
    open_streams: set[object] = set()

    async def events(visit: Visit) -> Response:
        if visit.request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if len(open_streams) >= _MOST_STREAMS:
            raise Stop(503, "Too many pages are open at once.")
        return StreamingResponse(_changes(site, visit, open_streams), media_type="text/event-stream")

    site.get("/events", events)


async def _changes(site: Site, visit: Visit, open_streams: set[object]) -> AsyncIterator[bytes]:
    """`change` whenever something was committed: what it was, the page asks for itself."""
    changed, mark = asyncio.Event(), object()
    gateway, cookie = site.local.gateway, visit.request.cookies.get(COOKIE)
    gateway.watch(changed)
    open_streams.add(mark)
    try:
        yield b"retry: 2000\nevent: hello\ndata: \n\n"
        while not site.local.stopping.is_set():
            try:
                async with asyncio.timeout(_KEEP_ALIVE_S):
                    await changed.wait()
            except TimeoutError:
                yield b": still here\n\n"
            else:
                await asyncio.sleep(_SETTLE_S)
                changed.clear()
                yield b"event: change\ndata: \n\n"
                await asyncio.sleep(_AT_MOST_EVERY_S - _SETTLE_S)
            if await site.sessions.find(cookie) is None:
                return
    finally:
        open_streams.discard(mark)
        gateway.unwatch(changed)
