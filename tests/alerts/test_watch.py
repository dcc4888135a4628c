"""Alerts on a real journal and a scripted modem: raised, told and cleared once each, over restarts too."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.alerts.settings import KINDS, AlertSettings
from agent.alerts.telling import Notice
from agent.config import ConfigError, keys_of, parse
from agent.model import RouteState
from drivers.api import NoSim
from tests.agent.fakes import Box, FakeModem
from tests.mobsms_server.http1 import HttpServer, Request, Response

NOW: dict[str, Any] = {
    "clear_after_s": 0,
    "no_network_after_s": 0,
    "sim_blocked_after_s": 0,
    "upstream_down_after_s": 0,
}
OWNER = "+491700000001"


class Watched:
    """A box whose alerts are looked at by hand."""

    def __init__(self, box: Box, **keys: Any) -> None:
        self.box = box
        self.alerts = box.gateway.alerts
        self.alerts._settings = parse({"alerts": {**NOW, **keys}}).alerts
        self.notices: list[Notice] = []
        box.gateway.alert_takers.append(self.notices.append)

    async def look(self) -> list[tuple[str, str, str]]:
        """One look; who was told of what by it."""
        before = len(self.notices)
        await self.alerts.look()
        return [(notice.event, notice.kind, notice.subject) for notice in self.notices[before:]]


async def ready(box: Box, name: str = "a") -> None:
    async with asyncio.timeout(30):
        while box.gateway.routes[name].view().state != "ready":
            await asyncio.sleep(0.01)


async def test_raised_once_told_once_cleared_once(tmp_path: Path) -> None:
    modem = FakeModem(open_errors=[NoSim("there is no SIM card; put one in")])
    async with Box(tmp_path, {"a": modem}) as box:
        watched = Watched(box)
        box.start()
        async with asyncio.timeout(30):
            while box.gateway.routes["a"].view().state != "no SIM":
                await asyncio.sleep(0.01)
        assert await watched.look() == [("raised", "sim_blocked", "a")]
        commits = box.journal.commits
        assert await watched.look() == await watched.look() == []
        assert box.journal.commits == commits, "an uneventful look writes nothing"
        assert [alert.key for alert in await watched.alerts.standing()] == [("sim_blocked", "a")]
        await box.gateway.routes["a"].retry_pin()  # hurries the next try to open
        await ready(box)
        assert await watched.look() == [("cleared", "sim_blocked", "a")]
        assert await watched.look() == []
        assert await watched.alerts.standing() == []
        assert [alert.kind for alert in await watched.alerts.history(10)] == ["sim_blocked"]
        kinds = [event.kind for event in await box.gateway.newest_events(50)]
        assert kinds.count("alert") == kinds.count("alert_cleared") == 1


async def test_no_storm_after_a_restart(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        box.gateway.routes["a"]._standing.move(RouteState.ABSENT, "/dev/ttyUSB0 is not there…", -1e9)
        assert await Watched(box).look() == [("raised", "no_network", "a")]
        again = await box.crash()
        try:
            watched = Watched(again, no_network_after_s=600)
            watched.alerts.active = await watched.alerts.standing()
            assert await watched.look() == [], "starting is neither well nor a new alert"
            again.start()
            await ready(again)
            assert await watched.look() == [("cleared", "no_network", "a")]
        finally:
            await again.stop()
            await again.journal.close()


async def test_quiet_hours_hold_what_still_stands_and_forget_what_is_over(tmp_path: Path) -> None:
    async with Box(tmp_path, {}) as box:
        watched = Watched(box, quiet_hours="00:00-23:59", disk_free_below_mb=1e9)
        watched.alerts.gave_up(2)
        assert await watched.look() == []
        assert {alert.kind for alert in await watched.alerts.standing()} == {"disk", "given_up"}
        watched.alerts._settings = parse({"alerts": {**NOW, "quiet_hours": "00:00-23:59"}}).alerts
        assert await watched.look() == []  # the disk is well again, and nobody was woken
        watched.alerts._settings = parse({"alerts": NOW}).alerts
        assert await watched.look() == [("raised", "given_up", "")]


async def test_the_owner_gets_an_sms_by_a_route_that_the_alert_is_not_about(tmp_path: Path) -> None:
    good = FakeModem()
    async with Box(tmp_path, {"a": FakeModem(), "b": good}) as box:
        box.tasks.append(asyncio.create_task(box.gateway.routes["b"].run()))
        await ready(box, "b")
        watched = Watched(box, sms_to=[OWNER, "+491700000002"], sms_per_day=2)
        box.gateway.routes["a"]._standing.move(RouteState.ABSENT, "/dev/ttyUSB0 is not there…", -1e9)
        await watched.look()
        async with asyncio.timeout(30):
            while len(good.sent) < 2:
                await asyncio.sleep(0.01)
        assert {part.recipient for _, part in good.sent} == {OWNER, "+491700000002"}
        text = good.texts()[0]
        assert "a could not send" in text and len(text) <= 160 and text.isascii()
        watched.alerts._settings = parse({"alerts": {**NOW, "sms_to": [OWNER], "sms_per_day": 2,
                                                     "disk_free_below_mb": 1e9}}).alerts  # fmt: skip
        assert await watched.look() == [("raised", "disk", "")]
        await asyncio.sleep(0)
        assert len(good.sent) == 2, "sms_per_day is used up"


async def test_the_webhook_is_signed_and_called_once(tmp_path: Path) -> None:
    got: list[Request] = []

    async def handle(request: Request) -> Response:
        got.append(request)
        return Response(200, b"{}")

    async with Box(tmp_path, {}) as box:
        server = HttpServer("127.0.0.1", 0, handle, None)
        await server.open()
        box.tasks.append(asyncio.create_task(box.gateway.hooks.run()))
        url = f"http://127.0.0.1:{server.port}/alarm"
        watched = Watched(box, webhook=url, disk_free_below_mb=1e9)
        await watched.look()
        await watched.look()
        async with asyncio.timeout(30):
            while not got:
                await asyncio.sleep(0.01)
        (told,) = await box.gateway.alerts.test()
        assert told.ok and told.detail == "HTTP 200"
        await box.stop()
        await server.close()
        server._socket.close()
    documents = [json.loads(request.body) for request in got]
    assert [(one["event"], one["state"], one["kind"]) for one in documents] == [
        ("alert", "raised", "disk"),
        ("alert", "test", "test"),
    ]
    assert all("x-phonebridge-signature" in {name.lower() for name in request.headers} for request in got)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        pytest.param({"sms_route": "sim9"}, 'alerts.sms_route: there is no route "sim9"', id="no such route"),
        pytest.param({"mute": ["disc"]}, "alerts.mute", id="no such kind"),
        pytest.param({"webhook": "example.com"}, "alerts.webhook", id="no address"),
        pytest.param({"sms_to": ["me"]}, "a phone number", id="no number"),
        pytest.param({"sms": []}, 'did you mean "sms_to"', id="misspelt"),
    ],
)
def test_a_bad_section_is_one_sentence(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"alerts": keys})
    assert sentence in str(caught.value)


def test_the_document_has_every_kind_and_every_key_and_no_other() -> None:
    document = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", document, re.MULTILINE)
    assert [row for row in rows if row[0] in KINDS] == list(KINDS.items())
    assert {row[0] for row in rows} == {*KINDS, *keys_of(AlertSettings)}
