"""Is the gateway well? Facts in, verdict with reasons out. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent.model import RouteState
from drivers.values import dataclass

# A SIM that rests sends when its turn comes; while two of them change places, none is ready.
_CAN_SEND = frozenset({RouteState.READY, RouteState.RESTING})


@dataclass(frozen=True, slots=True)
class RouteFact:
    """What counts of a route."""

    name: str
    state: RouteState
    problem: str | None


@dataclass(frozen=True, slots=True)
class UpstreamFact:
    """What counts of an upstream; `problem` is why it is down, None while it is up."""

    name: str
    type: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why it is not ready. `code` and `name` hold nothing secret; `sentence` is for the owner."""

    code: str
    name: str | None
    sentence: str


def reasons(
    routes: Sequence[RouteFact], upstreams: Sequence[UpstreamFact], journal_problem: str | None
) -> tuple[Reason, ...]:
    """Why messages do not flow; empty where the gateway is ready.

    One route that can send is enough. A gateway without a route serves remote agents by its local server; without
    that too it can do nothing.
    """
    found: list[Reason] = []
    if journal_problem is not None:
        found.append(Reason("journal", None, journal_problem))
    if not routes and not any(upstream.type == "local" for upstream in upstreams):
        found.append(Reason("no_route", None, "no route is configured"))
    if routes and not any(route.state in _CAN_SEND for route in routes):
        found += [
            Reason("route_down", route.name, route.problem or f"route {route.name} is {route.state.value}")
            for route in routes
        ]
    found += [
        Reason("upstream_down", upstream.name, upstream.problem)
        for upstream in upstreams
        if upstream.problem is not None
    ]
    return tuple(found)
