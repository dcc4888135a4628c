"""/healthz, /readyz and /metrics over real sockets, on a gateway with a scripted modem."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.config import ConfigError, parse
from agent.metrics.catalogue import CATALOGUE
from agent.metrics.server import MetricsServer
from agent.model import Job
from drivers.api import Refused, Registration, TryLater
from tests.agent.fakes import Box, FakeModem, report
from tests.upstreams.local.conftest import KEY, Rig

ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@contextlib.asynccontextmanager
async def serving(box: Box, **keys: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = parse({"metrics": {"bind": "127.0.0.1:0", **keys}}).metrics
    await box.gateway.monitor.configure(settings)
    server = MetricsServer(box.gateway.monitor, settings)
    task = asyncio.create_task(server.run())
    async with asyncio.timeout(30):
        while server.port is None:
            await asyncio.sleep(0.005)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
            yield http
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def values(text: str) -> Values:
    """Every sample, by a parser of Prometheus' own."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Values, name: str, **labels: str) -> float | None:
    return found.get((f"phonebridge_{name}", frozenset(labels.items())))


async def test_a_scrape_counts_what_happened_and_commits_nothing(tmp_path: Path) -> None:
    modem = FakeModem(answers=[TryLater("busy", delays_s=(0.01,)), Refused("no")])
    async with Box(tmp_path, {"a": modem}) as box, serving(box) as http:
        box.start()
        first = (await box.gateway.accept("cli", [Job("+998901234567", "one")]))[0].message_id
        second = (await box.gateway.accept("cli", [Job("+998901234568", "two")]))[0].message_id
        await box.until(first, "sent", "failed")
        await box.until(second, "sent", "failed")
        for number in ("+998901234567", "+998901234568"):
            await modem.contexts[-1].emit(report(modem, modem.next_mr, number))
        before = box.journal.commits
        found = values((await http.get("/metrics")).text)
        again = values((await http.get("/metrics")).text)
        assert box.journal.commits == before
    assert value(found, "parts_total", route="a", outcome="sent") == 1
    assert value(found, "parts_total", route="a", outcome="refused") == 1
    assert value(found, "parts_total", route="a", outcome="try_later") == 1
    assert value(found, "parts_total", route="a", outcome="delivered") == 1
    assert value(found, "errors_total", route="a", **{"class": "refused"}) == 1
    assert value(found, "retries_total", route="a") == 1
    assert value(found, "messages_total", state="failed") == 1
    assert value(found, "accept_to_wire_seconds_count", route="a") == 2
    assert value(found, "wire_to_sent_seconds_count", route="a") == 1
    assert value(found, "sent_to_delivered_seconds_count", route="a") == 1
    assert value(found, "sent_to_delivered_seconds_bucket", route="a", le="+Inf") == 1
    assert value(found, "queued", route="") == 0
    assert value(found, "journal_commits_total") == before
    assert value(again, "parts_total", route="a", outcome="delivered") == 1, "counted once, however often one looks"


async def test_what_was_before_the_start_is_not_counted(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        await box.until((await box.gateway.accept("cli", [Job("+998901234567", "x")]))[0].message_id, "sent")
        async with serving(box) as http:
            assert value(values((await http.get("/metrics")).text), "messages_total", state="sent") is None


async def test_no_label_holds_a_number_or_a_text(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box, serving(box) as http:
        box.start()
        await box.until((await box.gateway.accept("cli", [Job("+998901234567", "secret words")]))[0].message_id, "sent")
        text = (await http.get("/metrics")).text
    assert "901234567" not in text and "secret words" not in text
    labels = {
        label
        for family in text_string_to_metric_families(text)
        if family.name.startswith("phonebridge_")
        for sample in family.samples
        for label in sample.labels
    }
    assert labels <= {"route", "outcome", "class", "state", "upstream", "version", "le", "kind"}


async def test_readiness_follows_the_route_and_tells_strangers_no_sentence(tmp_path: Path) -> None:
    modem = FakeModem(registration=Registration.SEARCHING)
    async with Box(tmp_path, {"a": modem}) as box, serving(box) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        down = await http.get("/readyz")
        assert down.status_code == 503 and down.json()["reasons"][0]["reason"] == "route a is starting"
        stranger = await http.get("/readyz", headers=ELSEWHERE)
        assert stranger.json() == {"status": "not ready", "reasons": [{"code": "route_down", "name": "a"}]}
        modem.registration = Registration.HOME
        box.start()
        async with asyncio.timeout(30):
            while (await http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.01)
        box.journal.has_reserve = False
        full = await http.get("/readyz")
        assert full.status_code == 503 and full.json()["reasons"][0]["code"] == "journal"


async def test_a_closed_journal_is_no_health(tmp_path: Path) -> None:
    async with Box(tmp_path, {}) as box, serving(box) as http:
        await box.journal.write(lambda con: None)
        box.journal._thread, thread = None, box.journal._thread
        try:
            answer = await http.get("/healthz")
        finally:
            box.journal._thread = thread
        assert answer.status_code == 503 and "closed" in answer.json()["reason"]


async def test_another_machine_needs_the_key(tmp_path: Path) -> None:
    async with Box(tmp_path, {}) as box, serving(box, api_key="a-long-secret") as http:
        refused = await http.get("/metrics", headers=ELSEWHERE)
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
        wrong = {**ELSEWHERE, "Authorization": "Bearer a-long-secrets"}
        assert (await http.get("/metrics", headers=wrong)).status_code == 401
        right = {**ELSEWHERE, "Authorization": "Bearer a-long-secret"}
        assert (await http.get("/metrics", headers=right)).status_code == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\n\r\n", 200, id="a request"),
        pytest.param(b"HEAD /healthz HTTP/1.0\r\n\r\n", 200, id="HEAD"),
        pytest.param(b"POST /metrics HTTP/1.1\r\n\r\n", 405, id="another method"),
        pytest.param(b"GET /../etc/passwd HTTP/1.1\r\n\r\n", 404, id="another path"),
        pytest.param(b"\x16\x03\x01\x00\xff\r\n\r\n", 400, id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 400, id="too long a head"),
    ],
)
async def test_any_bytes_get_a_sensible_answer(tmp_path: Path, sent: bytes, status: int) -> None:
    async with Box(tmp_path, {}) as box, serving(box) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: ([0-9]+)", head)
    assert length is not None
    assert len(body) == (0 if sent.startswith(b"HEAD") else int(length[1]))


async def test_the_local_server_serves_the_same(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = Rig(box)
        await rig.start()
        assert (await rig.http.get("/healthz")).json() == {"status": "ok"}
        assert (await rig.http.get("/metrics")).status_code == 404, "not switched on"
        await box.gateway.monitor.configure(parse({"metrics": {"enabled": True}}).metrics)
        assert "phonebridge_build_info{version=" in (await rig.http.get("/metrics")).text
        assert (await rig.http.get("/metrics", headers=ELSEWHERE)).status_code == 401
        owner = {**ELSEWHERE, "Authorization": f"Bearer {KEY}"}
        assert (await rig.http.get("/metrics", headers=owner)).status_code == 200
        await rig.stop()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        pytest.param({"bind": "0.0.0.0:9464"}, "metrics: bind 0.0.0.0:9464 can be reached from other", id="no key"),
        pytest.param({"bind": "9464"}, 'metrics.bind: "9464" is not HOST:PORT', id="no host"),
        pytest.param({"enable": True}, 'did you mean "enabled"', id="misspelt"),
        pytest.param({"api_key": " "}, "metrics.api_key: is empty", id="empty key"),
    ],
)
def test_a_bad_section_is_one_sentence(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"metrics": keys})
    assert sentence in str(caught.value)


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    async with Box(tmp_path, {}) as box, serving(box) as http:
        port = http.base_url.port
        settings = parse({"metrics": {"bind": f"127.0.0.1:{port}"}}).metrics
        with pytest.raises(OSError, match=rf"metrics.bind 127.0.0.1:{port} cannot be used \(another program listens"):
            await MetricsServer(box.gateway.monitor, settings).run()


def test_the_daemon_loads_neither_the_library_nor_a_web_server_for_it() -> None:
    program = (
        "import sys; from agent.cli.run import slim_imports; slim_imports(); import agent.daemon; "
        "print([name for name in ('prometheus_client', 'starlette', 'uvicorn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_document_has_every_metric_and_no_other() -> None:
    document = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(phonebridge_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", document, re.MULTILINE)
    assert rows == [
        (metric.shown, metric.kind, ", ".join(f"`{label}`" for label in metric.labels), metric.meaning)
        for metric in CATALOGUE
    ]
