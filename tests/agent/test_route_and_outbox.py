"""Messages through real gateway, outbox, journal and routes; only the modem is a script."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest

from agent.journal.store import JournalFull
from agent.model import Job
from drivers.api import (
    NoSim,
    NotReady,
    PortAbsent,
    Refused,
    RouteRefused,
    Submitted,
    TryLater,
)
from tests.agent.fakes import Box, FakeModem, report

TO = "+4915112345678"


async def test_accepted_message_is_sent_and_delivered(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "hello")])
        await box.until(accepted.message_id, "sent")
        await modem.contexts[0].emit(report(modem, 1, TO))
        await box.until(accepted.message_id, "delivered")
        kinds = [event.kind for event in await box.gateway.history(accepted.message_id or 0)]
        assert kinds == ["accepted", "sending", "sent", "delivered"]


async def test_message_waits_for_a_modem_that_comes_later(tmp_path: Path) -> None:
    modem = FakeModem(open_errors=[PortAbsent("no such port")])
    async with Box(tmp_path, {"a": modem}) as box:
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "hello")])
        box.start()
        await box.until(accepted.message_id, "sent")
        assert modem.texts() == ["hello"]


async def test_parts_follow_each_other_with_one_reference_and_in_order(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}, routes={"a": {"send_delay_s": 3}}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "one|two|three")])
        await box.until(accepted.message_id, "sent", timeout_s=2)
        parts = [part for _, part in modem.sent]
        assert [part.sequence for part in parts] == [1, 2, 3]
        assert {part.total for part in parts} == {3}
        assert len({part.reference for part in parts}) == 1


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (Job("not a number", "x"), "is not a phone number"),
        (Job("", "x"), "there is no recipient"),
        (Job(TO, ""), "the text is empty"),
        (Job(TO, "|".join("x" * 26)), "the text needs 26 parts, 25 are allowed"),
        (Job(TO, "x", sim_slot=7), "there is no SIM slot 7"),
        (Job(TO, "x", route="zz"), 'there is no route "zz"'),
        (Job(TO, "x", priority=300), "priority 300 is not between"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_bad_message_fails_with_its_reason_and_others_go(tmp_path: Path, job: Job, reason: str) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        bad, good = await box.gateway.accept("cli", [job, Job(TO, "good")])
        await box.until(good.message_id, "sent")
        assert bad.state == "failed"
        assert reason in (bad.error or "")
        assert modem.texts() == ["good"]


async def test_priority_goes_before_age(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        jobs = [Job(f"+49151000000{n}", f"text {n}", priority=priority) for n, priority in enumerate((0, 0, 5, -5))]
        accepted = await box.gateway.accept("cli", jobs)
        box.start()
        await box.until(accepted[3].message_id, "sent")
        assert modem.texts() == ["text 2", "text 0", "text 1", "text 3"]


async def test_slot_decides_and_messages_without_one_spread(tmp_path: Path) -> None:
    modems = {"a": FakeModem(radio_s=0.02), "b": FakeModem(iccid="8949000000000000002", radio_s=0.02)}
    async with Box(tmp_path, modems) as box:
        box.start()
        accepted = await box.gateway.accept("cli", [Job(f"+4915100000{n:02d}", "s", sim_slot=1) for n in range(4)])
        accepted += await box.gateway.accept("cli", [Job(f"+4915200000{n:02d}", "any") for n in range(10)])
        for item in accepted:
            await box.until(item.message_id, "sent")
        assert modems["a"].texts() == ["any"] * len(modems["a"].sent)
        assert modems["b"].texts().count("s") == 4
        assert modems["a"].sent
        assert "any" in modems["b"].texts()


async def test_temporary_refusal_is_tried_again_and_releases_the_line(tmp_path: Path) -> None:
    modem = FakeModem(answers=[TryLater("congestion", delays_s=(0.2, 0.2), code="CMS 42")])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        first, other, later = await box.gateway.accept(
            "cli", [Job(TO, "first"), Job("+4930123456", "other"), Job(TO, "later")]
        )
        for item in (first, other, later):
            await box.until(item.message_id, "sent")
        # "later" goes to the same recipient, so it must not overtake "first".
        assert modem.texts() == ["first", "other", "first", "later"]


async def test_refusals_that_never_end_fail_the_message(tmp_path: Path) -> None:
    busy = TryLater("congestion", delays_s=(0.01, 0.01), code="CMS 42")
    modem = FakeModem(answers=[busy, busy, busy])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        await box.until(accepted.message_id, "failed")
        message = await box.gateway.message(accepted.message_id or 0)
        assert message is not None
        assert message.error == "congestion (CMS 42); no more tries"
        assert len(modem.sent) == 3


async def test_permanent_refusal_cancels_the_unsent_siblings(tmp_path: Path) -> None:
    modem = FakeModem(answers=[Submitted(1), Refused("unassigned number", code="CMS 1")])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "one|two|three")])
        await box.until(accepted.message_id, "failed")
        assert modem.texts() == ["one", "two"]


async def test_no_service_counts_no_attempt(tmp_path: Path) -> None:
    modem = FakeModem(answers=[NotReady("no network")])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        await box.until(accepted.message_id, "sent")
        assert len(modem.sent) == 2


async def test_a_sim_that_may_not_send_parks_the_route_and_the_other_takes_over(tmp_path: Path) -> None:
    modems = {
        "a": FakeModem(answers=[RouteRefused("barred", code="CMS 8", is_certain=True)]),
        "b": FakeModem(iccid="8949000000000000002", open_errors=[PortAbsent("later")]),
    }
    async with Box(tmp_path, modems) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        await box.until(accepted.message_id, "sent", timeout_s=6)
        assert len(modems["a"].sent) == 1
        assert modems["b"].texts() == ["x"]
        assert box.gateway.routes["a"].view().state == "refused"


async def test_cancel_before_any_attempt_and_not_after(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        (waiting,) = await box.gateway.accept("cli", [Job(TO, "x")])
        assert await box.gateway.cancel(waiting.message_id or 0)
        box.start()
        (sent,) = await box.gateway.accept("cli", [Job(TO, "y")])
        await box.until(sent.message_id, "sent")
        assert not await box.gateway.cancel(sent.message_id or 0)
        assert modem.texts() == ["y"]
        assert await box.state(waiting.message_id) == "cancelled"


async def test_send_delay_spaces_messages_across_a_restart(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}, routes={"a": {"send_delay_s": 0.4}}) as box:
        jobs = [Job(f"+491510000{n:03d}", str(n)) for n in range(4)]
        accepted = await box.gateway.accept("cli", jobs)
        box.start()
        await box.until(accepted[1].message_id, "sent")
        again = await box.crash()
        again.start()
        await again.until(accepted[3].message_id, "sent")
        times = [at for at, _ in modem.sent]
        assert min(after - before for before, after in pairwise(times)) >= 0.4
        await again.__aexit__()


async def test_servers_delay_spaces_one_upstream_over_all_routes_and_leaves_others_alone(tmp_path: Path) -> None:
    modems = {"a": FakeModem(), "b": FakeModem(iccid="8949000000000000002")}
    async with Box(tmp_path, modems) as box:
        await box.gateway.ensure_upstream("srv", "srv")
        await box.gateway.set_device("srv", send_delay_s=0.3, default_sim_slot=None, is_active=True, keep_inbound=True)
        slow = await box.gateway.accept("srv", [Job(f"+491510000{n:03d}", f"srv {n}") for n in range(3)])
        free = await box.gateway.accept("cli", [Job(f"+491520000{n:03d}", f"cli {n}") for n in range(6)])
        urgent = await box.gateway.accept("srv", [Job("+491530000000", "urgent", priority=100)])
        box.start()
        for item in (*slow, *free, *urgent):
            await box.until(item.message_id, "sent")
        sent = sorted([*modems["a"].sent, *modems["b"].sent], key=lambda item: item[0])
        times = {part.body.decode(): at for at, part in sent}
        gaps = [times[f"srv {n + 1}"] - times[f"srv {n}"] for n in range(2)]
        assert min(gaps) >= 0.3
        assert times["cli 5"] < times["srv 1"]
        assert times["urgent"] < times["srv 1"]


async def test_only_the_first_message_of_an_upstream_waits_for_the_journal_to_be_read(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        box.start()
        await box.gateway.accept("cli", [Job(TO, "first")])
        is_held, may_go = threading.Event(), threading.Event()
        reading = asyncio.create_task(box.gateway.journal.read(lambda _: is_held.set() or may_go.wait(60)))
        try:
            await asyncio.to_thread(is_held.wait, 60)
            async with asyncio.timeout(30):
                (accepted,) = await box.gateway.accept("cli", [Job(TO, "second")])
        finally:
            may_go.set()
            await reading
        await box.until(accepted.message_id, "sent")


async def test_a_servers_new_default_slot_is_used_at_once(tmp_path: Path) -> None:
    modems = {"a": FakeModem(), "b": FakeModem(iccid="8949000000000000002")}
    async with Box(tmp_path, modems) as box:
        box.start()
        await box.gateway.ensure_upstream("srv", "srv")
        for number, slot in enumerate((0, 1, 1, 0)):
            await box.gateway.set_device(
                "srv", send_delay_s=0, default_sim_slot=slot, is_active=True, keep_inbound=True
            )
            (accepted,) = await box.gateway.accept("srv", [Job(TO, str(number))])
            await box.until(accepted.message_id, "sent")
        assert (modems["a"].texts(), modems["b"].texts()) == (["0", "3"], ["1", "2"])


async def test_another_server_under_a_name_does_not_inherit_the_default_slot(tmp_path: Path) -> None:
    modems = {"a": FakeModem(), "b": FakeModem(iccid="8949000000000000002")}
    async with Box(tmp_path, modems) as box:
        settings: dict[str, Any] = {"send_delay_s": 0, "is_active": True, "keep_inbound": True}
        await box.gateway.ensure_upstream("srv", "one server")
        await box.gateway.set_device("srv", default_sim_slot=1, **settings)
        await box.gateway.accept("srv", [Job(TO, "for b alone", remote_id="1")])
        await box.gateway.ensure_upstream("srv", "another server")
        await box.gateway.set_device("srv", default_sim_slot=None, **settings)
        (accepted,) = await box.gateway.accept("srv", [Job("+4930123", "for any", remote_id="2")])
        box.tasks.append(asyncio.create_task(box.gateway.routes["a"].run()))
        await box.until(accepted.message_id, "sent")
        assert modems["a"].texts() == ["for any"]


async def test_pause_lasts_over_a_restart(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        await box.gateway.pause("a", is_paused=True)
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        await asyncio.sleep(0.1)
        assert modem.texts() == []
        await box.gateway.pause("a", is_paused=False)
        await box.until(accepted.message_id, "sent")


async def test_validity_ends_what_nobody_sent(tmp_path: Path) -> None:
    modem = FakeModem(open_errors=[PortAbsent("away")])
    async with Box(tmp_path, {"a": modem}) as box:
        short, lasting = await box.gateway.accept("cli", [Job(TO, "x", valid_for_s=0.05), Job(TO, "y", valid_for_s=60)])
        await asyncio.sleep(0.1)
        box.start()
        await box.until(lasting.message_id, "sent")
        assert await box.state(short.message_id) == "expired"
        assert modem.sent[0][1].validity_s == 60


async def test_missing_sim_fails_with_a_sentence_or_goes_to_the_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.standing._NO_SIM_CERTAIN_S", 0.0)
    modems = {
        "a": FakeModem(open_errors=[NoSim("no SIM")] * 9),
        "b": FakeModem(iccid="8949000000000000002", open_errors=[NoSim("no SIM")] * 9),
        "c": FakeModem(iccid="8949000000000000003"),
    }
    async with Box(tmp_path, modems, routes={"b": {"fallback": "c"}}) as box:
        early = await box.gateway.accept("cli", [Job(TO, "a1", sim_slot=0), Job(TO, "b1", sim_slot=1)])
        box.start()
        while box.gateway.routes["b"].view().state != "no SIM" or box.gateway.routes["c"].view().state != "ready":
            await asyncio.sleep(0.01)
        await box.gateway.move_stranded()
        late = await box.gateway.accept("cli", [Job(TO, "a2", sim_slot=0), Job(TO, "b2", sim_slot=1)])
        for item in (early[1], late[1]):
            await box.until(item.message_id, "sent")
        assert modems["c"].texts() == ["b1", "b2"]
        for item in (early[0], late[0]):
            message = await box.gateway.message(item.message_id or 0)
            assert message is not None
            assert message.error == "there is no SIM in slot 0 (route a)"


async def test_old_messages_of_a_new_journal_are_held_until_released(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        old = box.clock.utc_ms() - 48 * 3_600_000
        (held,) = await box.gateway.accept("cli", [Job(TO, "old", remote_id="1", created_ms=old)])
        assert await box.state(held.message_id) == "held"
        assert await box.gateway.release(None) == 1
        await box.until(held.message_id, "sent")


async def test_known_remote_id_is_answered_and_never_sent_again_even_after_deletion(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (first,) = await box.gateway.accept("cli", [Job(TO, "x", remote_id="7")])
        await box.until(first.message_id, "sent")
        (again,) = await box.gateway.accept("cli", [Job(TO, "x", remote_id="7")])
        assert (again.is_new, again.state) == (False, "sent")
        await box.gateway.delete(first.message_id or 0)
        (third,) = await box.gateway.accept("cli", [Job(TO, "x", remote_id="7")])
        assert (third.is_new, third.state) == (False, "sent")
        assert modem.texts() == ["x"]


async def test_stop_waits_for_the_part_in_flight_and_records_it(tmp_path: Path) -> None:
    modem = FakeModem(radio_s=0.3)
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        first, second = await box.gateway.accept("cli", [Job(TO, "x"), Job(TO, "y")])
        while not modem.sent:
            await asyncio.sleep(0.01)
        await box.gateway.routes["a"].drain()
        assert await box.state(first.message_id) == "sent"
        assert await box.state(second.message_id) == "queued"


async def test_a_route_whose_link_is_lost_in_the_moment_it_is_stopped_stops(tmp_path: Path) -> None:
    watched = asyncio.Event()

    class Link(asyncio.Event):
        async def wait(self) -> Literal[True]:
            watched.set()
            return await super().wait()

    modem = FakeModem(lost=Link())
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        await asyncio.wait_for(watched.wait(), 10)
        modem.lost.set()
        await asyncio.wait_for(box.stop(), 10)
    assert len(modem.contexts) == 1


async def test_rate_per_minute_holds_the_route(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}, routes={"a": {"rate_per_minute": 2}}) as box:
        box.start()
        accepted = await box.gateway.accept("cli", [Job(f"+491510000{n:03d}", str(n)) for n in range(3)])
        await box.until(accepted[1].message_id, "sent")
        await asyncio.sleep(0.1)
        assert len(modem.sent) == 2
        assert await box.state(accepted[2].message_id) == "queued"


async def test_full_disk_takes_and_sends_nothing_until_there_is_room(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        (waiting,) = await box.gateway.accept("cli", [Job(TO, "x")])
        box.journal.has_reserve = False
        box.start()
        with pytest.raises(JournalFull, match="free some space"):
            await box.gateway.accept("cli", [Job(TO, "y")])
        while box.gateway.routes["a"].view().state != "ready":
            await asyncio.sleep(0.01)
        assert modem.texts() == []
        box.journal.keep_ballast()
        box.gateway.outbox.wake()
        await box.until(waiting.message_id, "sent")
