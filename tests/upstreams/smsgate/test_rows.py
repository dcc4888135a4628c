"""The pure parts: documents as values, settings as what they mean, and a message's state from its recipients'."""

from __future__ import annotations

from typing import Any

import pytest

from agent.journal.listing import Bundle
from agent.journal.upstream_pace import Pace
from agent.model import Event, Message, MessageState
from agent.upstreams.smsgate import device, export, preferences, rows, snapshot
from agent.upstreams.smsgate.preferences import SimSelection
from agent.upstreams.smsgate.snapshot import State

P, C, R, S, D, F = State.PENDING, State.CANCELLED, State.PROCESSED, State.SENT, State.DELIVERED, State.FAILED


@pytest.mark.parametrize(
    ("states", "total"),
    [
        ((P, D, F), P), ((C, S), C), ((R, S, F), R), ((F, F), F), ((D, D), D), ((D, F), S), ((S, D), S), ((S,), S),
    ],
    ids=str,
)  # fmt: skip
def test_a_messages_state(states: tuple[State, ...], total: State) -> None:
    assert snapshot.aggregate(states) is total


def member(number: int, state: MessageState, error: str | None = None) -> Message:
    return Message(
        id=number, uid=f"u{number}", direction="outbound", upstream="gate", remote_id=f"d:m:{number}", account=None,
        device=None, number=f"+{number}", text="x", state=state, priority=0, parts=1, route=None, iccid=None,
        error=error, may_be_double=False, created_ms=0, sent_ms=None, delivered_ms=None,
        attributes={"number": f"given {number}"},
    )  # fmt: skip


def change(number: int, at_ms: int, message: int, state: MessageState | None) -> Event:
    return Event(number, at_ms, "x", message, None, None, state, None)


def test_a_snapshot_shows_all_recipients_as_given_and_when_the_whole_came_to_each_state() -> None:
    sent, sending, failed = MessageState.SENT, MessageState.SENDING, MessageState.FAILED
    events = (
        change(1, 1000, 1, sending), change(2, 2000, 2, sending), change(3, 3000, 1, sent), change(4, 3500, 1, None),
        change(5, 4000, 2, failed),
    )  # fmt: skip
    bundle = Bundle((member(1, sent), member(2, failed, "e" * 400)), events)
    document = snapshot.document("m", bundle, 9000)
    assert document["id"] == "m" and document["state"] == "Sent"
    assert document["recipients"] == [
        {"phoneNumber": "given 1", "state": "Sent"},
        {"phoneNumber": "given 2", "state": "Failed", "error": "e" * 256},
    ]
    assert document["states"] == {"Processed": "1970-01-01T00:00:02.000+00:00", "Sent": "1970-01-01T00:00:04.000+00:00"}
    assert snapshot.newest_event(bundle) == 5


@pytest.mark.parametrize(
    ("settings", "pace"),
    [
        pytest.param({}, Pace(), id="none"),
        pytest.param({"send_interval_min": 2, "send_interval_max": 5.0}, Pace(2, 5), id="a span"),
        pytest.param({"send_interval_max": 4}, Pace(4), id="one end is both"),
        pytest.param({"limit_period": "Per30Minutes", "limit_value": 3.0}, Pace(0, 0, 3, 1_800_000), id="limit"),
        pytest.param({"limit_period": "Disabled", "limit_value": 3}, Pace(), id="limit is off"),
        pytest.param({"limit_period": "PerDay", "limit_value": 0}, Pace(), id="limit makes no sense"),
        pytest.param({"limit_period": ["x"], "send_interval_min": "2"}, Pace(), id="wrong types"),
        pytest.param(
            {"work_hours_enabled": True, "work_hours_start": "22:00", "work_hours_end": "06:30"},
            Pace(work_hours="22:00-06:30"), id="work hours",
        ),
        pytest.param({"work_hours_start": "22:00", "work_hours_end": "06:30"}, Pace(), id="work hours are off"),
        pytest.param(
            {"work_hours_enabled": True, "work_hours_start": "24:00", "work_hours_end": "06:30"}, Pace(), id="no time"
        ),
    ],
)  # fmt: skip
def test_the_pace_that_settings_ask_for(settings: dict[str, Any], pace: Pace) -> None:
    assert preferences.read({"messages": settings}).pace == pace


def test_other_settings_and_their_defaults() -> None:
    found = preferences.read({"webhooks": {"retry_count": 3.0, "signing_key": "k"}, "ping": {"interval_seconds": 60},
                              "messages": {"sim_selection_mode": "Random"}})  # fmt: skip
    assert (found.hook_retries, found.signing_key, found.ping_s) == (3, "k", 60.0)
    assert found.sim_selection is SimSelection.RANDOM
    default = preferences.read({"messages": {"sim_selection_mode": "Sideways"}})
    assert (default.hook_retries, default.ping_s, default.sim_selection) == (15, None, SimSelection.OS_DEFAULT)


def test_a_missing_key_leaves_what_was_set_and_null_takes_it_back() -> None:
    before = {"messages": {"limit_value": 1, "limit_period": "PerDay"}, "ping": {"interval_seconds": 5}}
    merged = preferences.merged(
        before, {"messages": {"limit_value": None, "send_interval_min": 2}, "ping": None, "x": 1}
    )
    assert merged == {"messages": {"limit_period": "PerDay", "send_interval_min": 2}}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        pytest.param({"textMessage": {"text": "a"}}, None, id="text"),
        pytest.param({"message": "a"}, None, id="old field"),
        pytest.param({"textMessage": None, "message": "a", "state": "Odd", "new": [1]}, None, id="unknown things"),
        pytest.param({"dataMessage": {"data": "AQI=", "port": 1}}, None, id="data"),
        pytest.param({"dataMessage": {"data": "?", "port": 1}}, "its data is not base64", id="no base64"),
        pytest.param({"dataMessage": {"data": "AQI=", "port": 0}}, "no port", id="no port"),
        pytest.param({"mmsMessage": {}}, "MMS", id="mms"),
        pytest.param({}, "neither text nor data", id="nothing"),
    ],
)
def test_messages_are_read_leniently(row: dict[str, Any], problem: str | None) -> None:
    (found,), unusable = rows.listed([{"id": "m", "phoneNumbers": ["+1"], **row}])
    assert unusable == 0
    assert found.problem is None if problem is None else problem in str(found.problem)


def test_what_is_no_message_is_counted_and_what_is_no_list_is_an_error() -> None:
    good = {"id": "m", "phoneNumbers": ["+1"], "message": "x", "priority": 5.0, "simNumber": 2}
    found, unusable = rows.listed([good, {"id": ""}, {"id": "x", "phoneNumbers": []}, 7, {"phoneNumbers": ["+1"]}])
    assert [one.id for one in found] == ["m"] and unusable == 4
    assert (found[0].priority, found[0].sim_number, found[0].wants_report) == (5, 2, True)
    for document in ({}, None, "x"):
        with pytest.raises(rows.Malformed):
            rows.listed(document)
        with pytest.raises(rows.Malformed):
            rows.registration(document)


@pytest.mark.parametrize(("value", "shown"), [("+4915112345678", "**********5678"), ("1234", "****"), ("ab", "****")])
def test_sims_are_masked_as_the_app_does(value: str, shown: str) -> None:
    assert rows.masked(value) == shown


DEEP = '{"a": ' + "[" * 100_000
"""More values inside values than Python's own reader follows."""


@pytest.mark.parametrize(
    "fields",
    [
        {"priority": 10**400}, {"simNumber": -(10**400)}, {"ttl": 10**400}, {"ttl": float("inf")},
        {"ttl": float("nan")},
        {"dataMessage": {"data": "AQ==", "port": 10**400}},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_without_end_count_as_none(fields: dict[str, Any]) -> None:
    """What a message cannot be read for would be pulled again for ever, and nothing behind it."""
    row = {"id": "m", "phoneNumbers": ["112"], "textMessage": {"text": "x"}, **fields}
    (one,), unusable = rows.listed([row])
    assert (one.priority, one.sim_number, one.ttl_s, one.port, unusable) == (0, None, None, None, 0)


@pytest.mark.parametrize("field", ["id", "text", "number"])
def test_text_that_is_half_a_pair_never_reaches_the_journal(field: str) -> None:
    row = {"id": "m", "phoneNumbers": ["112"], "textMessage": {"text": "x"}}
    half = {"id": {"id": "\ud800"}, "text": {"textMessage": {"text": "\ud800"}}, "number": {"phoneNumbers": ["\ud800"]}}
    found, _ = rows.listed([{**row, **half[field]}])
    for one in found:
        f"{one.id}{one.text}{''.join(one.numbers)}".encode()


def test_events_nested_without_end_are_passed_over() -> None:
    assert device._field(DEEP, "messageId") is None
    assert export.wanted(DEEP) is None


def test_the_id_in_an_event_can_be_looked_for() -> None:
    assert device._field('{"messageId": "a\\ud800"}', "messageId") == "a\ufffd"


@pytest.mark.parametrize("token", ["\ud800", "t\n", "tä", ""])
def test_a_token_that_no_header_takes_is_none(token: str) -> None:
    with pytest.raises(rows.Malformed):
        rows.registration({"id": "d", "token": token})
