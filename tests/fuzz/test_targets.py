"""Each target for a moment, and whether a finding would be one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent import config
from tests.fuzz import __main__ as fuzz
from tests.fuzz import local_server, requests
from tests.fuzz.engine import pure, search
from tests.fuzz.targets import TARGETS

_FEW = {"mobsms-api": 60, "mobsms-server": 25, "smsgate-server": 20, "yazsana-server": 40, "hook-answer": 40,
        "secrets": 15, "environment": 60, "page": 60, "mqtt-pool": 150, "parser": 150}  # fmt: skip
"""Those that take longer for each input."""


_TO_NOWHERE = b"HTTP/1.1 302 Found\nLocation: http:portal.example/login\n\n"
_HEAD = f"HTTP/1.1\nAuthorization: Bearer {requests.KEY}\nContent-Type: application/json\n\n".encode()
_POST_TOKEN = b"POST /auth/token " + _HEAD
_POST_MESSAGE = b"POST /messages " + _HEAD + b'{"phoneNumbers": ["112"], "textMessage": {"text": "x"}, '
_POST_WEBHOOK = b"POST /webhooks " + _HEAD


@pytest.mark.parametrize("name", list(TARGETS))
def test_nothing_is_found_in_a_moment(name: str) -> None:
    few = _FEW.get(name, 300)
    found = search(TARGETS[name], 0.0, seed=20261125, least=few)
    assert found.broken == {}
    assert found.executions >= few


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("mobsms", b'{"data": [], "total": 1' + b"0" * 400 + b"}", id="total-without-end"),
        pytest.param("mqtt-orders", b'phonebridge/gate/send\n{"\\ud800": 1, "to": "1", "text": "x"}', id="half-a-key"),
        pytest.param("mqtt-orders", b'phonebridge/gate/send\n{"to": "1", "text": null}', id="no-text"),
        pytest.param("config", b'[[upstream]]\ntype = "mobsms"\napi_key_file = "/a\\u0000"', id="no-name-of-a-file"),
        pytest.param("mobsms-server", _TO_NOWHERE, id="stream-that-redirects-to-no-address"),
        pytest.param("smsgate-server", _TO_NOWHERE, id="events-that-redirect-to-no-address"),
        pytest.param("yazsana-server", _TO_NOWHERE, id="service-that-redirects-to-no-address"),
        pytest.param(
            "yazsana-server",
            b"HTTP/1.1 200 OK\nDate: Wed, 25 Nov 2" + b"9" * 400 + b" 09:59:00 GMT\n\n{}",
            id="year-without-end",
        ),
        pytest.param("environment", b"UPSTREAM__MOBSMS__API_KEY=\x8c", id="no-utf-8"),
        pytest.param("smsgate-api", _POST_TOKEN + b'{"ttl": 60, "scopes": ["\\ud800"]}', id="half-a-scope"),
        pytest.param(
            "smsgate-api",
            _POST_WEBHOOK + b'{"url": "https://example.co\\ud800m/h", "event": "sms:received"}',
            id="half-an-address",
        ),
        pytest.param("smsgate-api", _POST_MESSAGE + b'"id": "\\u0000"}', id="no-header-takes-this-id"),
        pytest.param("smsgate-api", _POST_MESSAGE + b'"validUntil": "9999-12-31T23:59:59-23:59"}', id="no-such-day"),
        pytest.param("smsgate-api", b"GET \\health HTTP/1.1", id="no-path"),
    ],
)
def test_what_was_found_is_mended(name: str, data: bytes) -> None:
    with TARGETS[name]() as ready:
        ready.execute(data)


def test_values_nested_without_end_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("a = " + "[" * 20_000)
    with pytest.raises(config.ConfigError, match="without end"):
        config.load(path)


def test_what_escapes_is_a_finding() -> None:
    found = search(pure(lambda data: data[:1].decode("ascii"), b"\xff"), 0.0, seed=1)
    assert len(found.broken) == 1
    assert next(iter(found.broken)).startswith("UnicodeDecodeError")


def test_a_finding_is_in_the_table_and_in_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"pdu": fuzz.Row("pdu", 2.0, 1000, 0), "hook": fuzz.Row("hook", 2.0, 500, 3)}
    monkeypatch.setattr(fuzz, "searched", lambda name, *_: rows[name])
    monkeypatch.setattr(sys, "argv", ["fuzz", "pdu", "--seed", "1"])
    assert fuzz.main() == 0
    monkeypatch.setattr(sys, "argv", ["fuzz", "pdu", "hook", "--seed", "1"])
    assert fuzz.main() == 1
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "pdu                     2        1000         500         0",
        "hook                    2         500         250         3",
        "",
        "seed 1: 3 findings",
    ]


# --- the local server -------------------------------------------------------------------------------


def test_every_operation_is_recorded_and_reaches_the_server() -> None:
    """Else its search would go by unseen."""
    with local_server.served() as server:
        document = server.ask(b"GET /openapi.json HTTP/1.1")
        assert document is not None
        paths = document.json()["paths"]
        recorded = [one for like in requests.LIKE.values() for one in requests.recorded(document.json(), like)]
        by_hand = sum(len(more) for more in requests.MORE.values())
        assert len(recorded) == sum(len(operations) for operations in paths.values()) + by_hand
        answers = [server.ask(one) for one in recorded]
    statuses = [0 if answer is None else answer.status for answer in answers]
    assert not {0, 405, 421} & set(statuses)
    # Most are such that the operation does its work.
    assert sum(200 <= status < 300 for status in statuses) > len(statuses) / 2


def test_a_fault_of_the_server_is_a_finding() -> None:
    class Broken:
        async def __call__(self, scope: object, receive: object, send: object) -> None:
            raise RuntimeError("inside")

    with local_server.served() as server:
        broken = local_server.Served(server.there, Broken())
        found = search(pure(lambda data: broken.ask(data) and None, b"GET / HTTP/1.1"), 0.0, seed=1, least=3)
    assert [kind.partition(" at ")[0] for kind in found.broken] == ["RuntimeError"]
