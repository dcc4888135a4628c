"""Each upstream is told everything in order, also after a crash, and nothing blocks the rest."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.feed import Feed
from agent.journal import feeds, inbound
from agent.model import Job, Message, Report
from agent.upstreams.api import LaneBusy, LaneRefused, UpstreamDown, UpstreamSettings
from tests.agent.fakes import Box, FakeModem, part, report, take, texts


class Server:
    """An upstream that writes down what it is told; `behave` may raise."""

    kind = "fake"
    Settings = UpstreamSettings
    concurrency = 4

    def __init__(self, *, wants_inbound: bool = True) -> None:
        self.wants_inbound = wants_inbound
        self.told: dict[int, list[str]] = defaultdict(list)
        self.inbound: list[str] = []
        self.behave: Callable[[int, str], Awaitable[None]] | None = None
        self.running = self.most = 0

    async def report(self, item: Report) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0)
            if self.behave is not None:
                await self.behave(item.message.id, item.state)
            self.told[item.message.id].append(item.state)
        finally:
            self.running -= 1

    async def deliver(self, inbound: Message) -> None:
        if self.behave is not None:
            await self.behave(inbound.id, "inbound")
        self.inbound.append(inbound.uid)


class Fed:
    def __init__(self, box: Box, server: Server, name: str = "srv") -> None:
        self.box, self.server, self.name = box, server, name

    async def __aenter__(self) -> Feed:
        await self.box.gateway.ensure_upstream(self.name, self.name, wants_inbound=self.server.wants_inbound)
        self.feed = Feed(self.name, self.server, self.box.journal, self.box.clock)  # type: ignore[arg-type]
        self.box.gateway.feeds[self.name] = self.feed
        self.task = asyncio.create_task(self.feed.run())
        return self.feed

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(is_done: Callable[[], Any], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not is_done():
            await asyncio.sleep(0.005)


async def send_all(box: Box, jobs: int, first: int = 0) -> list[int]:
    accepted = await box.gateway.accept(
        "srv", [Job(f"+4915100{first + n:05d}", "x", remote_id=f"{first + n}") for n in range(jobs)]
    )
    ids = [item.message_id or 0 for item in accepted]
    for message_id in ids:
        await box.until(message_id, "sent", "delivered")
    return ids


async def report_all(modem: FakeModem, jobs: int) -> None:
    for _, sent in list(modem.sent)[-jobs:]:
        mr = modem.sent.index((_, sent)) + 1
        await modem.contexts[-1].emit(report(modem, mr % 256, sent.recipient))


async def deliver_all(box: Box, modem: FakeModem, jobs: int, first: int = 0) -> list[int]:
    ids = await send_all(box, jobs, first)
    await report_all(modem, jobs)
    return ids


@pytest.fixture
async def stage(tmp_path: Path) -> Any:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        await box.gateway.ensure_upstream("srv", "srv", wants_inbound=True)
        box.start()
        yield box, modem


async def test_every_state_is_told_in_order_to_the_origin_only(stage: tuple[Box, FakeModem]) -> None:
    box, modem = stage
    server, other = Server(), Server()
    async with Fed(box, server), Fed(box, other, "other"):
        ids = await deliver_all(box, modem, 5)
        await until(lambda: all(server.told[i] == ["sent", "delivered"] for i in ids))
        await take(box, part(1, 1, text="hello"))
        box.gateway.committed()
        await until(lambda: server.inbound and other.inbound)
        assert other.told == {}
        assert server.most <= 4


async def test_refused_lane_is_parked_and_busy_lane_retried_while_others_go_on(
    stage: tuple[Box, FakeModem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.feed.backoff_s", lambda failures, **_: 0.02 * failures)
    box, modem = stage
    server = Server()
    failures: dict[int, int] = defaultdict(int)

    async def behave(message_id: int, state: str) -> None:
        if message_id == 1:
            raise LaneRefused("422")
        failures[message_id] += 1
        if message_id == 2 and failures[2] <= 4:
            raise LaneBusy("not now")

    server.behave = behave
    async with Fed(box, server) as feed:
        ids = await deliver_all(box, modem, 4)
        await until(lambda: all(server.told[i] == ["sent", "delivered"] for i in ids[1:]))
        assert server.told[ids[0]] == []
        assert feed.parked == 2
        await until(lambda: feed.waiting == 0)
        await until(lambda: not feed.is_unsaved)
    row = await box.gateway.device("srv")
    async with Fed(box, server) as feed:
        await asyncio.sleep(0.05)
        assert feed.parked == 2
        assert [len(server.told[i]) for i in ids] == [0, 2, 2, 2], "nothing is told twice after a restart"
    assert row.cursor > 0


async def test_server_that_is_gone_is_told_later_in_order(
    stage: tuple[Box, FakeModem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.feed.backoff_s", lambda failures, **_: 0.02)
    box, modem = stage
    server = Server()
    is_up = False

    async def behave(_: int, __: str) -> None:
        if not is_up:
            raise UpstreamDown("no route to host")

    server.behave = behave
    async with Fed(box, server) as feed:
        ids = await deliver_all(box, modem, 20)
        await until(lambda: feed.problem)
        assert server.most <= 4
    async with Fed(box, server) as feed:
        is_up = True
        await until(lambda: all(server.told[i] == ["sent", "delivered"] for i in ids))
        assert feed.problem is None


@pytest.mark.parametrize("is_known_before", [True, False], ids=["both states at once", "the later one later"])
async def test_after_a_crash_no_state_is_told_behind_a_later_one(
    stage: tuple[Box, FakeModem], is_known_before: bool
) -> None:
    """One message could not be told, so that the cursor stood; what was told ahead of it came again from the start."""
    box, modem = stage
    server = Server()
    ids = await send_all(box, 6)
    if is_known_before:
        await report_all(modem, 6)
    never = asyncio.Event()

    async def behave(message_id: int, _: str) -> None:
        if message_id == ids[0]:
            await never.wait()

    server.behave = behave
    async with Fed(box, server):
        if not is_known_before:
            await until(lambda: all(server.told[i] == ["sent"] for i in ids[1:]))
            await report_all(modem, 6)
        await until(lambda: all(server.told[i] == ["sent", "delivered"] for i in ids[1:]))
    server.behave = None
    async with Fed(box, server):
        await until(lambda: server.told[ids[0]] == ["sent", "delivered"])
        await asyncio.sleep(0.05)
    told_again = {"".join(server.told[i]).replace("sentdelivered", "", 1) for i in ids[1:]}
    assert told_again <= {"", "delivered"}


async def test_after_a_crash_what_failed_often_is_not_told_behind_what_came_later(
    stage: tuple[Box, FakeModem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both states of the first message were left behind, at different times and after different numbers of tries."""
    monkeypatch.setattr("agent.feed.backoff_s", lambda failures, **_: 0.01)
    box, modem = stage
    server = Server()
    failures = 0

    async def behave(message_id: int, _: str) -> None:
        nonlocal failures
        if message_id == 1:
            failures += 1
            raise LaneBusy("not now")

    server.behave = behave
    async with Fed(box, server):
        (first,) = await send_all(box, 1)
        await until(lambda: failures > 2)
        await report_all(modem, 1)
        (second,) = await deliver_all(box, modem, 1, first=1)
        await until(lambda: server.told[second] == ["sent", "delivered"])
    server.behave = None
    async with Fed(box, server):
        await until(lambda: len(server.told[first]) == 2)
    assert server.told[first] == ["sent", "delivered"]


async def test_after_a_crash_more_is_left_behind_than_fits_in_memory_and_still_told_in_order(
    stage: tuple[Box, FakeModem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.feed.backoff_s", lambda failures, **_: 0.01)
    monkeypatch.setattr("agent.feed._MOST_BEHIND", 6)
    box, modem = stage
    server = Server()

    async def behave(_: int, __: str) -> None:
        raise LaneBusy("not now")

    def left() -> Awaitable[int]:
        return box.journal.read(lambda con: con.execute("SELECT count(*) FROM undelivered").fetchone()[0])

    server.behave = behave
    async with Fed(box, server), asyncio.timeout(30):
        ids = await send_all(box, 10)
        while await left() < 10:
            await asyncio.sleep(0.01)
    await report_all(modem, 10)
    server.behave = None
    async with Fed(box, server):
        await until(lambda: all(len(server.told[i]) == 2 for i in ids))
    assert [server.told[i] for i in ids] == [["sent", "delivered"]] * 10


async def test_more_than_fits_in_memory_is_told_too(
    stage: tuple[Box, FakeModem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.feed._READ_AHEAD", 7)
    box, modem = stage
    server = Server()
    ids = await deliver_all(box, modem, 30)
    async with Fed(box, server):
        await until(lambda: all(server.told[i] == ["sent", "delivered"] for i in ids))


async def test_tell_again_repeats_the_last_state_once(stage: tuple[Box, FakeModem]) -> None:
    box, modem = stage
    server = Server()
    async with Fed(box, server):
        (message_id,) = await deliver_all(box, modem, 1)
        await until(lambda: server.told[message_id] == ["sent", "delivered"])
        await box.gateway.tell_again("srv", message_id)
        await until(lambda: server.told[message_id] == ["sent", "delivered", "delivered"])


async def test_upstream_added_later_starts_at_now_and_a_new_identity_is_a_new_upstream(
    stage: tuple[Box, FakeModem],
) -> None:
    box, modem = stage
    await deliver_all(box, modem, 1)
    await take(box, part(1, 1, text="before"))
    late = Server()
    async with Fed(box, late, "late"):
        await take(box, part(1, 1, text="after", reference=8))
        box.gateway.committed()
        await until(lambda: late.inbound)
        assert len(late.inbound) == 1
    row = await box.gateway.ensure_upstream("late", "another address", wants_inbound=True)
    newest = await box.journal.read(lambda con: con.execute("SELECT max(id) FROM event").fetchone()[0])
    assert row.cursor == newest


async def test_text_is_blanked_once_everybody_has_it_where_the_server_keeps_none(stage: tuple[Box, FakeModem]) -> None:
    box, _ = stage
    server = Server()
    async with Fed(box, server) as feed:
        await box.gateway.set_device("srv", send_delay_s=0, default_sim_slot=None, is_active=True, keep_inbound=False)
        await take(box, part(1, 1, text="secret"))
        await box.journal.write(lambda con: inbound.blank_delivered_texts(con, 0))
        assert await texts(box) == ["secret"], "the server does not have it yet"
        box.gateway.committed()
        await until(lambda: server.inbound and not feed.waiting)
        await asyncio.sleep(0.1)
        await box.journal.write(lambda con: inbound.blank_delivered_texts(con, 0))
        assert await texts(box) == [""]
        await take(box, part(1, 1, text="secret"))
        assert await texts(box) == [""], "the digest still knows it"


async def test_stale_items_are_given_up(stage: tuple[Box, FakeModem]) -> None:
    box, _ = stage
    left = feeds.LeftBehind(1, 1, 3, False, "busy", box.clock.utc_ms() - 1000)
    await box.journal.write(lambda con: feeds.advance(con, "srv", 0, [left], []))
    assert await box.journal.write(lambda con: feeds.drop_stale(con, box.clock.utc_ms())) == 1


async def test_a_dead_webhook_for_inbound_blocks_no_report_and_everything_arrives_when_it_lives(
    stage: tuple[Box, FakeModem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.feed.backoff_s", lambda failures, **_: 0.01)
    monkeypatch.setattr("agent.feed._MOST_BEHIND", 6)
    monkeypatch.setattr("agent.feed._READ_AHEAD", 10)
    box, modem = stage
    server = Server()
    lives = False

    async def behave(_: int, state: str) -> None:
        if state == "inbound" and not lives:
            raise LaneBusy("the webhook does not answer")

    server.behave = behave
    async with Fed(box, server):
        await take(box, *(part(1, 1, text=f"in {number}", reference=number) for number in range(40)))
        box.gateway.committed()
        ids = await deliver_all(box, modem, 3)
        await until(lambda: all(server.told[i] == ["sent", "delivered"] for i in ids))
        lives = True
        await until(lambda: len(set(server.inbound)) == 40, timeout_s=10)
    assert len(server.inbound) == 40
