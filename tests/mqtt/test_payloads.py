"""Topics and payloads: what goes in and comes back, and what is refused with which sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.mqtt import payloads, topics
from drivers.mqtt.payloads import BadJob, Capacity, InboxMessage, JobOrder, JobStatus, Status
from drivers.mqtt.topics import Topics

FULL = JobOrder(
    id="a-1", to="+491701234567", text="ä\n😀", sim_slot=1, route="sim1", priority=-5, valid_for_s=90.5, flash=True,
    port=7, data=b"\x00\xff",
)  # fmt: skip
SMALL = JobOrder(to="112", text="x")
EMPTY = JobOrder(to="112", text="")


@pytest.mark.parametrize("order", [FULL, SMALL, EMPTY], ids=["every field", "the least", "no text"])
def test_a_job_comes_back_as_it_was_written(order: JobOrder) -> None:
    assert payloads.job(order.encode()) == order


def test_what_a_gateway_says_comes_back_as_it_was_written() -> None:
    status = JobStatus(
        id="a", status=Status.FAILED, error="no SIM", to="+4917", uid="u", route="r", parts=2, may_be_double=True,
        at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    assert payloads.status(status.encode()) == status
    assert payloads.status(JobStatus(id=None, status=Status.SENT).encode()) == JobStatus(id=None, status=Status.SENT)
    capacity = Capacity(room=20, free=3, queued=17, routes=("a", "b"))
    assert payloads.capacity(capacity.encode()) == capacity
    inbox = InboxMessage(id="u", sender="+49170", text="hi", route="a", sim_slot=0, details={"port": 7})
    assert payloads.inbox_message(inbox.encode()) == inbox
    assert payloads.inbox_message(InboxMessage(id="u", sender="x", text=None).encode()).text is None


@pytest.mark.parametrize(
    ("payload", "sentence", "job_id"),
    [
        ("", "not JSON", None),
        ("no", "not JSON", None),
        ("[]", "not a JSON object", None),
        ("[" * 100_000, "not JSON", None),
        (b"\xff\xfe\x00", "not JSON", None),
        ({"to": "1", "text": "x", "vald_for_s": 1, "id": "a"}, 'there is no key "vald_for_s"; known are data', "a"),
        ({"to": "1", "text": "x", "\ud800": 1, "id": "a"}, 'there is no key "?"; known are data', "a"),
        ({"text": "x", "id": 7}, '"to" is missing', "7"),
        ({"to": " ", "text": "x", "id": "a"}, '"to" is missing', "a"),
        ({"to": ["+49170"], "text": "x", "id": "a"}, '"to" is missing', "a"),
        ({"to": "112", "id": "a"}, '"text" is missing', "a"),
        ({"to": "112", "text": None, "id": "a"}, '"text" is missing', "a"),
        ({"to": "112", "text": 1, "id": "a"}, '"text" should be a text', "a"),
        ({"to": "112", "text": "x", "id": ""}, '"id" should be a text of 1 to 200', None),
        ({"to": "112", "text": "x", "id": "a" * 201}, '"id" should be a text of 1 to 200', None),
        ({"to": "112", "text": "x", "id": "\ud800"}, '"id" should be a text of 1 to 200', None),
        ({"to": "112", "text": "\udc00", "id": "a"}, '"text" holds half a surrogate pair', "a"),
        ({"to": "112", "text": "x" * 40_001, "id": "a"}, '"text" has 40001 characters; 40000 are', "a"),
        ({"to": "112", "text": "ä" * 33_000, "id": "a"}, "is too long; 65536 are the most", "a"),
        ({"to": "112", "text": "x", "sim_slot": True, "id": "a"}, '"sim_slot" should be a whole number', "a"),
        ({"to": "112", "text": "x", "priority": 128, "id": "a"}, "from -128 to 127", "a"),
        ({"to": "112", "text": "x", "priority": 10**400, "id": "a"}, "from -128 to 127", "a"),
        ({"to": "112", "text": "x", "valid_for_s": 0, "id": "a"}, "a number of seconds", "a"),
        ({"to": "112", "text": "x", "valid_for_s": 10**400, "id": "a"}, "a number of seconds", "a"),
        ('{"to": "112", "text": "x", "valid_for_s": NaN, "id": "a"}', "a number of seconds", "a"),
        ({"to": "112", "text": "x", "flash": 1, "id": "a"}, '"flash" should be true or false', "a"),
        ({"to": "112", "data": "zz", "id": "a"}, '"data" should be octets in hexadecimal', "a"),
        ({"to": "112", "data": 5, "id": "a"}, '"data" should be octets in hexadecimal', "a"),
    ],
)  # fmt: skip
def test_what_is_no_job_is_refused_with_a_sentence_and_the_id(payload: Any, sentence: str, job_id: str | None) -> None:
    octets = payload if isinstance(payload, bytes) else payload.encode() if isinstance(payload, str) else None
    with pytest.raises(BadJob) as caught:
        payloads.job(json.dumps(payload).encode() if octets is None else octets)
    assert sentence in str(caught.value)
    assert caught.value.id == job_id
    # It is told to whoever sent it.
    assert payloads.status(JobStatus(id=job_id, status=Status.FAILED, error=str(caught.value)).encode()).id == job_id


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(sorted({*JobOrder.__slots__, "status", "room", "free", "routes", "from", "details"}))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(), st.dictionaries(_KEYS, _JSON).map(lambda found: json.dumps(found).encode())))
def test_no_payload_raises_anything_else(payload: bytes) -> None:
    for read in (payloads.job, payloads.status, payloads.capacity, payloads.inbox_message, payloads.named_job):
        try:
            read(payload)
        except BadJob as error:
            assert str(error)


def test_a_cancel_names_the_job_as_json_or_alone() -> None:
    assert payloads.named_job(b'{"id": 5}') == payloads.named_job(b" 5\n") == "5"
    for payload in (b"", b"{}", b"\xff", b"x" * 201):
        with pytest.raises(BadJob):
            payloads.named_job(payload)


def test_topics_are_read_back_into_number_route_and_gateway() -> None:
    own = Topics("phonebridge", "pi")
    assert own.number_of("phonebridge/pi/send/0049170") == "+49170"
    assert own.number_of("phonebridge/pi/send/112") == "112"
    assert own.number_of(own.send) is None
    assert own.route_of(own.route_do("sim 0")) == "sim 0"
    assert own.route_of(own.route_state("sim0")) is None
    assert topics.gateway_of("phonebridge", own.capacity) == "pi"
    assert topics.gateway_of("phonebridge", "elsewhere/pi/capacity") is None
    for name in ("", "a/b", "+", "#", "a\n"):
        with pytest.raises(topics.NotALevel):
            topics.level(name)
    with pytest.raises(topics.NotALevel):
        topics.path("a//b")
