"""A gateway with a modem and Yazsana beside it: who carries what, failover and back, and settled crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent.assembly import open_routes_of
from agent.config import parse
from agent.inbox import Inbox
from agent.model import Job, RouteState
from agent.route import Route
from agent.settings import RouteConfig, RouteSettings
from drivers.api import NoSim, PortAbsent
from drivers.settings import Secret
from drivers.yazsana.driver import YazsanaDriver
from drivers.yazsana.settings import YazsanaSettings
from tests.agent.fakes import Box, FakeModem, MemoryOfJournal
from tests.yazsana.server import KEY, ORG, Fault, YazsanaServer

NUMBER = "+905550000000"
LONG = "x" * 161


@pytest.fixture
async def server() -> AsyncIterator[YazsanaServer]:
    running = YazsanaServer()
    await running.open()
    yield running
    await running.close()


def _add(box: Box, server: YazsanaServer, **route: Any) -> Route:
    """The route "bob", at the server."""
    settings = YazsanaSettings(
        base_url=server.url, api_key=Secret(KEY), org_id=ORG, service="BobSMS", poll_first_s=0.02,
        poll_longest_s=0.1, account_refresh_s=0.1, timeout_s=1.0,
    )  # fmt: skip
    gateway = box.gateway
    gateway.routes["bob"] = Route(
        RouteConfig(settings=RouteSettings(name="bob", driver="yazsana", **route), driver=settings), YazsanaDriver(),
        box.settings, slot=9, takes_any=False, journal=box.journal, clock=box.clock, outbox=gateway.outbox,
        inbox=Inbox(box.journal, box.clock, gateway.committed, gateway.outbox.wake),
        memory=MemoryOfJournal(box.journal),
        views=gateway.views, changed=lambda _: gateway.committed(),
    )  # fmt: skip
    return gateway.routes["bob"]


async def _accept(box: Box, *texts: str, **job: Any) -> list[int]:
    jobs = [Job(f"+90555000{index:04}", text, **job) for index, text in enumerate(texts)]
    return [one.message_id or 0 for one in await box.gateway.accept("cli", jobs)]


async def _ready(box: Box, *names: str) -> None:
    async with asyncio.timeout(30):
        while any(box.gateway.routes[name].view().state is not RouteState.READY for name in names):
            await asyncio.sleep(0.01)


def _gone(count: int = 10_000) -> list[Exception]:
    return [PortAbsent("unplugged")] * count


async def test_a_prefix_goes_by_the_service_and_the_rest_by_the_modem(tmp_path: Path, server: YazsanaServer) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        _add(box, server, prefixes=("+90",))
        box.start()
        await _ready(box, "a", "bob")
        turkish, foreign = await box.gateway.accept(
            "cli", [Job(NUMBER, "to Turkey"), Job("+491710000000", "to Germany")]
        )
        await box.until(turkish.message_id, "sent")
        await box.until(foreign.message_id, "sent")
        assert (server.texts(), modem.texts()) == (["to Turkey"], ["to Germany"])
        (long_,) = await _accept(box, LONG)
        await box.until(long_, "sent")
        assert modem.texts()[-1] == LONG and server.texts() == ["to Turkey"]
        (asked,) = await _accept(box, LONG, route="bob")
        message = await box.gateway.message(asked)
        assert message is not None and message.state == "failed" and "never cut" in (message.error or "")


@pytest.mark.parametrize("is_any", [False, True], ids=["for the route", "for any route"])
async def test_modems_unplugged_in_mid_queue_the_rest_goes_by_http_and_the_credit_adds_up(
    tmp_path: Path, server: YazsanaServer, is_any: bool
) -> None:
    modem = FakeModem(radio_s=0.05)
    routes = {"a": {"fallback": "bob", "fallback_after_s": 0.1}}
    server.course["905550000011"] = ["pending", "not_sent"]
    async with Box(tmp_path, {"a": modem}, routes=routes) as box:
        _add(box, server)
        box.start()
        await _ready(box, "a", "bob")
        texts = [f"message {number}" for number in range(12)]
        ids = await _accept(box, *texts[:11], LONG, route=None if is_any else "a")
        more = await _accept(box, texts[11]) if is_any else await _accept(box, texts[11], route="a")
        async with asyncio.timeout(30):
            while len(modem.sent) < 3:
                await asyncio.sleep(0.01)
        modem.open_errors = _gone()
        modem.lost.set()
        async with asyncio.timeout(30):
            while len(server.sendings) + len(modem.sent) < 12:
                await box.gateway.move_stranded()
                await asyncio.sleep(0.05)
        short = [*ids[:11], *more]
        for message in short:
            await box.until(message, "sent", "failed")
        assert sorted(modem.texts() + server.texts()) == sorted(texts)
        assert server.texts() and len(modem.texts()) >= 3
        # What cannot go by HTTP waits for the modem.
        assert await box.state(ids[11]) == "queued"
        kinds = [event.kind for event in await box.gateway.history(short[-1])]
        assert "rerouted" in kinds
        async with asyncio.timeout(30):
            while server.org_credit + len(server.texts()) - _refunds(server) != Decimal(120):
                await asyncio.sleep(0.02)
        modem.open_errors = []
        await box.until(ids[11], "sent")


def _refunds(server: YazsanaServer) -> int:
    return sum(item.refunded for sending in server.sendings for item in sending.items)


async def test_a_failure_at_the_service_fails_the_message_with_its_sentence(
    tmp_path: Path, server: YazsanaServer
) -> None:
    server.default_course = ["pending", "not_sent"]
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        _add(box, server)
        box.start()
        (message,) = await _accept(box, "Hello", route="bob")
        await box.until(message, "failed")
        found = await box.gateway.message(message)
        assert found is not None and found.error == "The service could not send it; its price was refunded."
        assert server.org_credit == Decimal(120)


async def test_what_waits_at_a_service_that_is_down_goes_back_to_the_modem_that_returned(
    tmp_path: Path, server: YazsanaServer
) -> None:
    modem = FakeModem(open_errors=_gone())
    async with Box(tmp_path, {"a": modem}, routes={"a": {"fallback": "bob", "fallback_after_s": 0}}) as box:
        _add(box, server)
        box.start()
        await _ready(box, "bob")
        await box.gateway.pause("bob", is_paused=True)
        ids = await _accept(box, "one", "two|three", route="a")
        await box.gateway.pause("bob", is_paused=False)
        server.faults = [Fault("/one", 503, count=1000, headers={"Retry-After": "60"})]
        async with asyncio.timeout(30):
            while not (await box.gateway.queue_length()).get("bob"):
                await box.gateway.move_stranded()
                await asyncio.sleep(0.02)
        modem.open_errors = []
        await _ready(box, "a")
        async with asyncio.timeout(30):
            while modem.texts() != ["one", "two", "three"]:
                await box.gateway.move_stranded()
                await asyncio.sleep(0.05)
        for message in ids:
            await box.until(message, "sent")
        assert server.sendings == []


async def test_a_service_without_credit_hands_over_to_its_fallback(tmp_path: Path, server: YazsanaServer) -> None:
    server.org_credit = Decimal("0.5")
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        bob = _add(box, server, fallback="a", fallback_after_s=0.1, prefixes=("+90",))
        box.start()
        await _ready(box, "a", "bob")
        ids = await _accept(box, "one", "two")
        async with asyncio.timeout(30):
            while sorted(modem.texts()) != ["one", "two"]:
                await box.gateway.move_stranded()
                await asyncio.sleep(0.02)
        for message in ids:
            await box.until(message, "sent")
        assert bob.view().state is RouteState.REFUSED and "credit" in (bob.view().problem or "").lower()
        assert server.sendings == [] and server.org_credit == Decimal("0.5")


async def test_a_text_that_no_fallback_can_carry_fails_where_there_is_no_sim(
    tmp_path: Path, server: YazsanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.standing._NO_SIM_CERTAIN_S", 0.0)
    async with Box(
        tmp_path, {"a": FakeModem(open_errors=[NoSim("no SIM")] * 100)}, routes={"a": {"fallback": "bob"}}
    ) as box:
        _add(box, server)
        short, long_ = await _accept(box, "short", LONG, route="a")
        box.start()
        await _ready(box, "bob")
        async with asyncio.timeout(30):
            while await box.state(long_) != "failed":
                await box.gateway.move_stranded()
                await asyncio.sleep(0.02)
        await box.until(short, "sent")
        found = await box.gateway.message(long_)
        assert found is not None and "bob cannot carry it" in (found.error or "")
        assert server.texts() == ["short"]


async def test_a_crash_between_the_services_answer_and_the_commit_sends_nothing_twice(
    tmp_path: Path, server: YazsanaServer
) -> None:
    async with Box(tmp_path, {}, unknown_wait_s=30) as box:
        _add(box, server)
        box.start()
        await _ready(box, "bob")
        server.faults = [Fault("/one", "hang")]
        (message,) = await _accept(box, "Hello", route="bob")
        async with asyncio.timeout(30):
            while not server.sendings:
                await asyncio.sleep(0.01)
        again = await box.crash()
        try:
            _add(again, server)
            assert await again.state(message) == "unknown"
            again.start()
            await again.until(message, "sent")
            found = await again.gateway.message(message)
            assert found is not None and not found.may_be_double
            assert server.texts() == ["Hello"]
            await again.stop()
        finally:
            await again.journal.close()
            await box.__aenter__()


def test_who_takes_what_is_meant_for_none_in_particular() -> None:
    def opened(*routes: dict[str, Any]) -> set[str]:
        at = {"yazsana": {"base_url": "https://x", "api_key": "k"}}
        tables = [{**at.get(route.get("driver", ""), {"port": f"/dev/{route['name']}"}), **route} for route in routes]
        return open_routes_of(parse({"route": tables}))

    bob: dict[str, Any] = {"name": "bob", "driver": "yazsana"}
    assert opened({"name": "a"}, {"name": "b"}, bob) == {"a", "b"}
    assert opened(bob, {"name": "a", "fallback": "bob"}) == {"a"}
    assert opened(bob) == {"bob"}
    assert opened({**bob, "prefixes": ["+90"]}, {"name": "a"}) == {"a"}
    assert opened({"name": "a", "prefixes": ["+90"]}) == {"a"}
    assert opened({"name": "a", "fallback": "b"}, {"name": "b"}) == {"a", "b"}
