"""The server itself: keys, ports, start and stop."""

from __future__ import annotations

import asyncio
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.config import ConfigError, parse
from agent.upstreams.api import UpstreamDown
from agent.upstreams.local import LocalUpstream
from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local.conftest import Rig


async def test_a_key_is_generated_once_for_the_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = Rig(box, api_key=None)
        await rig.start()
        file = tmp_path / "local-api-key"
        key = file.read_text().strip()
        assert len(key) == 40 and stat.S_IMODE(file.stat().st_mode) == 0o600
        assert (await rig.data("GET", "/api/user", key=key))["name"] == "owner"
        await rig.stop()
        again = Rig(box, api_key=None)
        await again.start()
        assert file.read_text().strip() == key
        await again.stop()
        written = capsys.readouterr()
        assert key not in written.out + written.err


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"bind": "0.0.0.0:8080"}, "set api_key or api_key_file"),
        ({"bind": "8080"}, "is not HOST:PORT"),
        ({"bind": "127.0.0.1:99999"}, "is not HOST:PORT"),
        ({"api_key": ""}, "is empty"),
        ({"registration": "maybe"}, "registration"),
        ({"trusted_proxies": ["proxy.lan"]}, '"proxy.lan" is no address or network'),
        ({"trusted_proxies": ["10.0.0.1/8"]}, '"10.0.0.1/8" is no address or network'),
        ({"api_keys": "x"}, 'did you mean "api_key"?'),
    ],
)
def test_a_bad_configuration_is_one_sentence(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=r"upstream\[local\]") as caught:
        parse({"upstream": [{"type": "local", **keys}]})
    assert sentence in str(caught.value)


async def test_an_empty_key_file_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n")
    async with Box(tmp_path, {}) as box:
        keys = {"type": "local", "api_key_file": str(tmp_path / "key")}
        with pytest.raises(ConfigError, match="is empty"):
            LocalUpstream(parse({"upstream": [keys]}).upstreams[0], box.gateway)


async def test_a_busy_port_is_a_sick_upstream(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        async with Box(tmp_path, {"a": FakeModem()}) as box:
            rig = Rig(box, bind=f"127.0.0.1:{port}")
            with pytest.raises(UpstreamDown, match=f"port {port} of 127.0.0.1 cannot be used"):
                await rig.upstream.run()
            assert rig.upstream.status()["address"] is None


async def test_an_event_stream_does_not_hold_up_the_end(rig: Rig) -> None:
    device = await rig.agent()
    headers = {"Authorization": "Bearer the-owners-configured-key"}
    async with rig.http.stream("GET", f"/api/devices/{device}/events", headers=headers) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "event: message"
        await rig.box.stop()
        # It ended in order: one that had been waited for in vain would be cut off, which is an error here.
        assert [line async for line in lines if line.startswith("event")] == []
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", int(str(rig.http.base_url.port)))


async def test_the_description_needs_no_other_host(rig: Rig) -> None:
    description = (await rig.http.get("/openapi.json")).json()
    assert "/api/sms" in description["paths"] and "/api/devices/{id}/claim" in description["paths"]
    page = await rig.http.get("/docs")
    assert page.status_code == 200 and "POST /api/sms/bulk" in page.text and "/yazsana/services" in page.text
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?\s*(https?:)?//""", page.text) and "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (await rig.http.get("/healthz")).json() == {"status": "ok"}


def test_the_configuration_check_loads_no_server() -> None:
    code = (
        "import sys, agent.upstreams.local; "
        "assert not {'pydantic', 'starlette', 'uvicorn', 'httpx'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


async def test_a_message_is_on_its_way_without_any_polling(rig: Rig) -> None:
    """The next poll of anything would be 60 s away (housekeeping), so what arrives was woken."""
    for number in range(30):
        await rig.send(f"{number}")
        async with asyncio.timeout(30):
            while len(rig.modem.sent) <= number:
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("proxies", "is_believed"),
    [
        (None, True),
        (["127.0.0.0/8"], True),
        (["192.0.2.7"], False),
        ([], False),
    ],
)
async def test_forwarding_headers_count_from_trusted_proxies_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxies: list[str] | None, is_believed: bool
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = Rig(box, trusted_proxies=proxies, registration="open")
        await rig.start()

        async def log_in(visitor: str, account: int) -> int:
            body = {"email": f"{account}@example.com", "password": "wrong-one"}
            # What a client writes itself stands in front of what the proxy adds.
            headers = {"X-Forwarded-For": f"203.0.113.99, {visitor}", "X-Forwarded-Proto": "https"}
            return (await rig.http.post("/api/login", json=body, headers=headers)).status_code

        answers = [await log_in("203.0.113.1", number) for number in range(8)]
        assert answers[0] == 401 and answers[-1] == 429
        assert await log_in("203.0.113.2", 9) == (401 if is_believed else 429)
        page = await rig.http.get("/ui/login", headers={"X-Forwarded-Proto": "https"})
        assert ("; Secure" in page.headers["set-cookie"]) == is_believed
        await rig.stop()
