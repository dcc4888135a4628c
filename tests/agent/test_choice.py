"""Each way to choose a route, as a table; lists of prefixes; and both in a gateway with a real journal."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent import numbers
from agent.choice import ANY, Candidate, Policy, order
from agent.model import Job
from agent.prefixes import Lists, cost
from drivers.api import NotReady, OutcomeUnknown, PortAbsent
from tests.agent.fakes import Box, FakeModem

TO = "+4915112345678"


def route(name: str, **keys: Any) -> Candidate:
    return Candidate(name, **{"is_open": not keys.get("prefixes"), "can_now": True, **keys})


CHEAP, DEAR = route("cheap", cost=0.01), route("dear", cost=0.09)
GERMAN, MOBILE = route("german", prefixes=("+49",)), route("mobile", prefixes=("+4915",))


@pytest.mark.parametrize(
    ("candidates", "policy", "more", "expected"),
    [
        ([route("a"), route("b")], "least_busy", {}, [ANY]),
        ([route("a"), route("b")], "least_busy", {"may_be_any": False}, ["a", "b"]),
        ([route("a"), GERMAN, MOBILE], "least_busy", {}, ["mobile"]),
        ([route("a"), GERMAN], "least_busy", {}, ["german"]),
        ([route("a"), route("french", prefixes=("+33",))], "least_busy", {}, [ANY]),
        ([route("french", prefixes=("+33",), is_open=False)], "least_busy", {}, []),
        ([DEAR, CHEAP], "least_busy", {}, ["cheap", "dear"]),
        ([DEAR, CHEAP], "round_robin", {"turn": 1}, ["cheap", "dear"]),
        ([DEAR, route("cheap", cost=0.01, can_now=False)], "least_busy", {}, ["dear", "cheap"]),
        ([route("x", prefixes=("+49",), cost=2), route("y", prefixes=("+49",), cost=1)], "least_busy", {}, ["y", "x"]),
        ([route("x", prefixes=("+49",), load=5), route("y", prefixes=("+49",), load=4)], "least_busy", {}, ["y", "x"]),
        ([route("a"), route("b"), route("c")], "round_robin", {"turn": 0}, ["a", "b", "c"]),
        ([route("a"), route("b"), route("c")], "round_robin", {"turn": 4}, ["b", "a", "c"]),
        ([route("a"), route("b", can_now=False)], "round_robin", {"turn": 1}, ["a", "b"]),
        ([route("a"), route("b")], "sticky", {"last": "b"}, ["b", "a"]),
        ([route("a"), route("b")], "sticky", {"last": "a"}, ["a", "b"]),
        ([route("a"), route("b", can_now=False)], "sticky", {"last": "b"}, ["a", "b"]),
    ],
    ids=["least busy: whichever is idle", "least busy: shortest queue where one refuses", "longest prefix",
         "prefix", "no prefix of this number", "nobody serves it", "cheapest", "price before turn",
         "cheapest that can", "price among equal prefixes", "queue among equal prefixes", "round robin, first",
         "round robin, fifth", "round robin over what can", "sticky", "sticky, other", "sticky, but down"],
)  # fmt: skip
def test_each_choice(candidates: list[Candidate], policy: Policy, more: dict[str, Any], expected: list[str]) -> None:
    assert order(TO, candidates, policy, **more) == expected


def test_sticky_spreads_new_numbers_keeps_them_and_moves_only_those_of_a_lost_route() -> None:
    routes = [route("a"), route("b"), route("c")]
    numbers_ = [f"+4915{n:08}" for n in range(300)]
    before = {number: order(number, routes, "sticky")[0] for number in numbers_}
    assert min(Counter(before.values()).values()) > 60
    after = {number: order(number, routes[:2], "sticky")[0] for number in numbers_}
    assert all(after[number] == before[number] for number in numbers_ if before[number] != "c")


@pytest.mark.parametrize(
    ("allow", "deny", "number", "refused_by"),
    [
        ((), (), TO, None),
        ((), ("+49900",), "+49900123", 'deny_prefixes has "+49900"'),
        ((), ("+49900",), TO, None),
        ((), ("+49900",), "49900123", 'deny_prefixes has "+49900"'),
        ((), ("+49900",), "0049900123", 'deny_prefixes has "+49900"'),
        (("+49",), (), TO, None),
        (("+49",), (), "+33612345678", "allow_prefixes has none"),
        (("+49",), ("+49900",), "+49900123", 'deny_prefixes has "+49900"'),
        (("+49900123",), ("+49900",), "+49900123", None),
        (("+49",), ("+49",), TO, 'deny_prefixes has "+49"'),
        (("+",), (), "112", "allow_prefixes has none"),
    ],
)
def test_allow_and_deny_lists(
    allow: tuple[str, ...], deny: tuple[str, ...], number: str, refused_by: str | None
) -> None:
    found = Lists(allow, deny).refusal(number)
    assert found == refused_by if refused_by is None else (found or "").startswith(refused_by)


def test_cost_by_the_longest_prefix() -> None:
    table = {"+": 0.2, "+49": 0.05, "+4915": 0.01}
    assert [cost(0.5, table, number) for number in (TO, "+4930", "+33", "112")] == [0.01, 0.05, 0.2, 0.5]


@pytest.mark.parametrize(
    ("given", "region", "number"),
    [
        ("0151 1234 5678", "DE", TO),
        ("0151-12345678", "DE", TO),
        ("(0151) 123.456/78", "DE", TO),
        ("004915112345678", "DE", TO),
        ("0114915112345678", "US", TO),
        ("07911 123456", "GB", "+447911123456"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("0532 123 45 67", "TR", "+905321234567"),
        (TO, "US", TO),
        ("22333", "DE", "22333"),
        ("0151 1234 5678", None, "015112345678"),
    ],
)
def test_national_numbers_become_e164_by_region(given: str, region: str | None, number: str) -> None:
    assert numbers.dialable(given, region) == number


# --- in a gateway -------------------------------------------------------------------------------------


async def _by(box: Box, *jobs: Job) -> list[str | None]:
    """By which route each is sent, or why it failed."""
    found = []
    for accepted in await box.gateway.accept("cli", list(jobs)):
        await box.until(accepted.message_id, "sent", "failed")
        message = await box.gateway.message(accepted.message_id or 0)
        assert message is not None
        found.append(message.error or message.route)
    return found


async def _ready(box: Box) -> None:
    box.start()
    async with asyncio.timeout(30):
        while any(view.state != "ready" for view in box.gateway.route_views()):
            await asyncio.sleep(0.01)


def _numbers(count: int) -> list[Job]:
    return [Job(f"+4915112345{n:03}", f"text {n}") for n in range(count)]


def _two(**keys: Any) -> dict[str, FakeModem]:
    """Two modems with a SIM each."""
    return {"dear": FakeModem(iccid="8949000000000000001", **keys), "cheap": FakeModem(iccid="8949000000000000002")}


async def test_round_robin_takes_turns(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem(), "b": FakeModem()}, choice="round_robin") as box:
        await _ready(box)
        assert await _by(box, *_numbers(6)) == ["a", "b", "a", "b", "a", "b"]


async def test_sticky_stays_with_the_route_that_was_last_in_touch(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem(), "b": FakeModem()}, choice="sticky") as box:
        await _ready(box)
        for name in ("a", "b"):
            await _by(box, Job(TO, "asked for", route=name))
            assert await _by(box, Job(TO, "one"), Job(TO, "two")) == [name, name]


async def test_least_busy_leaves_it_to_whichever_is_idle(tmp_path: Path) -> None:
    slow, quick = FakeModem(radio_s=1.0), FakeModem(radio_s=0.01)
    async with Box(tmp_path, {"slow": slow, "quick": quick}) as box:
        await _ready(box)
        found = await _by(box, *_numbers(8))
        assert found.count("quick") >= 6


async def test_cheapest_that_can_and_the_next_when_its_limit_is_reached(tmp_path: Path) -> None:
    routes: dict[str, dict[str, Any]] = {
        "dear": {"cost": 0.09},
        "cheap": {"cost": 0.01, "rate_per_day": 2, "costs": {"+33": 0.5}},
    }
    async with Box(tmp_path, _two(), routes=routes) as box:
        await _ready(box)
        assert await _by(box, Job("+33612345678", "France")) == ["dear"]
        assert await _by(box, *_numbers(2)) == ["cheap", "cheap"]
        assert await _by(box, *_numbers(2)) == ["dear", "dear"]


async def test_what_nobody_asked_to_go_by_a_route_moves_when_that_is_held_up(tmp_path: Path) -> None:
    routes: dict[str, dict[str, Any]] = {"dear": {"cost": 0.09}, "cheap": {"cost": 0.01, "rate_per_day": 2}}
    async with Box(tmp_path, _two(), routes=routes) as box:
        accepted = await box.gateway.accept("cli", _numbers(4))
        (asked,) = await box.gateway.accept("cli", [Job(TO, "asked", route="cheap")])
        await _ready(box)
        for one in accepted[:2]:
            await box.until(one.message_id, "sent")
        await box.gateway.move_stranded()
        for one in accepted[2:]:
            await box.until(one.message_id, "sent")
        assert box.modems["dear"].texts() == ["text 2", "text 3"]
        history = [event.detail for event in await box.gateway.history(accepted[3].message_id or 0)]
        assert any("daily limit of 2" in (detail or "") for detail in history)
        assert (await box.gateway.waits([asked.message_id or 0]))[asked.message_id or 0].startswith(
            "route cheap: daily"
        )


async def test_a_message_with_an_attempt_never_moves(tmp_path: Path) -> None:
    async def lost(_: Any) -> Any:
        raise OutcomeUnknown("cut off")

    routes: dict[str, dict[str, Any]] = {
        "dear": {"cost": 0.09}, "cheap": {"cost": 0.01, "fallback_after_s": 0, "fallback": "dear"},
    }  # fmt: skip
    cheap = FakeModem(answers=[lost])
    async with Box(tmp_path, {"dear": FakeModem(), "cheap": cheap}, routes=routes, unknown_wait_s=60) as box:
        await _ready(box)
        (tried,) = await box.gateway.accept("cli", [Job(TO, "one|two")])
        await box.until(tried.message_id, "unknown")
        cheap.open_errors.extend([PortAbsent("unplugged")] * 1000)
        cheap.lost.set()
        while box.gateway.routes["cheap"].view().state != "absent":
            await asyncio.sleep(0.01)
        assert await _by(box, Job("+4915112345679", "new")) == ["dear"]
        await box.gateway.move_stranded()
        assert await box.state(tried.message_id) == "unknown"
        assert box.modems["dear"].texts() == ["new"]


async def test_fallback_comes_before_the_choice_of_others(tmp_path: Path) -> None:
    routes: dict[str, dict[str, Any]] = {
        "home": {"prefixes": ["+49"], "fallback": "second", "fallback_after_s": 0.05},
        "second": {"cost": 5.0}, "third": {"prefixes": ["+49"], "cost": 1.0},
    }  # fmt: skip
    home = FakeModem(open_errors=[PortAbsent("unplugged")] * 1000)
    modems = {"home": home, "second": FakeModem(), "third": FakeModem()}
    async with Box(tmp_path, modems, routes=routes) as box:
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "hello")])
        box.start()
        async with asyncio.timeout(30):
            while await box.state(accepted.message_id) == "queued":
                await box.gateway.move_stranded()
                await asyncio.sleep(0.02)
        await box.until(accepted.message_id, "sent")
        assert modems["second"].texts() == ["hello"]


@pytest.mark.parametrize(
    ("agent", "routes", "job", "expected"),
    [
        ({"deny_prefixes": ("+49900",)}, {}, Job("+49900123", "x"),
         'this gateway does not send to +49900123: agent.deny_prefixes has "+49900"'),
        ({"allow_prefixes": ("+49",)}, {}, Job("+33612345678", "x"),
         "this gateway does not send to +33612345678: agent.allow_prefixes has none that it begins with"),
        ({}, {"a": {"deny_prefixes": ("+49900",)}}, Job("+49900123", "x", route="a"),
         'route a does not send to +49900123: route[a].deny_prefixes has "+49900"'),
        ({}, {"a": {"deny_prefixes": ("+49900",)}}, Job("+49900123", "x"), "b"),
        ({}, {"a": {"deny_prefixes": ("+49900",), "fallback": "b"}}, Job("+49900123", "x", route="a"), "b"),
        ({}, {"a": {"allow_prefixes": ("+49",)}, "b": {"deny_prefixes": ("+33",)}}, Job("+33612345678", "x"),
         "no route of this gateway sends to +33612345678; see its prefixes, allow and deny lists"),
        ({"default_region": "DE", "deny_prefixes": ("+49900",)}, {}, Job("0900 1234567", "x"),
         'this gateway does not send to +499001234567: agent.deny_prefixes has "+49900"'),
    ],
    ids=["gateway denies", "gateway allows others", "route denies", "another route may", "its fallback may",
         "no route may", "a national number is seen through"],
)  # fmt: skip
async def test_denied_numbers_fail_with_a_sentence_or_go_by_who_may(
    tmp_path: Path, agent: dict[str, Any], routes: dict[str, Any], job: Job, expected: str
) -> None:
    async with Box(tmp_path, {"a": FakeModem(), "b": FakeModem()}, routes=routes, **agent) as box:
        await _ready(box)
        assert await _by(box, job) == [expected]


async def test_a_retry_says_when(tmp_path: Path) -> None:
    modem = FakeModem(answers=[NotReady("no service")] * 3)
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        async with asyncio.timeout(30):
            while not (waits := await box.gateway.waits([accepted.message_id or 0])):
                await asyncio.sleep(0.01)
        assert "next try at" in next(iter(waits.values()))
