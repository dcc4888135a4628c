"""/readyz's verdict as a table: facts in, reasons out."""

from __future__ import annotations

import pytest

from agent.metrics.health import RouteFact, UpstreamFact, reasons
from agent.metrics.monitor import Question, is_this_machine
from agent.model import RouteState

UP = RouteFact("sim0", RouteState.READY, None)
DOWN = RouteFact("sim1", RouteState.ABSENT, "/dev/ttyUSB2 is not there.")
MOBSMS = UpstreamFact("mobsms", "mobsms", None)
LOCAL = UpstreamFact("local", "local", None)


@pytest.mark.parametrize(
    ("routes", "upstreams", "journal", "codes"),
    [
        pytest.param([UP], [MOBSMS], None, [], id="well"),
        pytest.param([UP, DOWN], [MOBSMS], None, [], id="one route is enough"),
        pytest.param([DOWN], [MOBSMS], None, [("route_down", "sim1")], id="no route can send"),
        pytest.param([RouteFact("sim0", RouteState.PAUSED, None)], [], None, [("route_down", "sim0")], id="paused"),
        pytest.param([], [LOCAL], None, [], id="remote agents only"),
        pytest.param([], [MOBSMS], None, [("no_route", None)], id="nothing to send by"),
        pytest.param(
            [UP], [UpstreamFact("mobsms", "mobsms", "401")], None, [("upstream_down", "mobsms")], id="upstream"
        ),
        pytest.param([UP], [MOBSMS], "the disk is full", [("journal", None)], id="journal"),
    ],
)
def test_reasons(
    routes: list[RouteFact], upstreams: list[UpstreamFact], journal: str | None, codes: list[tuple[str, str | None]]
) -> None:
    found = reasons(routes, upstreams, journal)
    assert [(reason.code, reason.name) for reason in found] == codes
    assert all(reason.sentence for reason in found)


@pytest.mark.parametrize(
    ("peer", "headers", "is_here"),
    [
        pytest.param("127.0.0.1", {"host": "127.0.0.1:9464"}, True, id="curl on the box"),
        pytest.param("::1", {"host": "[::1]:9464"}, True, id="IPv6"),
        pytest.param("127.0.0.1", {"host": "localhost"}, True, id="localhost"),
        pytest.param("127.0.0.1", {"host": "localhost", "x-forwarded-for": "192.0.2.7"}, False, id="reverse proxy"),
        pytest.param("127.0.0.1", {"host": "sms.example.com"}, False, id="a proxy that says nothing, or rebound DNS"),
        pytest.param("127.0.0.1", {}, False, id="no Host"),
        pytest.param("192.0.2.7", {"host": "127.0.0.1"}, False, id="another machine"),
    ],
)
def test_only_this_machine_asks_without_a_key(peer: str, headers: dict[str, str], is_here: bool) -> None:
    assert is_this_machine(Question("/metrics", headers, peer)) is is_here
