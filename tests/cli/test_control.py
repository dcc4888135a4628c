"""The control socket: who gets it, and that no line breaks it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import Clock
from agent.control import ControlServer, SocketBusy
from agent.endpoint import LONGEST_LINE_OCTETS, SOCKET_NAME
from agent.gateway import Gateway
from agent.journal.store import Journal
from agent.operations import OPERATIONS
from agent.settings import AgentSettings, Config, RetentionSettings


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ControlServer]:
    monkeypatch.setattr("agent.endpoint.RUNTIME_DIR", tmp_path / "run")
    settings = AgentSettings(state_dir=tmp_path)
    journal = Journal(tmp_path / "journal.db")
    clock = Clock("trusted")
    await journal.start(clock.utc_ms())
    gateway = Gateway(settings, journal, clock)
    yield ControlServer(gateway, Config(agent=settings, routes=(), upstreams=(), retention=RetentionSettings()))
    await journal.close()


@contextlib.asynccontextmanager
async def listening(server: ControlServer) -> AsyncIterator[Path]:
    task = asyncio.create_task(server.run())
    while server.path is None:
        await asyncio.wait((task,), timeout=0.01)
        if task.done():
            task.result()
    path = server.path
    try:
        yield path
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def talk(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
    answers = []
    for line in lines:
        writer.write(line)
        async with asyncio.timeout(30):
            # What is told on the way, e.g. of a backup, comes before the answer.
            while "ok" not in (answer := json.loads(await reader.readline())):
                pass
        answers.append(answer)
    writer.close()
    await writer.wait_closed()
    return answers


async def test_socket_is_for_owner_and_group(server: ControlServer) -> None:
    async with listening(server) as path:
        assert path.name == SOCKET_NAME
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert list(path.parent.glob(f".{SOCKET_NAME}*")) == []
    assert not path.exists()


async def test_stale_socket_is_replaced(server: ControlServer, tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / SOCKET_NAME))
    left.close()
    async with listening(server) as path:
        assert (await talk(path, b'{"op": "status"}\n'))[0]["ok"] is True


async def test_socket_of_a_living_daemon_is_left_alone(server: ControlServer, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / SOCKET_NAME))
        other.listen()
        with pytest.raises(SocketBusy, match="another phonebridge is running"):
            async with listening(server):
                pass
        assert (tmp_path / SOCKET_NAME).exists()


async def test_runtime_directory_comes_first(
    server: ControlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    async with listening(server) as path:
        assert path == tmp_path / "run" / SOCKET_NAME


BROKEN = [
    pytest.param(b"\n", "usage", id="empty"),
    pytest.param(b"{\n", "usage", id="half"),
    pytest.param(b"\xff\xfe\n", "usage", id="no-utf8"),
    pytest.param(b"[]\n", "usage", id="list"),
    pytest.param(b"[" * 50_000 + b"\n", "usage", id="nested-without-end"),
    pytest.param(b"{}\n", "usage", id="no-operation"),
    pytest.param(b'{"op": ["status"]}\n', "usage", id="operation-is-a-list"),
    pytest.param(b'{"op": "reboot"}\n', "usage", id="unknown-operation"),
    pytest.param(b'{"op": "status", "state_dir": "/elsewhere"}\n', "elsewhere", id="another-daemon"),
    pytest.param(b'{"op": "send"}\n', "usage", id="send-nothing"),
    pytest.param(b'{"op": "send", "number": 1, "text": "x"}\n', "usage", id="number-is-no-text"),
    pytest.param(b'{"op": "send", "number": "+49170", "text": "\\ud83d"}\n', "usage", id="half-a-surrogate-pair"),
    pytest.param(b'{"op": "send", "number": "+49170", "text": "x", "priority": true}\n', "usage", id="flag-for-number"),
    pytest.param(b'{"op": "send", "number": "+49170", "text": "x", "sim_slot": 1e9}\n', "usage", id="slot"),
    pytest.param(b'{"op": "messages", "limit": 100000}\n', "usage", id="limit"),
    pytest.param(b'{"op": "messages", "states": "sent"}\n', "usage", id="states-no-list"),
    pytest.param(b'{"op": "messages", "direction": "up"}\n', "usage", id="direction"),
    pytest.param(b'{"op": "message", "id": "99999999999999999999999999"}\n', "failed", id="id-beyond-64-bits"),
    pytest.param(b'{"op": "cancel", "id": "none"}\n', "failed", id="cancel-nothing"),
    pytest.param(b'{"op": "release", "ids": [1]}\n', "usage", id="ids-are-numbers"),
    pytest.param(b'{"op": "at", "route": "sim0", "command": "AT"}\n', "usage", id="no-such-route"),
    pytest.param(b'{"op": "key revoke"}\n', "usage", id="revoke-nothing"),
]


@pytest.mark.parametrize(("line", "kind"), BROKEN)
async def test_what_is_wrong_is_refused_and_the_conversation_goes_on(
    server: ControlServer, line: bytes, kind: str
) -> None:
    async with listening(server) as path:
        refused, status = await talk(path, line, b'{"op": "status"}\n')
    assert (refused["ok"], refused["kind"]) == (False, kind)
    assert "\n" not in refused["error"]
    assert status["ok"] is True


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
async def test_every_operation_survives_fields_of_any_type(server: ControlServer, operation: str) -> None:
    names = (
        "number",
        "text",
        "route",
        "id",
        "ids",
        "states",
        "limit",
        "page",
        "command",
        "timeout_s",
        "name",
        "priority",
    )
    async with listening(server) as path:
        for value in (None, "", "x", 0, -1, 2**70, 1.5, True, [], ["x"], {}, [None], {"a": []}):
            request = {"op": operation, **dict.fromkeys(names, value)}
            (answer,) = await talk(path, json.dumps(request).encode() + b"\n")
            assert answer["ok"] is True or answer["kind"] in ("usage", "failed")


async def test_a_line_without_end_ends_the_conversation_only(server: ControlServer) -> None:
    async with listening(server) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        with contextlib.suppress(ConnectionError):
            writer.write(b"x" * (LONGEST_LINE_OCTETS + 10))
            await writer.drain()
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        assert (await talk(path, b'{"op": "status"}\n'))[0]["ok"] is True


async def test_a_client_that_leaves_ends_its_operation(server: ControlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def endless(*_: Any) -> dict[str, Any]:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    monkeypatch.setitem(OPERATIONS, "endless", endless)
    async with listening(server) as path:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"op": "endless"}\n')
        async with asyncio.timeout(30):
            await began.wait()
            writer.close()
            await ended.wait()


async def test_no_directory_to_listen_in(server: ControlServer, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # root may write everywhere; a directory that is a file is beyond root too.
        server._state_dir = tmp_path / "file" / "x"
        (tmp_path / "file").write_text("")
    else:
        tmp_path.chmod(0o500)
    with pytest.raises(OSError):
        async with listening(server):
            pass
