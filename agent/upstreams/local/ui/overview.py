"""The first page: each route's state, signal and last 24 hours, what waits, and the newest messages."""

from __future__ import annotations

from typing import Any

from starlette.responses import RedirectResponse, Response

from agent.gateway import NoSuchRoute
from agent.journal.listing import Filter
from agent.upstreams.local.ui import words
from agent.upstreams.local.ui.page import ROOT
from agent.upstreams.local.ui.site import Site, Stop, Visit
from agent.upstreams.local.ui.words import GROUPS, Chart, Signal, Word
from drivers.values import dataclass

_NEWEST = 8


@dataclass(frozen=True, slots=True)
class RouteCard:
    """A route for the eye. `chart` and `queued` only for the owner, since they count everybody's messages."""

    name: str
    slot: int | None
    word: Word
    problem: str | None
    operator: str | None
    number: str | None
    model: str | None
    signal: Signal | None
    price: str | None
    credit: str | None
    is_roaming: bool
    is_paused: bool
    is_sending: bool
    queued: int
    limits: str
    chart: Chart | None


def add(site: Site) -> None:
    local = site.local

    async def overview(visit: Visit) -> Response:
        queued = await local.gateway.queue_length()
        leaf = await site.reading.leaf(visit.caller, (), None)
        return await site.show(
            visit,
            "overview",
            routes=await _routes(site, visit, queued),
            queued_anywhere=queued.get("", 0),
            upstreams=[view() for view in local.gateway.upstreams.values()] if visit.caller.is_owner else [],
            counts=await _counts(site, visit),
            messages=leaf.messages[:_NEWEST],
        )

    async def pause(visit: Visit) -> Response:
        return await switch(visit, is_paused=True)

    async def resume(visit: Visit) -> Response:
        return await switch(visit, is_paused=False)

    async def switch(visit: Visit, *, is_paused: bool) -> Response:
        if not visit.caller.is_owner:
            raise Stop(403, "Only the owner of this gateway may pause or resume a route.")
        name = str(visit.request.path_params["name"])
        try:
            await local.gateway.pause(name, is_paused=is_paused)
        except NoSuchRoute as error:
            raise Stop(404, "There is no such route.") from error
        visit.said(f"Route {name} {'is paused: what is accepted waits' if is_paused else 'goes on'}.")
        return RedirectResponse(ROOT, 303)

    site.get("/", overview)
    site.post("/routes/{name}/pause", pause)
    site.post("/routes/{name}/resume", resume)


async def _routes(site: Site, visit: Visit, queued: dict[str, int]) -> list[RouteCard]:
    cards = []
    for view in site.local.gateway.route_views():
        link, sim = view.link, view.sim
        is_owner = visit.caller.is_owner
        cards.append(
            RouteCard(
                name=view.name,
                slot=view.sim_slot,
                word=words.ROUTE_WORDS[view.state],
                problem=view.problem,
                operator=None if link is None else link.operator,
                number=None if sim is None else sim.number,
                model=None if link is None else " ".join(filter(None, (link.manufacturer, link.model))) or None,
                signal=words.signal(link.signal_dbm) if link else None,
                price=None if link is None else link.price,
                credit=None if link is None else link.credit,
                is_roaming=link is not None and link.registration.value == "roaming",
                is_paused=view.is_paused,
                is_sending=view.is_sending,
                queued=queued.get(view.name, 0) if is_owner else 0,
                limits=_limits(site.local.gateway.route(view.name).config.settings),
                chart=await site.reading.chart(view.name) if is_owner else None,
            )
        )
    return cards


def _limits(settings: Any) -> str:
    """The configured limits in words, '' without any."""
    parts = [
        f"{count} per {name}"
        for name, count in (
            ("minute", settings.rate_per_minute),
            ("hour", settings.rate_per_hour),
            ("day", settings.rate_per_day),
            ("month", settings.rate_per_month),
        )
        if count is not None
    ]
    if settings.send_delay_s:
        parts.append(f"{settings.send_delay_s:g} s between messages")
    if settings.quiet_hours:
        parts.append(f"quiet {settings.quiet_hours}")
    return ", ".join(parts)


async def _counts(site: Site, visit: Visit) -> dict[str, int]:
    """How many messages the visitor has in each group, from the counters."""
    caller = visit.caller
    return {
        name: await site.local.gateway.total(
            Filter(
                account=caller.account,
                with_unowned=caller.is_owner,
                direction="inbound" if name == "received" else "outbound",
                states=states,
            )
        )
        for name, states in GROUPS.items()
        if name != "cancelled"
    }
