"""The pure parts: words for states, what headers ask for, and what the settings accept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from agent.model import MessageState
from agent.upstreams import headers
from agent.upstreams.mobsms import MobSmsSettings, rows

DEVICE = rows.Device(5, "+998901234567", 0.0, 0, True)
S = MessageState


@pytest.mark.parametrize(
    ("state", "error", "body"),
    [
        pytest.param(S.SENT, None, {"status": "sent"}, id="sent"),
        pytest.param(S.DELIVERED, None, {"status": "delivered"}, id="delivered"),
        pytest.param(S.FAILED, "no credit", {"status": "failed", "error_message": "no credit"}, id="failed"),
        pytest.param(
            S.EXPIRED, None,
            {"status": "failed", "error_message": "it could not be sent before its validity ended"}, id="expired",
        ),
        pytest.param(S.CANCELLED, rows.WITHDRAWN + ": deleted", None, id="withdrawn by the server"),
        pytest.param(
            S.CANCELLED, "cancelled", {"status": "failed", "error_message": "cancelled on the gateway"}, id="cancelled"
        ),
        pytest.param(
            S.CANCELLED, "deleted", {"status": "failed", "error_message": "cancelled on the gateway: deleted"},
            id="deleted here",
        ),
        pytest.param(S.QUEUED, None, None, id="nothing to tell"),
        pytest.param(S.FAILED, "x" * 900, {"status": "failed", "error_message": "x" * 250}, id="long"),
    ],
)  # fmt: skip
def test_states_are_told_in_the_servers_words(
    state: MessageState, error: str | None, body: dict[str, str] | None
) -> None:
    assert rows.report(state, error) == body


@pytest.mark.parametrize(
    ("given_headers", "seconds"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"Retry-After": "17"}, 17, id="seconds"),
        pytest.param(
            {"Retry-After": "Mon, 08 Jun 2026 10:01:00 GMT", "Date": "Mon, 08 Jun 2026 10:00:00 GMT"}, 60, id="date"
        ),
        pytest.param(
            {"X-RateLimit-Reset": "1780912842", "Date": "Mon, 08 Jun 2026 10:00:00 GMT"}, 42, id="reset"
        ),
        pytest.param({"X-RateLimit-Reset": "1780912842"}, None, id="reset without a clock"),
        pytest.param({"Retry-After": "99999999"}, 3600, id="too long"),
        pytest.param({"Retry-After": "soon"}, None, id="garbage"),
        pytest.param({"Retry-After": "9" * 5000}, None, id="huge"),
    ],
)  # fmt: skip
def test_retry_after(given_headers: dict[str, str], seconds: float | None) -> None:
    assert headers.retry_after_s(given_headers) == seconds


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([
        "id", "device_id", "message", "recipient_number", "phone", "status", "direction", "sim_slot", "priority",
        "valid_for_s", "created_at", "message_id", "data", "total", "per_page", "send_delay_seconds",
        "default_sim_slot", "is_active",
    ]), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_no_document_makes_anything_but_malformed(document: Any) -> None:
    try:
        found = rows.page(document)
    except rows.Malformed:
        found = rows.ListPage((document,) if isinstance(document, dict) else (), 1, 1)
    for job in rows.pending(found.rows, DEVICE, "pi").jobs:
        assert job.remote_id
        json.dumps(job.attributes)
        (job.recipient + job.text + job.remote_id).encode()
    try:
        listed = rows.devices(document)
    except rows.Malformed:
        return
    rows.own_device(listed, "pi")
    rows.device_ids(listed)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        pytest.param({"base_url": "api.mobsms.cloud"}, "is not a server address", id="no scheme"),
        pytest.param({"base_url": "https://"}, "is not a server address", id="no host"),
        pytest.param({"base_url": "https://host:port"}, "is not a server address", id="bad port"),
        pytest.param({"base_url": "https://user:secret@host"}, "without user, password", id="with a secret"),
        pytest.param({"api_key": None}, "api_key_file", id="no key"),
        pytest.param({"api_key_file": "/k"}, "api_key_file", id="two keys"),
        pytest.param({"ca_file": "/nowhere/ca.pem"}, "is not a file", id="no CA"),
    ],
)
def test_settings_say_what_is_wrong(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        TypeAdapter(MobSmsSettings).validate_python({"type": "mobsms", "api_key": "1|k", **keys})
