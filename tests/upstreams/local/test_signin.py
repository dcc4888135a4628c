"""Signing in by password and by Google, and how guessing is slowed."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.upstreams.local.slowing import Attempts
from tests.agent.fakes import Box, FakeModem
from tests.mobsms_server.http1 import HttpServer, Request, Response
from tests.upstreams.local.conftest import Rig

CLIENT = "1234-abcd.apps.googleusercontent.com"
INVALID = (401, {"success": False, "message": "Invalid Google token"})


class Google:
    """Google's tokeninfo endpoint: `claims` for the one good token, 400 for others."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {
            "iss": "https://accounts.google.com", "aud": CLIENT, "email": "Ali@gmail.com", "email_verified": "true",
            "name": "Ali", "exp": str(int(time.time()) + 600),
        }  # fmt: skip
        self.asked: list[str] = []
        self.body: bytes | None = None
        self.server = HttpServer("127.0.0.1", 0, self._handle)

    async def close(self) -> None:
        await self.server.close()
        # It keeps the port for another life; there is none.
        self.server._socket.close()

    async def _handle(self, request: Request) -> Response:
        self.asked.append(request.query["id_token"])
        if request.query["id_token"] != "good.id.token":
            return Response(400, b'{"error": "invalid_token"}')
        return Response(200, json.dumps(self.claims).encode() if self.body is None else self.body)


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    running = Google()
    await running.server.open()
    yield running
    await running.close()


async def _rig(box: Box, google: Google, **settings: Any) -> Rig:
    address = f"http://127.0.0.1:{google.server.port}/tokeninfo"
    rig = Rig(box, google_client_id=CLIENT, google_tokeninfo_url=address, **settings)
    await rig.start()
    return rig


async def _sign_in(rig: Rig, token: str = "good.id.token") -> tuple[int, Any]:
    return await rig.api("POST", "/api/auth/google", {"id_token": token}, key=None)


async def test_google_makes_an_account_once_and_finds_it_again_by_email(tmp_path: Path, google: Google) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = await _rig(box, google, registration="open")
        status, document = await _sign_in(rig)
        assert (status, document["message"], document["data"]["token_type"]) == (200, "Login successful", "Bearer")
        user = document["data"]["user"]
        assert (user["name"], user["email"]) == ("Ali", "ali@gmail.com")
        assert (await rig.data("GET", "/api/user", key=document["data"]["token"]))["id"] == user["id"]
        assert (await _sign_in(rig))[1]["data"]["user"] == user
        # Nobody gets into it with a password, an empty one too.
        assert (await rig.api("POST", "/api/login", {"email": "ali@gmail.com", "password": ""}, key=None))[0] == 422
        assert (await rig.api("POST", "/api/login", {"email": "ali@gmail.com", "password": "x"}, key=None))[0] == 401
        await rig.stop()


WRONG: list[tuple[str, Any]] = [
    ("iss", "https://accounts.google.com.evil.example"), ("iss", None), ("aud", "another-application"), ("aud", None),
    ("exp", str(int(time.time()) - 1)), ("exp", "soon"), ("exp", None), ("email_verified", "false"),
    ("email_verified", None), ("email", None), ("email", ["a@b"]),
]  # fmt: skip


async def test_what_google_says_is_checked(tmp_path: Path, google: Google) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = await _rig(box, google, registration="open")
        good = dict(google.claims)
        for name, value in WRONG:
            rig.upstream._local.attempts = Attempts()
            google.claims = {**good, name: value}
            assert await _sign_in(rig) == INVALID, (name, value)
        google.claims = good
        for body in (b"<html>", b"[]", b"\xff"):
            rig.upstream._local.attempts = Attempts()
            google.body = body
            assert await _sign_in(rig) == INVALID, body
        google.body = None
        rig.upstream._local.attempts = Attempts()
        assert await _sign_in(rig, "another.id.token") == INVALID
        asked = len(google.asked)
        assert await _sign_in(rig, "no token at all") == INVALID and len(google.asked) == asked
        assert (await _sign_in(rig))[0] == 200
        await rig.stop()


async def test_google_opens_no_closed_door_and_without_a_client_id_nothing(tmp_path: Path, google: Google) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = await _rig(box, google)
        status, document = await _sign_in(rig)
        assert (status, document["success"]) == (403, False) and "closed" in document["message"]
        await rig.stop()
        without = Rig(box)
        await without.start()
        asked = len(google.asked)
        assert await _sign_in(without) == INVALID and len(google.asked) == asked
        await without.stop()


async def test_google_out_of_reach_is_said(tmp_path: Path, google: Google) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = await _rig(box, google)
        await google.close()
        status, document = await _sign_in(rig)
        assert (status, document["success"]) == (503, False) and "later" in document["message"]
        await rig.stop()


async def test_guessing_is_slowed_for_the_account_and_for_the_address(shared: Rig) -> None:
    await shared.account("ali")
    right = {"email": "ali@example.com", "password": "secret123"}
    wrong = {**right, "password": "wrong"}
    for _ in range(5):
        assert (await shared.api("POST", "/api/login", wrong, key=None))[0] == 401
    # More mistakes than a slow machine could sit out.
    attempts = shared.upstream._local.attempts
    assert sorted(attempts._known) == ["account ali@example.com", "address 127.0.0.1"]
    for _ in range(7):
        attempts.failed(shared.box.clock.boot_ms() / 1000, *attempts._known)
    answer = await shared.http.post("/api/login", json=right)
    assert answer.status_code == 429 and answer.json() == {"message": "Too Many Attempts."}
    assert int(answer.headers["retry-after"]) >= 1
    # From this address for every account, by Google too; keys work all the while.
    other = {"email": "owner@localhost", "password": "x"}
    assert (await shared.api("POST", "/api/login", other, key=None))[0] == 429
    assert (await shared.api("POST", "/api/auth/google", {"id_token": "a.b.c"}, key=None))[0] == 429
    assert (await shared.api("GET", "/api/user"))[0] == 200


def test_each_mistake_doubles_the_wait_up_to_a_quarter_of_an_hour() -> None:
    attempts, waits = Attempts(), []
    for _ in range(20):
        attempts.failed(100.0, "account a", "address x")
        waits.append(attempts.wait_s(100.0, "account a"))
    assert waits[:8] == [0, 0, 0, 0, 1, 2, 4, 8] and waits[-1] == 900
    assert attempts.wait_s(100.0, "address x") == attempts.wait_s(100.0, "account b", "address x") == 900
    assert attempts.wait_s(100.0, "account b", "address y") == 0
    assert attempts.wait_s(999.0, "account a") == 1 and attempts.wait_s(1000.0, "account a") == 0
    attempts.failed(5000.0, "account a")
    assert attempts.wait_s(5000.0, "account a") == 0


def test_logging_in_to_ones_own_account_does_not_clear_the_address() -> None:
    attempts = Attempts()
    for _ in range(10):
        attempts.failed(0.0, "account victim", "address x")
        attempts.failed(0.0, "account mine", "address x")
        attempts.succeeded("account mine", "address x")
    assert attempts.wait_s(0.0, "address x") >= 16 and attempts.wait_s(0.0, "account mine") == 0


def test_memory_of_mistakes_is_bounded() -> None:
    attempts = Attempts()
    for number in range(30_000):
        attempts.failed(0.0, f"account {number}")
    assert len(attempts._known) == 10_000
