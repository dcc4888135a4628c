"""What every registered upstream owes the gateway (agent/upstreams/api.py), whatever server it speaks to."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import plugins
from agent.config import parse
from agent.feed import Feed
from agent.journal import inbound
from agent.model import Message, MessageState, Report
from agent.supervise import keep_running
from agent.upstreams import api
from agent.upstreams.api import DeliveryError, Upstream, UpstreamSettings
from drivers.api import InboundPart
from tests.agent.fakes import Box, FakeModem
from tests.mobsms_server.process import MobSmsServer
from tests.mqtt.broker import Mosquitto
from tests.mqtt.person import Person
from tests.smsgate_server.process import SmsGateServer

KEY = "7|the-contracts-secret"
NUMBER = "+998901234567"
UPSTREAMS = plugins.names(plugins.UPSTREAMS)


@dataclass
class Place:
    """A server for an upstream, or the upstream as one. `send` gives it a message for us, `word` is what it says of
    the message to that number; `inbox` what came in; `leave` takes the server away (None: it is our own)."""

    keys: dict[str, Any]
    send: Callable[[Upstream, str], Awaitable[None]]
    word: Callable[[Upstream], Awaitable[str]]
    inbox: Callable[[Upstream], Awaitable[list[str]]]
    leave: Callable[[], None] | None


def _mobsms(stack: AsyncExitStack, directory: Path) -> Place:
    server = stack.enter_context(MobSmsServer(directory / "server", key=KEY))
    number = server.add_device("phonebridge")["id"]
    server.set_account(webhook_url_incoming=server.hook_url)

    async def send(_: Upstream, text: str) -> None:
        server.enqueue(1, device=number, recipients=[NUMBER], text=text)

    async def word(_: Upstream) -> str:
        return next((row["status"] for row in server.messages() if row["direction"] == "outbound"), "")

    async def inbox(_: Upstream) -> list[str]:
        # Its documentation has no way in, so the account's webhook gets what came.
        return [hook["body"]["data"]["message"] for hook in server.hooks()]

    keys = {"base_url": server.url, "api_key": KEY, "device_id": "phonebridge", "poll_interval_s": 0.1, "timeout_s": 1}
    return Place(keys, send, word, inbox, server.stop)


def _local(stack: AsyncExitStack, directory: Path) -> Place:
    async def call(upstream: Upstream, method: str, path: str, body: Any = None) -> Any:
        address = str(upstream.status()["address"])
        async with httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {KEY}"}) as http:
            return (await http.request(method, path, json=body)).json()["data"]

    async def send(upstream: Upstream, text: str) -> None:
        await call(upstream, "POST", "/api/sms", {"message": text, "recipient_number": NUMBER})

    async def word(upstream: Upstream) -> str:
        rows = (await call(upstream, "GET", "/api/sms/outbox"))["data"]
        return str(rows[0]["status"]) if rows else ""

    async def inbox(upstream: Upstream) -> list[str]:
        return [row["message"] for row in (await call(upstream, "GET", "/api/sms/inbox"))["data"]]

    return Place({"bind": "127.0.0.1:0", "api_key": KEY}, send, word, inbox, None)


def _mqtt(stack: AsyncExitStack, directory: Path) -> Place:
    mosquitto = stack.enter_context(Mosquitto(directory / "broker"))
    sender = stack.enter_context(Person(mosquitto.port, "phonebridge/pi"))

    async def send(upstream: Upstream, text: str) -> None:
        # Before its first connection there is no session that the broker could keep it for.
        while not upstream.status()["connected"]:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(sender.say, "send", {"id": "1", "to": NUMBER, "text": text})

    async def word(_: Upstream) -> str:
        return next((row["status"] for row in reversed(sender.heard("status"))), "")

    async def inbox(_: Upstream) -> list[str]:
        return [row["text"] for row in sender.heard("inbox")]

    keys = {"url": mosquitto.url, "device_id": "pi", "username": "x", "password": KEY}
    return Place(keys, send, word, inbox, mosquitto.kill)


def _smsgate(stack: AsyncExitStack, directory: Path) -> Place:
    server = stack.enter_context(SmsGateServer(directory / "server", private_token=KEY))
    server.control("knobs", keepalive_s=0.3)
    has_hook: list[str] = []

    async def send(upstream: Upstream, text: str) -> None:
        while not upstream.status()["devices"]:
            await asyncio.sleep(0.02)
        if not has_hook:
            has_hook.append(
                await asyncio.to_thread(server.control, "webhook", url=server.hook_url(), event="sms:received")
            )
        server.enqueue({"textMessage": {"text": text}, "phoneNumbers": [NUMBER]})

    async def word(_: Upstream) -> str:
        return next((str(row["state"]).lower() for row in server.messages().values()), "")

    async def inbox(_: Upstream) -> list[str]:
        # The server stores no inbound: its devices call the account's webhooks.
        return [body["payload"]["message"] for body in server.calls("sms:received")]

    keys = {"base_url": server.url, "private_token": KEY, "poll_without_events_s": 0.2, "timeout_s": 1}
    return Place(keys, send, word, inbox, server.stop)


PLACES: dict[str, Callable[[AsyncExitStack, Path], Place]] = {
    "mobsms": _mobsms,
    "local": _local,
    "mqtt": _mqtt,
    "smsgate": _smsgate,
}


def test_every_registered_upstream_has_a_place_here() -> None:
    assert sorted(PLACES) == UPSTREAMS


@pytest.fixture(params=UPSTREAMS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


@dataclass
class Stand:
    """One upstream in a gateway with one modem."""

    place: Place
    box: Box
    upstream: Upstream
    feed: Feed
    feed_name: str

    async def until(self, is_so: Callable[[], Awaitable[Any]], timeout_s: float = 10.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not await is_so():
                await asyncio.sleep(0.03)

    async def start(self) -> None:
        gateway, name = self.box.gateway, self.feed_name
        await gateway.ensure_upstream(name, self.upstream.identity(), wants_inbound=self.upstream.wants_inbound)
        gateway.feeds[name] = self.feed
        self.box.start()
        for work in (self.upstream.run, self.feed.run, self.box.gateway.hooks.run):
            self.box.tasks.append(asyncio.create_task(keep_running(name, work)))
        if self.place.leave is None:
            await self.until(self._serves)

    async def _serves(self) -> bool:
        address = self.upstream.status().get("address")
        if not isinstance(address, str):
            return False
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


@pytest.fixture
async def stand(kind: str, tmp_path: Path) -> AsyncIterator[Stand]:
    async with AsyncExitStack() as stack:
        place = await asyncio.to_thread(PLACES[kind], stack, tmp_path)
        box = await stack.enter_async_context(Box(tmp_path, {"a": FakeModem()}))
        (settings,) = parse({"upstream": [{"type": kind, **place.keys}]}).upstreams
        upstream: Upstream = plugins.load_upstream(kind)(settings, box.gateway)
        yield Stand(place, box, upstream, Feed(kind, upstream, box.journal, box.clock), kind)


def test_it_has_everything_that_the_contract_names(kind: str) -> None:
    cls = plugins.load_upstream(kind)
    assert cls.kind == kind and is_dataclass(cls.Settings) and issubclass(cls.Settings, UpstreamSettings)
    assert {"type", "name"} <= {key.name for key in fields(cls.Settings)}
    assert plugins.settings_of(plugins.UPSTREAMS, kind) is cls.Settings
    for name, member in inspect.getmembers(api.Upstream, inspect.isfunction):
        if name.startswith("_"):
            continue
        own = getattr(cls, name)
        assert list(inspect.signature(own).parameters) == list(inspect.signature(member).parameters), name
        assert inspect.iscoroutinefunction(own) == inspect.iscoroutinefunction(member), name


async def test_it_is_known_by_an_identity_and_shows_facts_without_secrets(stand: Stand) -> None:
    upstream = stand.upstream
    assert upstream.identity() == upstream.identity() != ""
    assert upstream.concurrency >= 1 and isinstance(upstream.wants_inbound, bool)
    facts = upstream.status()
    assert "problem" in facts
    assert all(value is None or isinstance(value, str | int | float | bool) for value in facts.values())
    assert "contracts-secret" not in f"{facts} {upstream.identity()} {upstream!r}"


async def test_a_message_goes_out_its_state_comes_back_and_an_inbound_one_is_handed_over(stand: Stand) -> None:
    await stand.start()
    modem = next(iter(stand.box.modems.values()))
    await stand.place.send(stand.upstream, "by the contract")

    async def is_told() -> bool:
        return await stand.place.word(stand.upstream) == "sent"

    await stand.until(is_told)
    assert modem.texts() == ["by the contract"]
    part = InboundPart(modem.iccid, NUMBER, "an answer", "gsm7", b"an answer", b"its tpdu")
    await stand.box.journal.write(lambda con: inbound.add_part(con, "a", part, stand.box.clock.now()))
    stand.box.gateway.committed()

    async def is_there() -> bool:
        return await stand.place.inbox(stand.upstream) == ["an answer"]

    await stand.until(is_there)
    assert stand.upstream.status()["problem"] is None
    async with asyncio.timeout(30):
        await stand.upstream.refresh()


async def test_it_ends_when_it_is_cancelled_and_leaves_nothing_behind(stand: Stand) -> None:
    before = asyncio.all_tasks()
    await stand.start()
    async with asyncio.timeout(10):
        await stand.box.stop()
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.02)


async def test_a_server_that_is_away_is_a_delivery_error_and_holds_nobody_up(stand: Stand) -> None:
    if stand.place.leave is None:
        # It is its own server: what is told lands in the same journal.
        await stand.start()
        await stand.place.send(stand.upstream, "x")
        await stand.upstream.report(_report(stand))
        return
    await stand.start()
    await stand.until(lambda: _looked(stand))
    await asyncio.to_thread(stand.place.leave)
    async with asyncio.timeout(30):
        with pytest.raises(DeliveryError) as caught:
            await stand.upstream.report(_report(stand))
        assert str(caught.value).strip()
        await stand.upstream.refresh()
    await stand.until(lambda: _says_so(stand))


async def _looked(stand: Stand) -> bool:
    facts = stand.upstream.status()
    return facts.get("last_poll_s") is not None or facts.get("connected") is True


async def _says_so(stand: Stand) -> bool:
    return bool(stand.upstream.status()["problem"])


def _report(stand: Stand) -> Report:
    message = Message(
        id=1, uid="uid", direction="outbound", upstream=stand.feed_name, remote_id="1", account=None, device=None,
        number=NUMBER, text="x", state=MessageState.SENT, priority=0, parts=1, route="a", iccid=None, error=None,
        may_be_double=False, created_ms=0, sent_ms=1, delivered_ms=None, attributes={},
    )  # fmt: skip
    return Report(event_id=1, message=message, state=MessageState.SENT, error=None, at_ms=1)
