"""What comes by a broker, at both ends of the road: a gateway that takes orders, and the pool that hears gateways.

An input is the topic in the first line and the payload behind it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from agent.assembly import Assembly
from agent.upstreams.mqtt import words
from drivers.mqtt import inbound, payloads
from drivers.mqtt.answers import Answer, Answers
from drivers.mqtt.ledger import Entry, Ledger, numbered
from drivers.mqtt.members import Members
from drivers.mqtt.payloads import BadJob, JobOrder, Status
from drivers.mqtt.topics import ONLINE, Topics, gateway_of
from tests.fuzz import own
from tests.fuzz.engine import Ready, Target

_PREFIX, _POOL, _ICCID = "phonebridge", "pool", "mqtt:pool"
_OWN = Topics(_PREFIX, "gate")
_WAITING = Entry(number=5, recipient="+491701234567", at_ms=1, order={"text": "hi"})


_LOADED_EVERY = 100
"""Reading the whole ledger takes as long as many inputs."""


class Changed(AssertionError):
    """What was read and written is not what is read again."""


def _message(data: bytes) -> tuple[str, bytes] | None:
    """A broker lets through only topics in UTF-8 (MQTT 5 §1.5.4)."""
    topic, _, payload = data.partition(b"\n")
    try:
        return topic.decode(), payload
    except UnicodeDecodeError:
        return None


@contextmanager
def _gateway() -> Iterator[Ready]:
    with own.gateway("mqtt") as there:

        def execute(data: bytes) -> None:
            if (message := _message(data)) is None:
                return
            topic, payload = message
            _OWN.route_of(topic)
            number = _OWN.number_of(topic)
            try:
                if topic in (_OWN.cancel, _OWN.release):
                    job_id = payloads.named_job(payload)
                    there.run(there.gateway.known("mqtt", [job_id]))
                    return
                order = payloads.job(payload) if number is None else payloads.plain_job(number, payload)
            except BadJob as error:
                # Its sentence is published.
                json.loads(payloads.JobStatus(id=error.id, status=Status.FAILED, error=str(error)).encode())
                return
            if number is None and payloads.job(order.encode()) != order:
                raise Changed(order)
            job_id = order.id or words.own_prefix(1, topic, payload)
            there.run(there.gateway.accept("mqtt", [words.job(order, job_id)]))

        yield Ready(execute, _TO_GATEWAY)


@contextmanager
def _pool() -> Iterator[Ready]:
    with own.gateway() as there:
        pieces = Assembly(there.gateway)
        emit, clock = partial(pieces._inbox.take, "sim0"), itertools.count()

        async def hear(topic: str, payload: bytes) -> None:
            ledger = Ledger(pieces._memory, _ICCID)
            await ledger.put(_WAITING.assigned("gate"))
            members = Members(_POOL, _PREFIX, ledger.untried)
            device = gateway_of(_PREFIX, topic)
            if device is None:
                return
            with suppress(BadJob):
                if topic.endswith("/status"):
                    status = payloads.status(payload)
                    if (found := numbered(status.id)) is not None:
                        answers = Answers(ledger, emit, _ICCID, lambda entry, turn: None)
                        await answers.take(found[0], [Answer(device, found[1], status)])
                elif topic.endswith("/inbox"):
                    await emit(inbound.part(_ICCID, device, payloads.inbox_message(payload)))
                else:
                    members.hear(device, topic, payload, next(clock))
                    members.hear(device, members.topics(device).availability, ONLINE, next(clock))
                    members.choose(30.0, next(clock))
                    members.counts()
            if next(clock) % _LOADED_EVERY == 0:
                await Ledger(pieces._memory, _ICCID).load()
            for entry in ledger.entries():
                if entry.order:
                    payloads.job(entry.job(next(clock)))

        def execute(data: bytes) -> None:
            if (message := _message(data)) is not None:
                there.run(hear(*message))

        yield Ready(execute, _TO_POOL)


_JOB = JobOrder(id="a-1", to="+491701234567", text="hi", sim_slot=1, route="sim1", priority=9, valid_for_s=9.5).encode()
_STATUS = payloads.JobStatus(
    id="pool-5-1", status=Status.DELIVERED, to="+491701234567", uid="u", route="sim0", parts=2, may_be_double=True,
    at="2026-11-25T10:00:00Z",
).encode()  # fmt: skip
_CAPACITY = payloads.Capacity(
    room=20, free=3, queued=17, routes=("a", "b"), per_minute=9.5, pool=_POOL, instance="1",
    since="2026-11-25T10:00:00Z",
).encode()  # fmt: skip
_INBOX = payloads.InboxMessage(
    id="u-1", sender="+491701234567", text="hi", route="sim0", sim_slot=0, received_at="2026-11-25T10:00:00Z",
    kind="data", details={"data": "00ff", "port": 7, "source_port": 9},
).encode()  # fmt: skip


def _recorded(*messages: tuple[str, bytes]) -> tuple[bytes, ...]:
    return tuple(topic.encode() + b"\n" + payload for topic, payload in messages)


_TO_GATEWAY = _recorded(
    (_OWN.send, _JOB),
    (_OWN.send, JobOrder(to="112", data=b"\x00\xff", port=7, flash=True).encode()),
    (f"{_OWN.send}/00491701234567", "Grüße 😀".encode()),
    (_OWN.cancel, b'{"id": "a-1"}'),
    (_OWN.release, b"a-1"),
    (_OWN.route_do("sim0"), b"reset"),
)
_TO_POOL = _recorded(
    (_OWN.status, _STATUS),
    (_OWN.status, _STATUS.replace(b"delivered", b"released")),
    (_OWN.status, _STATUS.replace(b"delivered", b"failed")),
    (_OWN.capacity, _CAPACITY),
    (_OWN.availability, ONLINE),
    (_OWN.inbox, _INBOX),
    (_OWN.inbox, _INBOX.replace(b'"kind":"data"', b'"kind":"wap_push"')),
)

TARGETS: dict[str, Target] = {"mqtt-orders": _gateway, "mqtt-pool": _pool}
