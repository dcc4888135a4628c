"""A changed configuration on a gateway that runs: what goes on, what is made anew, what is refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent import config, daemon
from agent.clock import Clock
from agent.gateway import Gateway
from agent.journal.store import Journal
from agent.model import Job
from agent.reload import Reloader
from agent.reread import read
from agent.roster import Roster
from agent.settings import Config
from tests.agent.fakes import Box, FakeModem

TO = "+4915112345678"


class Running:
    """A gateway whose configuration is given as tables; its modems are never there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key_file = directory / "key"
        self.key_file.write_text("first-key\n")
        self.tables: dict[str, Any] = {
            "agent": {"state_dir": str(directory), "clock": "trusted"},
            "route": [{"name": "a", "port": "/dev/gone-a"}, {"name": "b", "port": "/dev/gone-b"}],
            "upstream": [
                {"type": "mobsms", "base_url": "http://127.0.0.1:9", "api_key_file": str(self.key_file)},
            ],
        }
        self.gateway: Gateway
        self.reloader: Reloader

    async def reload(self, **tables: Any) -> Any:
        self.tables = {**self.tables, **tables}
        return await self.reloader.ask()

    async def read(self) -> Config:
        return config.parse(self.tables)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    one = Running(tmp_path)
    first, clock = await one.read(), Clock("trusted")
    journal = Journal(tmp_path / "journal.db")
    await journal.start(clock.utc_ms())
    one.gateway, assembly, made = await daemon._assembled(first, journal, clock)
    async with asyncio.TaskGroup() as group:
        roster = Roster(group)
        one.reloader = one.gateway.reloader = Reloader(one.gateway, assembly, roster, one.read)
        await one.reloader.begin(first, made)
        task = group.create_task(one.reloader.run())
        yield one
        roster.cancel()
        task.cancel()
    await journal.close()


async def test_nothing_changed_and_nothing_is_touched(running: Running) -> None:
    before = [*running.gateway.routes.values(), *running.gateway.feeds.values()]
    outcome = await running.reload()
    assert (outcome.error, outcome.started, outcome.restarted, outcome.ended) == (None, (), (), ())
    assert [*running.gateway.routes.values(), *running.gateway.feeds.values()] == before


async def test_only_what_changed_is_made_anew(running: Running) -> None:
    gateway = running.gateway
    a, feed = gateway.routes["a"], gateway.feeds["mobsms"]
    routes = [{"name": "c", "port": "/dev/gone-c"}, {"name": "a", "port": "/dev/gone-a"},
              {"name": "b", "port": "/dev/gone-b", "rate_per_hour": 5}]  # fmt: skip
    outcome = await running.reload(route=routes)
    assert outcome.started == ("route c",)
    assert outcome.restarted == ("route b",)
    assert gateway.routes["a"] is a
    assert gateway.feeds["mobsms"] is feed
    # The order of the file counts again: slots, and who is asked first.
    assert [(name, route.slot) for name, route in gateway.routes.items()] == [("c", 0), ("a", 1), ("b", 2)]


async def test_a_new_key_in_the_same_file_is_a_change(running: Running) -> None:
    running.key_file.write_text("second-key\n")
    assert (await running.reload()).restarted == ("upstream mobsms",)
    assert (await running.reload()).restarted == ()


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"route": [{"name": "a"}]}, "route[a].port is missing"),
        ({"upstream": [{"type": "mobsms", "api_key_file": "/nowhere/key"}]}, "/nowhere/key cannot be read"),
        ({"upstream": [{"type": "mobsms", "api_key": "7|x"}, {"type": "local", "api_key_file": "/dev/null"}],
          "agent": {"device_name": "other"}}, "upstream[local].api_key_file"),
    ],
    ids=["wrong key", "no key file", "an upstream that cannot be made"],
)  # fmt: skip
async def test_a_wrong_configuration_changes_nothing(running: Running, tables: dict[str, Any], sentence: str) -> None:
    gateway = running.gateway
    before = (gateway.settings, list(gateway.routes.values()), list(gateway.feeds.values()))
    outcome = await running.reload(**tables)
    assert sentence in outcome.error
    assert (gateway.settings, list(gateway.routes.values()), list(gateway.feeds.values())) == before
    assert sentence in running.reloader.state()


async def test_keys_of_the_process_say_that_they_need_a_restart(running: Running) -> None:
    outcome = await running.reload(agent={"state_dir": "/elsewhere", "clock": "trusted", "default_region": "DE"})
    assert outcome.hints == ("agent.state_dir is read at the start only; run: sudo systemctl restart phonebridge",)
    assert running.gateway.settings.state_dir == running.directory
    assert running.gateway.settings.default_region == "DE"


async def test_messages_of_a_route_that_is_gone_wait_and_are_named(running: Running) -> None:
    (accepted,) = await running.gateway.accept("cli", [Job(TO, "x", route="b")])
    routes = running.tables["route"]
    outcome = await running.reload(route=routes[:1])
    assert outcome.ended == ("route b",)
    assert any(hint.startswith("1 message(s) wait for route b") for hint in outcome.hints)
    assert (await running.reload(route=routes)).started == ("route b",)
    assert await running.gateway.queue_length() == {"b": 1}
    assert accepted.message_id is not None


async def test_an_upstream_that_is_gone_is_asked_nothing_more(running: Running) -> None:
    outcome = await running.reload(upstream=[])
    assert outcome.ended == ("upstream mobsms",)
    assert outcome.hints == ("upstream mobsms is not configured any more; what it is owed is kept",)
    gateway = running.gateway
    assert (gateway.feeds, gateway.upstreams, gateway.refreshers, dict(gateway.views())) == ({}, {}, {}, {})


async def test_the_file_is_read_in_a_program_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[[route]]\nname = "a"\nport = "/dev/ttyUSB0"\npin = "1234"\n')
    assert await read(file) == config.load(file)
    file.write_text("[agnet]\n")
    with pytest.raises(config.ConfigError, match='did you mean "agent"'):
        await read(file)


async def test_who_gives_jobs_may_be_cancelled_meanwhile_and_they_are_sent_once(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}, on_unknown="fail") as box:
        box.start()
        async with asyncio.timeout(30):
            while not box.gateway.outbox._idle:
                await asyncio.sleep(0.01)
        under_way = _watch_transactions(box)
        giving = asyncio.create_task(box.gateway.accept("cli", [Job(TO, "x")]))
        await under_way.wait()  # with a claim for the idle route
        giving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await giving
        assert giving.cancelled()
        await box.journal.write(lambda _: None)  # behind the transaction
        await box.until(1, "sent", "failed")
        assert (await box.state(1), modem.texts()) == ("sent", ["x"])


async def test_a_route_that_is_drained_while_it_claims_leaves_nothing_in_the_air(tmp_path: Path) -> None:
    modem = FakeModem(radio_s=0.05)
    async with Box(tmp_path, {"a": modem}, on_unknown="fail") as box:
        first, second = await box.gateway.accept("cli", [Job(TO, "x"), Job(TO, "y")])
        under_way = _watch_transactions(box)
        box.start()
        await under_way.wait()
        await box.gateway.routes["a"].drain()
        await box.stop()
        states = [await box.state(one.message_id) for one in (first, second)]
        # The claim was made before the drain or after it; either way nothing is left between.
        assert states in (["sent", "queued"], ["queued", "queued"])
        assert len(modem.texts()) == states.count("sent")


def _watch_transactions(box: Box) -> asyncio.Event:
    """Set when the next transaction that hands out work is under way."""
    begin, under_way = box.journal.begin, asyncio.Event()

    def watched(run: Any) -> Any:
        under_way.set()
        return begin(run)

    box.journal.begin = watched  # type: ignore[method-assign]
    return under_way
