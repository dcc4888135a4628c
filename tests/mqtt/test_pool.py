"""A pool's session at a real broker; the gateways are played by hand, the agent's side is a list of events."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.api import (
    Event,
    InboundPart,
    LinkChanged,
    MayBeDouble,
    NotReady,
    OpenContext,
    PartToSend,
    PlanOptions,
    Refused,
    ReportOutcome,
    StatusReport,
)
from drivers.mqtt.driver import PoolDriver
from drivers.mqtt.pool import PoolSession
from drivers.mqtt.settings import PoolSettings
from tests.mqtt.broker import Mosquitto
from tests.mqtt.person import Person
from tests.yazsana.conftest import Memory

NUMBER = "+491701234567"
_PREFIXES = (f"t{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


class Field:
    """Gateways below a prefix of their own, and the sessions of one server."""

    def __init__(self, broker: Mosquitto, person: Person, prefix: str) -> None:
        self.broker, self.person, self.prefix = broker, person, prefix
        self.memory = Memory()
        self.events: list[Event] = []
        self.order: list[str] = []
        self._open: list[tuple[PoolSession, asyncio.Task[None]]] = []

    async def join(self, device: str, *, room: int = 20, per_minute: float = 60, **also: Any) -> None:
        said = {"room": room, "free": room, "routes": ["sim0"], "per_minute": per_minute, "pool": "p", **also}
        await self.say(f"{device}/capacity", said, is_retained=True)
        await self.say(f"{device}/availability", "online", is_retained=True)

    async def say(self, topic: str, payload: Any, *, is_retained: bool = False) -> None:
        await asyncio.to_thread(lambda: self.person.say(topic, payload, is_retained=is_retained))

    async def answer(self, device: str, job: dict[str, Any] | str, status: str, **also: Any) -> None:
        job_id = job if isinstance(job, str) else job["id"]
        await self.say(f"{device}/status", {"id": job_id, "status": status, **also})

    async def open(self, *, on_unknown: Any = "resend", leftover: bool = False, **keys: Any) -> PoolSession:
        settings = PoolSettings(url=self.broker.url, pool="p", topic_prefix=self.prefix, **keys)
        context = OpenContext("pool", self._emit, self.memory, leftover=leftover, on_unknown=on_unknown)
        session = await PoolDriver().open(settings, context)
        self._open.append((session, asyncio.create_task(session.run())))
        return session

    async def submit(self, session: PoolSession, text: str = "Hello", **options: Any) -> int:
        (part,) = PoolDriver().plan(text, 25, PlanOptions(**options))
        planned = PartToSend(NUMBER, part.alphabet, part.body, header=part.header, message_class=part.message_class)
        submitted = await session.submit(planned, asyncio.sleep(0))
        assert submitted.reports_anyway and submitted.tp_mr is not None
        return submitted.tp_mr

    def jobs(self, device: str) -> list[dict[str, Any]]:
        return self.person.heard(f"{device}/send")

    def asked_back(self, device: str) -> list[str]:
        return [payload.decode() for payload in self.person.raw(f"{device}/release")]

    def reports(self) -> list[tuple[ReportOutcome, str]]:
        return [(event.outcome, event.sentence) for event in self.events if isinstance(event, StatusReport)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, is_so: Callable[[], Any]) -> None:
        async with asyncio.timeout(15):
            while not is_so():
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        """All sessions are over, without a word to anybody."""
        for session, task in self._open:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await session.close()
        self._open.clear()

    async def _emit(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
async def field(broker: Mosquitto) -> AsyncIterator[Field]:
    prefix = next(_PREFIXES)
    person = Person(broker.port, prefix, name=f"person-{prefix}")
    await asyncio.to_thread(person.__enter__)
    made = Field(broker, person, prefix)
    yield made
    await made.end()
    person.__exit__(None, None, None)


async def test_statuses_become_reports_and_an_end_is_an_end(field: Field) -> None:
    await field.join("a")
    session = await field.open()
    await field.submit(session)
    await field.until(lambda: field.jobs("a"))
    (job,) = field.jobs("a")
    assert job == {"id": job["id"], "to": NUMBER, "text": "Hello"}
    for word in ("accepted", "sent", "sent", "delivered", "delivered"):
        await field.answer("a", job, word, route="sim0")
    await field.until(lambda: len(field.reports()) == 2)
    assert field.reports() == [
        (ReportOutcome.PENDING, "The gateway a has sent it by its route sim0."),
        (ReportOutcome.DELIVERED, "By the gateway a."),
    ]
    assert not any(fact.startswith("pool ") for _, fact in field.memory.facts)


async def test_what_a_gateway_could_not_send_fails_with_its_sentence(field: Field) -> None:
    await field.join("a")
    session = await field.open()
    await field.submit(session)
    await field.until(lambda: field.jobs("a"))
    await field.answer("a", field.jobs("a")[0], "failed", error="The number does not exist.")
    await field.until(field.reports)
    assert field.reports() == [(ReportOutcome.FAILED, "The number does not exist.")]


async def test_data_ports_and_flash_go_as_they_were_planned(field: Field) -> None:
    await field.join("a")
    session = await field.open()
    await field.submit(session, "", data=b"\x01\xff", port=16000)
    await field.submit(session, "Now!", is_flash=True)
    await field.until(lambda: len(field.jobs("a")) == 2)
    data, flash = field.jobs("a")
    assert (data["data"], data["port"], data.get("text", "")) == ("01ff", 16000, "")
    assert (flash["text"], flash["flash"]) == ("Now!", True)
    with pytest.raises(Refused):
        await session.submit(PartToSend(NUMBER, "gsm7", b"x"), asyncio.sleep(0))


async def test_released_means_another_gateway_and_another_id(field: Field) -> None:
    await field.join("a", per_minute=600)
    await field.join("b", per_minute=6)
    session = await field.open()
    await field.submit(session)
    await field.until(lambda: field.jobs("a"))
    await field.join("a", room=0)
    await field.answer("a", field.jobs("a")[0], "released")
    await field.until(lambda: field.jobs("b"))
    assert field.jobs("b")[0]["id"] != field.jobs("a")[0]["id"]
    await field.answer("b", field.jobs("b")[0], "delivered")
    await field.until(field.reports)
    assert not field.of(MayBeDouble)


async def test_a_gateway_that_vanished_keeps_its_messages_and_is_asked_for_them(field: Field) -> None:
    await field.join("a", per_minute=600)
    await field.join("b", per_minute=6)
    session = await field.open(ask_back_after_s=0.1)
    await field.submit(session, "kept")
    await field.submit(session, "released")
    await field.until(lambda: len(field.jobs("a")) == 2)
    kept, released = field.jobs("a")
    await field.answer("a", kept, "accepted")
    await field.say("a/availability", "offline", is_retained=True)
    await field.until(lambda: sorted(field.asked_back("a")) == sorted([kept["id"], released["id"]]))
    assert field.jobs("b") == []
    await field.say("a/availability", "online", is_retained=True)
    await field.answer("a", kept, "sent")
    await field.join("a", room=0)
    await field.answer("a", released, "released")
    await field.until(lambda: [job["text"] for job in field.jobs("b")] == ["released"])
    assert not field.of(MayBeDouble)


async def test_one_that_stays_away_loses_them_once_and_flagged(field: Field) -> None:
    await field.join("a", per_minute=600)
    session = await field.open(ask_back_after_s=0.1, give_up_after_s=0.2)
    number = await field.submit(session)
    await field.until(lambda: field.jobs("a"))
    await field.say("a/availability", "offline", is_retained=True)
    await field.until(lambda: field.of(MayBeDouble))
    assert [event.tp_mr for event in field.of(MayBeDouble)] == [number]
    await field.join("b")
    await field.until(lambda: field.jobs("b"))
    # The first one comes back after all, and had sent it: the other is asked to leave it.
    await field.join("a")
    await field.answer("a", field.jobs("a")[0], "sent")
    await field.until(lambda: field.asked_back("b") == [field.jobs("b")[0]["id"]])
    await field.answer("b", field.jobs("b")[0], "released")
    await field.answer("a", field.jobs("a")[0], "delivered")
    await field.until(lambda: field.reports()[-1:] == [(ReportOutcome.DELIVERED, "By the gateway a.")])
    assert len(field.jobs("a")) == 1 and len(field.jobs("b")) == 1


async def test_where_the_owner_wants_no_doubles_they_fail(field: Field) -> None:
    await field.join("a")
    await field.join("b")
    session = await field.open(on_unknown="fail", ask_back_after_s=0.1, give_up_after_s=0.2)
    await field.submit(session)
    await field.until(lambda: field.jobs("a") or field.jobs("b"))
    has_it, other = ("a", "b") if field.jobs("a") else ("b", "a")
    await field.say(f"{has_it}/availability", "offline", is_retained=True)
    await field.until(field.reports)
    ((outcome, sentence),) = field.reports()
    assert outcome is ReportOutcome.FAILED and "was not sent again" in sentence
    assert field.jobs(other) == [] and not field.of(MayBeDouble)


async def test_a_gateway_with_a_new_journal_no_longer_has_what_it_accepted(field: Field) -> None:
    await field.join("a", instance="1")
    session = await field.open()
    await field.submit(session)
    await field.until(lambda: field.jobs("a"))
    await field.answer("a", field.jobs("a")[0], "accepted")
    await field.submit(session, "second")
    await field.until(lambda: len(field.jobs("a")) == 2)
    await field.join("a", instance="2")
    # What it had not accepted is only asked for again, with the same id.
    await field.until(lambda: len({job["id"] for job in field.jobs("a")}) == 3)
    assert len(field.of(MayBeDouble)) == 1
    assert [job["text"] for job in field.jobs("a") if job["id"].endswith("-2")] == ["Hello"]


async def test_the_next_life_asks_again_and_hears_what_was_said_meanwhile(field: Field) -> None:
    await field.join("a")
    session = await field.open()
    await field.submit(session, "sent meanwhile")
    await field.submit(session, "never arrived")
    await field.until(lambda: len(field.jobs("a")) == 2)
    await field.end()
    first, second = field.jobs("a")
    await field.answer("a", first, "sent")
    await field.open(leftover=True)
    await field.until(lambda: field.jobs("a")[2:])
    assert second["id"] in [job["id"] for job in field.jobs("a")[2:]]
    await field.until(lambda: (ReportOutcome.PENDING, "The gateway a has sent it.") in field.reports())
    assert (ReportOutcome.PENDING, "The pool has it.") in field.reports()
    assert len({job["id"] for job in field.jobs("a")}) == 2


async def test_a_full_pool_takes_nothing_and_says_so_until_there_is_room(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.mqtt.pool._ROOM_WAIT_S", 0.2)
    await field.join("a", room=1)
    session = await field.open()
    await field.submit(session)
    with pytest.raises(NotReady):
        await field.submit(session, "too much")
    assert not session.link.registration.has_service and "no room" not in str(session.link.problem)
    await field.until(lambda: field.jobs("a"))
    await field.answer("a", field.jobs("a")[0], "sent")
    await field.until(lambda: session.link.registration.has_service)
    assert field.of(LinkChanged)
    await field.submit(session, "now")


async def test_received_messages_are_passed_up_with_a_mark_of_their_own(field: Field) -> None:
    await field.join("a")
    await field.say("stranger/capacity", {"room": 1, "free": 1, "routes": ["x"]}, is_retained=True)
    await field.open()
    message = {"id": "u1", "from": NUMBER, "text": "Yes", "kind": "text", "received_at": "2026-11-25T12:00:00+01:00"}
    await field.say("stranger/inbox", message)
    await field.say("a/inbox", message)
    await field.say("a/inbox", {**message, "id": "u2", "kind": "data", "details": {"data": "01ff", "port": 16000}})
    await field.until(lambda: len(field.of(InboundPart)) == 2)
    text, data = field.of(InboundPart)
    assert (text.sender, text.text, text.tpdu, text.scts) == (NUMBER, "Yes", b"a u1", message["received_at"])
    assert (data.body, data.port, data.kind.value) == (b"\x01\xff", 16000, "data")


async def test_nonsense_of_others_is_passed_over(field: Field) -> None:
    await field.join("a")
    session = await field.open()
    for topic, payload in (
        ("a/status", b"\xff"), ("a/status", b"{}"), ("a/status", json.dumps({"id": "pool-x-1", "status": "sent"})),
        ("a/status", json.dumps({"id": "pool-7-9", "status": "sent"})), ("a/capacity", b"[]"), ("a/inbox", b"{"),
    ):  # fmt: skip
        await field.say(topic, payload)
    await field.submit(session)
    await field.until(lambda: field.jobs("a"))
    assert field.reports() == []


def test_one_pool_is_one_route(tmp_path: Path) -> None:
    one = PoolSettings(url="mqtt://host", pool="p")
    assert "pool" in str(PoolDriver().clash(one, one))
    assert PoolDriver().clash(one, PoolSettings(url="mqtt://host", pool="q")) is None
    with pytest.raises(ValueError, match="give_up_after_s"):
        PoolSettings(url="mqtt://host", pool="p", ask_back_after_s=10, give_up_after_s=5)
