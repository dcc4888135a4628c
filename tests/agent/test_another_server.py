"""Another server under the name of one before: nothing of the one is taken for the other's."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.feed import Feed
from agent.model import Job
from drivers.api import PortAbsent
from tests.agent.fakes import TO, Box, FakeModem
from tests.agent.test_feed import Server, report_all, until


async def _feed(box: Box, identity: str) -> tuple[Server, asyncio.Task[None]]:
    """As a start with another `base_url` makes it."""
    await box.gateway.ensure_upstream("srv", identity)
    server = Server(wants_inbound=False)
    feed = Feed("srv", server, box.journal, box.clock)  # type: ignore[arg-type]
    box.gateway.feeds["srv"] = feed
    return server, asyncio.create_task(feed.run())


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_number_that_the_other_server_gave_too_is_another_message(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        before, telling = await _feed(box, "one")
        (old,) = await box.gateway.accept("srv", [Job(TO, "old", remote_id="1")])
        await until(lambda: before.told[old.message_id or 0] == ["sent"])
        await _ended(telling)
        after, telling = await _feed(box, "another")
        assert await box.gateway.known("srv", ["1"]) == {}
        (new,) = await box.gateway.accept("srv", [Job(TO, "new", remote_id="1")])
        assert new.is_new and new.message_id != old.message_id
        await until(lambda: after.told[new.message_id or 0] == ["sent"])
        assert modem.texts() == ["old", "new"]
        assert list(await box.gateway.known("srv", ["1"])) == ["1"]
        # The report of the old one is nothing to the new server, whose message has the same number.
        await report_all(modem, 2)
        await until(lambda: after.told[new.message_id or 0] == ["sent", "delivered"])
        assert set(after.told) == {new.message_id}
        await _ended(telling)


async def test_what_waited_from_the_other_server_is_sent_and_told_to_nobody(tmp_path: Path) -> None:
    modem = FakeModem(open_errors=[PortAbsent("away")])
    async with Box(tmp_path, {"a": modem}) as box:
        await box.gateway.ensure_upstream("srv", "one")
        (old,) = await box.gateway.accept("srv", [Job(TO, "old", remote_id="1")])
        after, telling = await _feed(box, "another")
        (new,) = await box.gateway.accept("srv", [Job("+491709", "new", remote_id="2")])
        box.start()
        await until(lambda: after.told[new.message_id or 0] == ["sent"])
        await box.until(old.message_id, "sent")
        assert set(after.told) == {new.message_id}
        await _ended(telling)


async def test_the_same_server_at_another_address_is_told_and_its_messages_are_not_sent_again(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        await box.gateway.ensure_upstream("srv", "http")
        (first,) = await box.gateway.accept("srv", [Job(TO, "x", remote_id="1")])
        await box.until(first.message_id, "sent")
        server, telling = await _feed(box, "https")
        (again,) = await box.gateway.accept("srv", [Job(TO, "x", remote_id="1")])
        assert (again.message_id, again.is_new) == (first.message_id, False)
        assert first.message_id is not None
        await box.gateway.tell_again("srv", first.message_id)
        await until(lambda: server.told[first.message_id or 0] == ["sent"])
        await report_all(modem, 1)
        await until(lambda: server.told[first.message_id or 0] == ["sent", "delivered"])
        assert modem.texts() == ["x"]
        await _ended(telling)


async def test_a_number_that_the_other_server_gave_too_can_be_cancelled_before_its_message_comes(
    tmp_path: Path,
) -> None:
    async with Box(tmp_path, {"a": FakeModem(open_errors=[PortAbsent("away")])}) as box:
        await box.gateway.ensure_upstream("srv", "one")
        await box.gateway.accept("srv", [Job(TO, "old", remote_id="1")])
        await box.gateway.ensure_upstream("srv", "another")
        assert await box.gateway.forestall("srv", "1", why="withdrawn")
        assert not await box.gateway.forestall("srv", "1", why="withdrawn again")
        assert (await box.gateway.known("srv", ["1"]))["1"].state == "cancelled"
        (late,) = await box.gateway.accept("srv", [Job(TO, "new", remote_id="1")])
        assert (late.is_new, late.state) == (False, "cancelled")
