"""What the server does wrong on request, what it keeps over a kill, and HTTPS."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .process import MobSmsServer, make_certificates


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MobSmsServer]:
    with MobSmsServer(tmp_path_factory.mktemp("mobsms")) as running:
        running.add_device()
        yield running


@pytest.fixture(autouse=True)
def no_faults(server: MobSmsServer) -> Iterator[None]:
    yield
    server.clear_faults()
    server.limit(None)


def _get(server: MobSmsServer, path: str = "/api/user") -> tuple[int, str, bytes]:
    """Status, content type and body, whatever it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {server.key}"})
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500, 502, 503])
def test_a_status_fault_strikes_as_often_as_asked(server: MobSmsServer, status: int) -> None:
    server.fault("status", status=status, count=2, path="/api/user")
    assert _get(server, "/api/settings")[0] == 200
    assert [_get(server)[0] for _ in range(3)] == [status, status, 200]


def test_a_captive_portal_answers_html_with_200(server: MobSmsServer) -> None:
    server.fault("html", count=1)
    status, content_type, body = _get(server)
    assert (status, content_type, body[:9]) == (200, "text/html; charset=UTF-8", b"<!DOCTYPE")


def test_half_a_json_is_framed_correctly(server: MobSmsServer) -> None:
    server.fault("half_json", count=1)
    with pytest.raises(json.JSONDecodeError):
        json.loads(_get(server)[2])


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", ConnectionResetError),
        ("close", http.client.RemoteDisconnected),
        ("hang", http.client.RemoteDisconnected),
        ("truncated", http.client.IncompleteRead),
    ],
)
def test_a_broken_connection(server: MobSmsServer, kind: str, error: type[Exception]) -> None:
    server.fault(kind, count=1, delay_s=0.05)
    with pytest.raises(error):
        _get(server)
    assert _get(server)[0] == 200


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_a_slow_answer_is_whole(server: MobSmsServer, kind: str) -> None:
    server.fault(kind, count=1, delay_s=0.3)
    began = time.monotonic()
    assert json.loads(_get(server)[2])["success"]
    assert time.monotonic() - began > 0.25


@pytest.mark.parametrize("applied", [False, True])
def test_a_struck_report_takes_effect_only_where_asked(server: MobSmsServer, applied: bool) -> None:
    (number,) = server.enqueue()
    server.fault("reset", method="PUT", count=1, applied=applied)
    with pytest.raises(ConnectionResetError):
        server.api("PUT", f"/api/sms/{number}", {"status": "sent"})
    assert len(server.reports()[number]) == int(applied)
    assert server.log("request")[-1]["applied"] is applied


def test_a_fault_by_time_ends(server: MobSmsServer) -> None:
    server.fault("status", status=503, seconds=0.2)
    assert _get(server)[0] == 503
    time.sleep(0.25)
    assert _get(server)[0] == 200


@pytest.mark.parametrize("fields", [{"kind": "nonsense"}, {"kind": "status"}, {"kind": "reset", "cuont": 1}])
def test_an_unusable_fault_is_refused(server: MobSmsServer, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="control fault: 400"):
        server.control("fault", **fields)


def test_a_limit_answers_429_with_its_headers(server: MobSmsServer) -> None:
    server.limit(1, 0.5)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    answers = []
    for _ in range(2):
        connection.request("GET", "/api/user", headers={"Authorization": f"Bearer {server.key}"})
        answers.append(answer := connection.getresponse())
        answer.read()
    connection.close()
    assert [answer.status for answer in answers] == [200, 429]
    assert (answers[1].headers["Retry-After"], answers[1].headers["X-RateLimit-Remaining"]) == ("1", "0")
    time.sleep(0.55)
    assert _get(server)[0] == 200


def test_away_refuses_connections_drops_open_ones_and_comes_back(server: MobSmsServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/api/app/latest")
    connection.getresponse().read()
    server.away(0.4)
    with pytest.raises(ConnectionRefusedError):
        _get(server)
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected, BrokenPipeError)):
        connection.request("GET", "/api/app/latest")
        connection.getresponse()
    connection.close()
    assert server.counts()["total"] >= 0  # the control port stays
    time.sleep(0.6)
    assert _get(server)[0] == 200


def test_away_ends_early_on_request(server: MobSmsServer) -> None:
    server.away()
    server.back()
    assert _get(server)[0] == 200


def _post(address: str, body: dict[str, Any]) -> int:
    request = urllib.request.Request(address, json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_receiver_records_what_it_answered(server: MobSmsServer) -> None:
    body = {"event": "incoming", "data": {"message_id": "u-1", "message": "Hi"}, "timestamp": "x"}
    kept, logged = len(server.hooks()), len(server.log("hook"))
    server.fault("status", listener="hook", status=500, count=1)
    assert [_post(server.hook_url, body) for _ in range(2)] == [500, 200]
    assert [(hook["body"], hook["status"]) for hook in server.hooks()[kept:]] == [(body, 200)]
    assert [line["status"] for line in server.log("hook")[logged:]] == [500, 200]


def test_a_final_status_is_posted_to_the_callback(server: MobSmsServer) -> None:
    already = len(server.hooks())
    sending = {"message": "x", "phone": "+998901112233", "callback_url": server.hook_url + "/callback"}
    number = server.api("POST", "/api/sms", sending)[1]["data"]["id"]
    for status in ("sent", "delivered"):
        server.api("PUT", f"/api/sms/{number}", {"status": status})
    server.wait_until(lambda counts: counts["hooks"] > already, 5)
    call = server.hooks()[-1]["body"]
    assert (call["event"], call["data"]["id"], call["data"]["status"]) == ("status", number, "delivered")


def test_a_killed_server_comes_back_with_its_data_and_ports(tmp_path: Path) -> None:
    with MobSmsServer(tmp_path) as server:
        server.add_device(send_delay_seconds=3)
        server.enqueue(texts=["one", "\ud83d"], recipients=["+998901112233", ""])
        server.api("PUT", "/api/sms/1", {"status": "sent"})
        server.set_account(keep_inbound=False)
        before, url = server.dump(), server.url
        server.restart(kill=True)
        after = server.dump(tmp_path / "dump.json")
        assert server.url == url
        assert {**after, "at": 0} == {**before, "at": 0}
        assert server.api("GET", "/api/settings")[1]["data"] == {"keep_inbound": False}
        assert server.enqueue() == [3]
        server.api("PUT", "/api/sms/1", {"status": "delivered"})
        assert [report["status"] for report in server.reports()[1]] == ["sent", "delivered"]
        assert len(server.log("start")) == 2


def test_it_serves_https_under_its_own_authority(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "tls")
    with MobSmsServer(tmp_path, certificates=certificates, hook=False) as server:
        assert server.url.startswith("https://")
        assert server.api("GET", "/api/user")[0] == 200
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            _get(server)


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from tests.mobsms_server.process import MobSmsServer;"
        "server = MobSmsServer(pathlib.Path(sys.argv[1])); server.start();"
        "print(server.pid, flush=True); os._exit(1)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, check=False, timeout=30
    )
    status = Path("/proc", done.stdout.decode().strip())
    deadline = time.monotonic() + 5
    while status.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not status.exists()
