"""The breaker: a streak parks the SIM, a slip does not, and one refused message is told from a refused SIM."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.breaker import FIRST_PARK_S, LONGEST_PARK_S, STREAK, Breaker, Verdict
from agent.model import Job, RouteState
from drivers.api import (
    BalanceRead,
    IncomingCall,
    Link,
    LinkChanged,
    RecoveryStep,
    Registration,
    RouteRefused,
    Submitted,
)
from tests.agent.fakes import Box, FakeModem

TO = "+4915112345678"


def test_a_streak_parks_and_the_park_ends() -> None:
    breaker = Breaker()
    verdicts = [breaker.refused((number, 1), 0.0, is_certain=False) for number in range(STREAK)]
    assert verdicts == [Verdict.WAIT] * (STREAK - 1) + [Verdict.PARK]
    assert breaker.is_open(FIRST_PARK_S - 1) and not breaker.is_open(FIRST_PARK_S)


def test_what_is_sent_in_between_breaks_the_streak() -> None:
    breaker = Breaker()
    for number in range(20):
        assert breaker.refused((number, 1), 0.0, is_certain=False) is Verdict.WAIT
        breaker.sent()
    assert not breaker.is_open(0.0)


def test_after_a_park_one_refusal_parks_again_for_longer_up_to_a_limit() -> None:
    breaker = Breaker()
    now = 0.0
    lengths = []
    for _ in range(12):
        while breaker.refused((1, 1), now, is_certain=False) is not Verdict.PARK:
            pass
        lengths.append(breaker.park_s)
        now += breaker.park_s
    assert lengths[:3] == [FIRST_PARK_S, 2 * FIRST_PARK_S, 4 * FIRST_PARK_S] and lengths[-1] == LONGEST_PARK_S
    breaker.sent()
    assert breaker.refused((1, 1), now, is_certain=False) is Verdict.WAIT


def test_a_certain_refusal_parks_at_once() -> None:
    assert Breaker().refused((1, 1), 0.0, is_certain=True) is Verdict.PARK


def test_a_message_that_alone_is_refused_is_blamed_itself() -> None:
    breaker = Breaker()
    verdicts = []
    for _ in range(3):
        verdicts.append(breaker.refused((7, 1), 0.0, is_certain=False))
        breaker.sent()
    assert verdicts == [Verdict.WAIT, Verdict.WAIT, Verdict.MESSAGE]


async def test_a_parked_route_says_why_and_its_messages_may_move(tmp_path: Path) -> None:
    barred = RouteRefused("The operator has barred this SIM card from sending.", code="CMS 8", is_certain=True)
    modems = {"a": FakeModem(answers=[barred]), "b": FakeModem(iccid="8949000000000000002")}
    routes = {"a": {"fallback": "b", "fallback_after_s": 0}}
    async with Box(tmp_path, modems, routes=routes) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x", route="a")])
        route, changed = box.gateway.routes["a"], asyncio.Event()
        box.gateway.watch(changed)
        async with asyncio.timeout(10):
            while route.view().state is not RouteState.REFUSED:
                await changed.wait()
                changed.clear()
        assert "barred" in (route.view().problem or "")
        while modems["b"].texts() != ["x"]:
            await box.gateway.move_stranded()
            await box.until(accepted.message_id, "queued", "sending", "sent")
        await box.until(accepted.message_id, "sent")


async def test_why_it_is_parked_is_shown_until_the_park_ends_whatever_the_signal_does(tmp_path: Path) -> None:
    modem = FakeModem(answers=[RouteRefused("The operator has barred this SIM card.", is_certain=True)])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        await box.gateway.accept("cli", [Job(TO, "x")])
        route, changed = box.gateway.routes["a"], asyncio.Event()
        box.gateway.watch(changed)
        while route.view().state is not RouteState.REFUSED:
            await changed.wait()
            changed.clear()
        await modem.contexts[-1].emit(LinkChanged(Link(registration=Registration.HOME, signal_dbm=-71)))
        view = route.view()
        assert view.link is not None and view.link.signal_dbm == -71
        assert (view.state, "barred" in (view.problem or "")) == (RouteState.REFUSED, True)


async def test_recovery_calls_and_balance_are_history_of_the_route(tmp_path: Path) -> None:
    modem = FakeModem(
        on_open=[
            RecoveryStep("radio", "The radio is switched off and on."),
            IncomingCall("8949000000000000001", "+491701234567", is_rejected=True),
            BalanceRead("8949000000000000001", "Balance 9.99 EUR", "9.99"),
        ],
        answers=[Submitted(5)],
    )
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        await box.until(accepted.message_id, "sent")
        events = [event for event in await box.gateway.events_after(0) if event.route == "a"]
        told = {event.kind: event.detail for event in events}
        assert "radio" in (told["recovery"] or "") and told["call"] == "+491701234567, rejected"
        assert told["balance"] == "9.99" and box.gateway.routes["a"].view().balance == "9.99"


async def test_a_part_that_went_without_asking_for_a_report_waits_for_none(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem(answers=[Submitted(5, report_asked=False)])}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        await box.until(accepted.message_id, "sent")
        asked = await box.journal.read(lambda con: con.execute("SELECT report_asked FROM attempt").fetchone()[0])
        assert asked == 0
