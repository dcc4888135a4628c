"""One POST, against a server that says exactly what a row of the table says."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from agent.hook_post import Broken, Reply, Target, post, target


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.org", Target(False, "example.org", 80, "example.org", "/", None)),
        ("https://Example.org:443/a/b?c=d#e", Target(True, "example.org", 443, "example.org", "/a/b?c=d", None)),
        ("https://example.org:8443/", Target(True, "example.org", 8443, "example.org:8443", "/", None)),
        ("http://[::1]:81/x", Target(False, "::1", 81, "[::1]:81", "/x", None)),
        ("http://h/a%20b/ü?q=ß&r=%C3", Target(False, "h", 80, "h", "/a%20b/%C3%BC?q=%C3%9F&r=%C3", None)),
        ("http://h?q", Target(False, "h", 80, "h", "/?q", None)),
        ("http://bücher.example/", Target(False, "xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/", None)),
        # "me:p@ss", as RFC 7617 has it
        ("http://me:p%40ss@h/", Target(False, "h", 80, "h", "/", "Basic bWU6cEBzcw==")),
    ],
)
def test_an_address_is_taken_apart(url: str, expected: Target) -> None:
    assert target(url) == expected


@pytest.mark.parametrize("url", ["http://h:99999/", "http://\u2024\u2024.example/"])
def test_an_address_that_is_none_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError):
        target(url)


@contextlib.asynccontextmanager
async def _saying(said: bytes, *, stays: bool = False) -> AsyncIterator[tuple[Target, list[bytes]]]:
    """A server that reads one request, says this and hangs up (unless it `stays`)."""
    heard: list[bytes] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        heard.append(head + await reader.readexactly(length))
        writer.write(said)
        await writer.drain()
        if stays:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield target(f"http://name.example:{port}/hook?a=b"), heard
    finally:
        over.set()
        server.close()
        await server.wait_closed()


async def _posted(where: Target) -> Reply:
    async with asyncio.timeout(30):
        return await post(where, "127.0.0.1", {"X-Own": "1"}, b'{"a": 1}', tls=None, read_octets=20)


async def test_the_request_is_whole_and_names_the_host_it_was_meant_for() -> None:
    async with _saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as (where, heard):
        assert (await _posted(where)).is_success
    (request,) = heard
    lines = request.split(b"\r\n")
    assert lines[0] == b"POST /hook?a=b HTTP/1.1" and lines[-1] == b'{"a": 1}'
    assert f"Host: name.example:{where.port}".encode() in lines
    assert {b"X-Own: 1", b"Connection: close", b"Content-Length: 8"} <= set(lines)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", Reply(204, None, b""), id="no body"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nold", Reply(200, None, b""), id="1.0"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Reply(200, None, b""), id="continue"),
        pytest.param(b"HTTP/1.1 400 Bad\r\nContent-Length: 3\r\n\r\nwhy", Reply(400, None, b"why"), id="refused"),
        pytest.param(
            b"HTTP/1.1 500 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfor\r\n4\r\n you\r\n0\r\n\r\n",
            Reply(500, None, b"for you"),
            id="chunks",
        ),
        pytest.param(b"HTTP/1.1 500 Bad\r\n\r\n" + b"x" * 999, Reply(500, None, b"x" * 20), id="long"),
        pytest.param(b"HTTP/1.1 502 Bad\r\nContent-Length: 99\r\n\r\ncut", Reply(502, None, b"cut"), id="cut"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: /in\r\nContent-Length: 0\r\n\r\n", Reply(302, "/in", b""), id="3"
        ),
    ],
)
async def test_an_answer_is_read_as_far_as_it_matters(said: bytes, expected: Reply) -> None:
    async with _saying(said) as (where, _):
        assert await _posted(where) == expected


async def test_a_success_with_an_endless_body_is_not_waited_for() -> None:
    async with _saying(b"HTTP/1.1 200 OK\r\n\r\nsome", stays=True) as (where, _):
        assert (await _posted(where)).is_success


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        pytest.param(b"", "without an answer", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", "ended in the middle", id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 99_999, "does not speak HTTP", id="endless head"),
    ],
)
async def test_what_is_no_answer_is_one_sentence(said: bytes, sentence: str) -> None:
    async with _saying(said) as (where, _):
        with pytest.raises(Broken, match=sentence):
            await _posted(where)


async def test_nobody_there_is_no_broken_connection() -> None:
    """So that another address of the same name may be tried: nothing was sent."""
    async with _saying(b"") as (where, _):
        pass
    with pytest.raises(ConnectionRefusedError) as refused:
        await _posted(where)
    assert not isinstance(refused.value, Broken)


def test_it_needs_no_http_client() -> None:
    """Loading one takes 0.1 s and 5 MB, which the first webhook would wait for."""
    code = "import sys, agent.hook_call, agent.hook_post; assert not {'httpx', 'httpcore', 'anyio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
