"""All upstreams on the same modems: told from what each modem was given, in its order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.model import Job
from drivers.api import PlannedPart, PlanOptions
from tests.agent.fakes import Box, FakeDriver, FakeModem

RADIO_S = 0.02


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    modems = {"a": FakeModem(radio_s=RADIO_S), "b": FakeModem(iccid="8949000000000000002", radio_s=RADIO_S)}
    async with Box(tmp_path, modems) as found:
        for name in ("bulk", "other", "single"):
            await found.gateway.ensure_upstream(name, name)
        yield found


def _campaign(name: str, count: int, *, route: str | None = None) -> list[Job]:
    return [Job(f"+4917{name == 'bulk':d}{number:07d}", f"{name} {number}", route=route) for number in range(count)]


async def _all_sent(box: Box, count: int) -> None:
    async with asyncio.timeout(20):
        while sum(len(modem.sent) for modem in box.modems.values()) < count:
            await asyncio.sleep(0.005)


def _between(box: Box, text: str, since: int) -> int:
    """How many others left, on all modems, after `since` of them and before this one began."""
    order = sorted((at, part.body.decode()) for modem in box.modems.values() for at, part in modem.sent)
    return [body for _, body in order].index(text) - since


@pytest.mark.parametrize(("route", "lines"), [(None, 2), ("a", 1)], ids=["any route", "one route"])
async def test_a_campaign_costs_anothers_message_one_wait_for_each_route(
    box: Box, route: str | None, lines: int
) -> None:
    box.start()
    await box.gateway.accept("bulk", _campaign("bulk", 60, route=route))
    for number in range(3):
        await _all_sent(box, 5 + 10 * number)
        sent = sum(len(modem.sent) for modem in box.modems.values())
        await box.gateway.accept("single", [Job("+4916000", f"single {number}", route=route)])
        # Some may have begun while it was accepted.
        begun = sum(len(modem.sent) for modem in box.modems.values())
        await _all_sent(box, sent + 2 * lines + 2)
        assert _between(box, f"single {number}", begun) <= lines


async def test_campaigns_take_turns_and_keep_their_own_order(box: Box) -> None:
    await box.gateway.accept("bulk", _campaign("bulk", 12, route="a"))
    await box.gateway.accept("other", _campaign("other", 4, route="a"))
    box.start()
    await _all_sent(box, 16)
    sent = box.modems["a"].texts()
    assert sent[:8] == [f"{name} {number}" for number in range(4) for name in ("bulk", "other")]
    assert sent[8:] == [f"bulk {number}" for number in range(4, 12)]


async def test_nobody_overtakes_to_the_same_number_and_priority_comes_before_turns(box: Box) -> None:
    number = "+491555"
    first, *rest = _campaign("bulk", 6, route="a")
    await box.gateway.accept("bulk", [first, *rest, Job(number, "elder", route="a"), Job(number, "elder 2", route="a")])
    await box.gateway.accept("single", [Job(number, "younger", route="a"), Job("+491556", "next", route="a")])
    await box.gateway.accept("bulk", [Job("+491557", "urgent", route="a", priority=1)])
    box.start()
    await _all_sent(box, 11)
    sent = box.modems["a"].texts()
    assert sent[0] == "urgent"
    assert sent.index("elder") < sent.index("elder 2") < sent.index("younger") < sent.index("next")
    # It waits for its elders and one message of the campaign each, not for the campaign.
    assert sent.index("younger") <= 5


async def test_a_message_in_several_parts_stays_together(box: Box) -> None:
    await box.gateway.accept("bulk", [Job("+49171", "1|2|3|4", route="a"), Job("+49172", "5", route="a")])
    await box.gateway.accept("single", [Job("+49173", "x", route="a")])
    box.start()
    await _all_sent(box, 6)
    sent = box.modems["a"].texts()
    assert "".join(sent[sent.index("1") : sent.index("1") + 4]) == "1234"


async def test_the_next_message_is_found_by_index_however_long_the_queue(box: Box) -> None:
    """What the plan of the one statement that runs for each part says: no scan, no sorting."""
    from agent.journal import choosing

    values = dict.fromkeys(("route", "upstream", "now", "utc", "iccid", "urgent", "blocked"), 0)
    plan = await box.journal.read(
        lambda con: con.execute("EXPLAIN QUERY PLAN " + choosing._OLDEST.format(blocked="''"), values).fetchall()
    )
    steps = [row["detail"] for row in plan]
    assert steps[0] == "SEARCH q USING INDEX queue_turn (route=? AND upstream=?)"
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in steps)


async def test_the_lines_are_looked_after_while_a_campaign_is_planned(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, seen = 0, list[int]()
    plan = FakeDriver.plan

    def watched_plan(self: FakeDriver, text: str, most: int, options: PlanOptions) -> tuple[PlannedPart, ...]:
        seen.append(turns)
        return plan(self, text, most, options)

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(FakeDriver, "plan", watched_plan)
    turning = asyncio.create_task(turn())
    await box.gateway.accept("bulk", _campaign("bulk", 200))
    turning.cancel()
    assert len(seen) == 200
    assert seen[-1] > seen[0]
    assert max(seen.count(turn) for turn in seen) <= 20
