"""The MQTT upstream and its feed in a whole gateway on fake modems, at a real broker; a person at the other end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from agent.config import parse
from agent.feed import Feed
from agent.supervise import keep_running
from agent.upstreams.mqtt import MqttUpstream
from tests.agent.fakes import Box, FakeModem
from tests.mqtt.broker import Mosquitto
from tests.mqtt.person import Person

BASE = "phonebridge/pi"


class Stage:
    """`async with`: the broker runs, the person listens, the gateway is up. `crash` takes the gateway's memory."""

    def __init__(
        self,
        directory: Path,
        modems: dict[str, FakeModem] | None = None,
        *,
        options: str = "",
        also: tuple[str, ...] = (),
        **keys: Any,
    ) -> None:
        self.directory = directory
        self.modems = {"a": FakeModem()} if modems is None else modems
        self.broker = Mosquitto(directory / "broker", options)
        self.keys = {"device_id": "pi", **keys}
        self._also = also
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Stage:
        self._stack.enter_context(self.broker)
        self.person = await asyncio.to_thread(self._meet)
        self.box = Box(self.directory, self.modems)
        await self.box.__aenter__()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.box.__aexit__()
        await self._stack.aclose()

    def _meet(self) -> Person:
        return self._stack.enter_context(Person(self.broker.port, BASE, also=self._also))

    async def start(self, *, wait: bool = True) -> None:
        """Upstream, feed and routes run; with `wait` also connected."""
        (settings,) = parse({"upstream": [{"type": "mqtt", "url": self.broker.url, **self.keys}]}).upstreams
        gateway = self.box.gateway
        self.upstream = MqttUpstream(settings, gateway)
        self.feed = Feed("mqtt", self.upstream, self.box.journal, self.box.clock)
        await gateway.ensure_upstream("mqtt", self.upstream.identity(), wants_inbound=self.upstream.wants_inbound)
        gateway.feeds["mqtt"] = self.feed
        self.box.start()
        for work in (self.upstream.run, self.feed.run):
            self.box.tasks.append(asyncio.create_task(keep_running("mqtt", work)))
        if wait:
            await self.until(lambda: self.upstream.status()["connected"])

    async def crash(self) -> None:
        """The power goes and comes back; nothing is started."""
        self.box = await self.box.crash()

    async def say(self, topic: str, payload: Any, **options: Any) -> None:
        await asyncio.to_thread(lambda: self.person.say(topic, payload, **options))

    async def until(self, is_so: Callable[[], Any], timeout_s: float = 60.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not is_so():
                await asyncio.sleep(0.01)

    async def until_statuses(self, job_id: str, *words: str) -> None:
        """Wait until exactly these were heard of a job, in this order."""
        try:
            await self.until(lambda: self.person.statuses(job_id) == list(words))
        except TimeoutError:
            raise AssertionError(f"{job_id}: {self.person.statuses(job_id)}, not {list(words)}") from None

    def last(self, topic: str) -> dict[str, Any]:
        """The newest JSON heard on a topic, {} for none."""
        return (self.person.heard(topic) or [{}])[-1]
