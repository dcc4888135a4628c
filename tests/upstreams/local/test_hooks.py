"""Webhooks: what is told to whom, in order, again where it was not taken, and nobody held up by another."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from agent.clock import Clock
from agent.hook_address import objection
from agent.hook_call import signature, smsgate_signature
from agent.hooks import Call, HookForm, Hooks, host_of, problem_of, wait_before_try
from agent.journal import accounts
from agent.journal.store import Journal
from tests.agent.fakes import Box, FakeModem
from tests.mobsms_server.http1 import Response
from tests.mobsms_server.process import make_certificates
from tests.upstreams.local.conftest import Receiver, Rig

DAY_S = 86_400


async def test_states_go_to_the_accounts_webhook_and_the_end_to_the_messages_own(rig: Rig, receiver: Receiver) -> None:
    await rig.data("PUT", "/api/webhooks", {"webhook_url_status": receiver.url("/status")})
    sent = await rig.send(callback_url=receiver.url("/own"), my_id="order-42")
    await rig.box.until(sent["id"], "sent")
    await rig.deliver(1, "+998901234567")
    got = await receiver.until(3)
    assert [(path, body["data"]["status"]) for path, body in got if path == "/status"] == [
        ("/status", "sent"), ("/status", "delivered"),
    ]  # fmt: skip
    own = [body for path, body in got if path == "/own"]
    assert [body["data"]["status"] for body in own] == ["delivered"]
    assert own[0]["event"] == "status" and own[0]["timestamp"].endswith("Z")
    assert (own[0]["data"]["id"], own[0]["data"]["my_id"]) == (sent["id"], "order-42")
    first = next(body for path, body in got if path == "/status")
    assert first["data"]["delivered_at"] is None and first["data"]["sent_at"] is not None


async def test_a_message_that_never_left_is_told_with_its_reason(rig: Rig, receiver: Receiver) -> None:
    body = {"message": "x", "recipients": ["nonsense"], "callback_url": receiver.url("/own")}
    await rig.data("POST", "/api/sms/bulk", body)
    ((_, told),) = await receiver.until(1)
    assert told["data"]["status"] == "failed" and "not a phone number" in told["data"]["error_message"]


async def test_inbound_is_told_with_its_text_also_where_none_is_kept(rig: Rig, receiver: Receiver) -> None:
    await rig.data("PUT", "/api/settings", {"keep_inbound": False})
    await rig.data("PUT", "/api/webhooks", {"webhook_url_incoming": receiver.url("/in")})
    message = await rig.receive("secret reply")
    ((path, body),) = await receiver.until(1)
    assert (path, body["event"], body["data"]["message"]) == ("/in", "incoming", "secret reply")
    assert body["data"]["sender_number"] == "+998907778899"
    # It goes once everybody was told, which is written behind the call.
    async with asyncio.timeout(30):
        while (await rig.data("GET", f"/api/sms/{message}"))["message"]:
            await asyncio.sleep(0.01)


async def test_the_call_for_what_came_in_does_not_wait_for_company(
    rig: Rig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them: MobSMS' webhook, and one of SMSGate's client API."""
    await rig.data("PUT", "/api/webhooks", {"webhook_url_incoming": receiver.url("/in")})
    hook = {"url": receiver.url("/gate"), "event": "sms:received"}
    status, _ = await rig.api("POST", "/3rdparty/v1/webhooks", hook)
    assert status == 201
    # Longer than `until` waits: only what is put in without it is called in time.
    monkeypatch.setattr("agent.hooks.REPORT_PATIENCE_S", 600.0)
    await rig.receive("hello")
    assert {path for path, _ in await receiver.until(2)} == {"/in", "/gate"}


async def test_a_refused_call_is_made_again_and_its_successors_wait(tmp_path: Path, receiver: Receiver) -> None:
    refusals = [500, 302]
    receiver.answer = lambda path, body: Response(refusals.pop(0)) if refusals and body["n"] == 1 else None
    async with _hooks(tmp_path) as (hooks, clock):
        await hooks.add(
            [_call(receiver.url("/a"), 1, 1), _call(receiver.url("/a"), 1, 2), _call(receiver.url("/a"), 2, 3)]
        )
        await receiver.until(1)
        assert [body["n"] for _, body in receiver.got] == [3]
        for waited_s in (10, 20):
            await asyncio.sleep(0.1)
            assert len(receiver.got) == 1
            clock.ahead_ms += waited_s * 1000 + 1
            hooks.wake()
        got = await receiver.until(3)
        assert [body["n"] for _, body in got] == [3, 1, 2]


async def test_the_same_thing_is_told_once_and_a_receiver_away_for_an_hour_gets_all_in_order(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda path, body: Response(503)
    async with _hooks(tmp_path) as (hooks, clock):
        calls = [_call(receiver.url(f"/{lane}"), lane, n) for lane in (1, 2, 3) for n in (1, 2, 3)]
        await hooks.add(calls)
        await hooks.add(calls)
        for _ in range(8):
            await asyncio.sleep(0.05)
            clock.ahead_ms += 450_000
            hooks.wake()
        receiver.answer = lambda path, body: None
        for _ in range(4):
            await asyncio.sleep(0.05)
            clock.ahead_ms += 3_600_000
            hooks.wake()
        got = await receiver.until(9)
        await asyncio.sleep(0.1)
        assert len(got) == 9
        for lane in (1, 2, 3):
            assert [body["n"] for path, body in got if path == f"/{lane}"] == [1, 2, 3]


async def test_a_silent_host_holds_up_nobody_else(tmp_path: Path, receiver: Receiver) -> None:
    silent = Receiver()
    silent.silent_s = 3.0
    await silent.server.open()
    async with _hooks(tmp_path) as (hooks, _):
        await hooks.add([_call(silent.url("/"), lane, 1) for lane in range(100)])
        await asyncio.sleep(0.1)
        await hooks.add([_call(receiver.url("/"), 1000 + lane, 1) for lane in range(50)])
        await receiver.until(50, timeout_s=2.0)
    await silent.close()


async def test_calls_outlive_a_crash(tmp_path: Path, receiver: Receiver) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = Rig(box)
        await rig.start()
        await receiver.server.close()
        sent = await rig.send(callback_url=receiver.url("/own"))
        await rig.box.until(sent["id"], "sent")
        await rig.deliver(1, "+998901234567")
        async with asyncio.timeout(30):
            while not await rig.box.journal.read(
                lambda con: con.execute("SELECT 1 FROM hook WHERE tries > 0").fetchone()
            ):
                await asyncio.sleep(0.01)
        await rig.stop()
        again = await box.crash()
        await receiver.server.open()
        try:
            # A restart does not shorten the wait; the table says when.
            await again.journal.write(lambda con: con.execute("UPDATE hook SET due_ms = 0"))
            rig = Rig(again)
            await rig.start()
            ((_, body),) = await receiver.until(1)
            assert body["data"]["status"] == "delivered"
            await rig.stop()
        finally:
            await again.journal.close()
            await box.__aenter__()


def test_waits_double_from_10_s_to_6_h_and_end_after_three_days() -> None:
    waits = []
    while (wait_s := wait_before_try(len(waits) + 2)) is not None:
        waits.append(wait_s)
    assert waits[:3] == [10, 20, 40] and waits[-1] == 6 * 3600
    assert 2.5 * DAY_S < sum(waits) < 3.5 * DAY_S


def test_smsgates_waits_double_from_5_s_and_end_after_its_retries() -> None:
    waits = [wait_before_try(number, HookForm.SMSGATE) for number in range(2, 18)]
    assert waits[:4] == [5.0, 10.0, 20.0, 40.0] and waits[-2:] == [81_920.0, None]
    assert [wait_before_try(number, HookForm.SMSGATE, 1) for number in (2, 3)] == [5.0, None]
    assert wait_before_try(2, HookForm.SMSGATE, 0) is None


async def test_a_call_in_smsgates_form_is_signed_and_repeated_as_its_app_does(
    tmp_path: Path, receiver: Receiver
) -> None:
    refusals = [500, 500]
    receiver.answer = lambda path, body: Response(refusals.pop()) if refusals else None
    async with _hooks(tmp_path) as (hooks, clock):
        await hooks.add([Call("k", 1, 1, receiver.url("/a"), '{"n":"ü"}', HookForm.SMSGATE, 2)])
        for waited_s in (5, 10):
            async with asyncio.timeout(30):
                while (await hooks.deliveries(1)).deliveries[0].tries < 1 + (waited_s == 10):
                    await asyncio.sleep(0.01)
            clock.ahead_ms += waited_s * 1000 + 1
            hooks.wake()
        await receiver.until(1)
        headers, raw = receiver.headers[0], receiver.raw[0]
        wanted = smsgate_signature(await hooks.secret(1), int(headers["x-timestamp"]), raw)
        assert headers["x-signature"] == wanted and raw == '{"n":"ü"}'.encode()
        assert "x-phonebridge-signature" not in headers
    # HMAC-SHA256("secret", body + timestamp), computed with openssl dgst.
    assert smsgate_signature("secret", 1700000000, b"{}") == (
        "8fb127cc8c5b6431435f5b344626a2223f2a364e6e5a8af0c4fca32b31d2eb52"
    )


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("http://127.0.0.1:8000/x?y=z", True), ("https://user:pw@example.com/", True), ("ftp://x/", False),
        ("file:///etc/passwd", False), ("javascript:alert(1)", False), ("http://", False), ("//x/", False),
        ("http://x:99999/", False), ("http://[::1/", False), ("http://x/\r\nHost: y", False), ("x" * 3000, False),
        ("http://169.254.169.254/latest/meta-data", False), ("http://[fe80::1]/", False), ("http://0.0.0.0/", False),
    ],
)  # fmt: skip
def test_only_http_addresses_are_called(url: str, is_good: bool) -> None:
    assert (problem_of(url) is None) is is_good


def test_who_shares_a_fate_is_told_by_scheme_host_and_port() -> None:
    assert host_of("https://user:pw@Example.com:8443/a?b") == "https://example.com:8443"


@pytest.mark.parametrize(
    ("address", "owner_may", "others_may"),
    [
        ("93.184.215.14", True, True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True, True),
        ("127.0.0.1", True, False), ("::1", True, False), ("192.168.1.20", True, False), ("10.0.0.1", True, False),
        ("100.64.0.1", True, False), ("fd12:3456::1", True, False), ("::ffff:192.168.1.20", True, False),
        ("169.254.169.254", False, False), ("169.254.1.1", False, False), ("fe80::1", False, False),
        ("fd00:ec2::254", False, False), ("100.100.100.200", False, False), ("168.63.129.16", False, False),
        ("::ffff:169.254.169.254", False, False), ("64:ff9b::a9fe:a9fe", False, False),
        ("64:ff9b::c0a8:101", True, False), ("2002:a9fe:a9fe::1", False, False), ("0.0.0.0", False, False),
        ("::", False, False), ("224.0.0.1", False, False), ("255.255.255.255", False, False), ("ff02::1", False, False),
    ],
)  # fmt: skip
def test_which_addresses_may_be_called_by_whom(address: str, owner_may: bool, others_may: bool) -> None:
    parsed = ipaddress.ip_address(address)
    assert (objection(parsed, is_owner=True) is None) is owner_may
    assert (objection(parsed, is_owner=False) is None) is others_may


async def test_a_name_that_leads_to_a_forbidden_address_is_not_called(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judged address is the one that is connected to, whatever the name means at the second question."""
    meanings = {"metadata.example": ["169.254.169.254"], "both.example": ["169.254.169.254", "127.0.0.1"]}
    asked: list[str] = []
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def resolve(host: Any, port: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in meanings:
            return await real(host, port, **more)
        asked.append(name)
        found = meanings[name]
        meanings[name] = ["203.0.113.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    port = receiver.server.port
    async with _hooks(tmp_path) as (hooks, _):
        refused = await hooks.test(1, f"http://metadata.example:{port}/", "{}")
        assert refused.state == "given_up" and "link-local" in (refused.last_error or "")
        taken = await hooks.test(1, f"http://both.example:{port}/x", "{}")
        assert taken.state == "done", taken
    assert asked == ["metadata.example", "both.example"]
    assert receiver.headers[-1]["host"] == f"both.example:{port}"


async def test_only_the_owners_webhooks_lead_into_the_local_network(shared: Rig, receiver: Receiver) -> None:
    ali = await shared.account("ali")
    body = {"url": receiver.url("/x")}
    assert (await shared.data("POST", "/api/webhooks/test", body))["state"] == "done"
    document = await shared.data("POST", "/api/webhooks/test", body, key=ali)
    assert document["state"] == "given_up" and "only the owner" in document["last_error"]
    assert len(receiver.got) == 1
    await shared.data("POST", "/api/sms", {
        "message": "x", "recipient_number": "+998901234567", "callback_url": receiver.url("/own"),
    }, key=ali)  # fmt: skip


async def test_a_redirect_is_reported_and_not_followed(rig: Rig, receiver: Receiver) -> None:
    receiver.answer = lambda path, body: Response(307, b"moved", {"Location": "http://169.254.169.254/secrets"})
    done = await rig.data("POST", "/api/webhooks/test", {"url": receiver.url("/old")})
    assert (done["state"], done["last_status"], done["last_answer"]) == ("given_up", 307, "moved")
    assert "redirects to http://169.254.169.254, which is not followed" in done["last_error"]


async def test_certificates_are_checked_for_the_name_although_an_address_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = make_certificates(tmp_path / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.key)
    receiver = Receiver(context)
    await receiver.server.open()
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def resolve(host: Any, port: Any, **more: Any) -> Any:
        return await real("127.0.0.1", port, **more)

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    urls = [f"https://{name}:{receiver.server.port}/x" for name in ("localhost", "other.example")]
    try:
        async with _hooks(tmp_path) as (hooks, _):
            done = await hooks.test(1, urls[0], "{}")
            assert "certificate" in (done.last_error or "").lower() and receiver.got == []
        # Read once, at the first call.
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
        async with _hooks(tmp_path) as (hooks, _):
            assert (await hooks.test(1, urls[0], "{}")).state == "done"
            # The certificate holds 127.0.0.1 as well: that must not do for another name.
            assert "other.example" in ((await hooks.test(1, urls[1], "{}")).last_error or "")
    finally:
        await receiver.close()


async def test_every_call_is_signed_and_the_verifier_of_the_documentation_says_so(rig: Rig, receiver: Receiver) -> None:
    text = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
    block = text.split("```python")[1].split("```")[0]
    lines = [line for line in block.strip().splitlines() if line.strip()]
    assert len([line for line in lines if not line.startswith("import")]) <= 5
    space: dict[str, Any] = {}
    exec(block, space)
    await rig.data("PUT", "/api/webhooks", {"webhook_url_status": receiver.url("/status")})
    sent = await rig.send("Grüße 💚")
    await rig.box.until(sent["id"], "sent")
    await receiver.until(1)
    secret = (await rig.data("GET", "/api/webhooks/secret"))["secret"]
    headers, raw = receiver.headers[0], receiver.raw[0]
    assert space["is_genuine"](secret, headers, raw)
    assert not space["is_genuine"]("another", headers, raw)
    assert not space["is_genuine"](secret, headers, raw + b" ")
    stale = {**headers, "x-phonebridge-timestamp": str(int(headers["x-phonebridge-timestamp"]) - 3600)}
    assert not space["is_genuine"](secret, stale, raw)
    old = int(stale["x-phonebridge-timestamp"])
    assert not space["is_genuine"](secret, {**stale, "x-phonebridge-signature": signature(secret, old, raw)}, raw)
    fresh = (await rig.data("POST", "/api/webhooks/secret"))["secret"]
    assert fresh != secret and (await rig.data("GET", "/api/webhooks/secret"))["secret"] == fresh
    await rig.data("POST", "/api/webhooks/test")
    assert space["is_genuine"](fresh, receiver.headers[-1], receiver.raw[-1])


async def test_the_log_tells_what_became_of_a_call_and_lets_it_be_made_again(shared: Rig, receiver: Receiver) -> None:
    receiver.answer = lambda path, body: Response(500, b"the database\nis down")
    await shared.data("PUT", "/api/webhooks", {"webhook_url_status": receiver.url("/status")})
    sent = await shared.send()
    await shared.box.until(sent["id"], "sent")

    async def log(**more: Any) -> Any:
        return (await shared.data("GET", "/api/webhooks/deliveries", **more))["data"]

    async with asyncio.timeout(30):
        while not (found := await log()) or not found[0]["tries"]:
            await asyncio.sleep(0.01)
    (row,) = found
    assert (row["sms_id"], row["state"], row["tries"], row["last_status"]) == (sent["id"], "waiting", 1, 500)
    assert row["last_answer"] == "the database is down" and row["next_try_at"] > row["tried_at"]
    assert row["took_ms"] is not None and '"event": "status"' in row["body"]
    assert await log(params={"state": "done"}) == [] and len(await log(params={"sms_id": sent["id"]})) == 1
    receiver.answer = lambda path, body: None
    path = f"/api/webhooks/deliveries/{row['id']}"
    ali = await shared.account("ali")
    assert (await shared.api("POST", path + "/replay", key=ali))[0] == 404
    assert (await shared.api("GET", path, key=ali))[0] == 404 and await log(key=ali) == []
    for count in (1, 2):
        await shared.data("POST", path + "/replay")
        await receiver.until(count)
    async with asyncio.timeout(30):
        while (await shared.data("GET", path))["state"] != "done":
            await asyncio.sleep(0.01)
    assert {headers["x-phonebridge-delivery"] for headers in receiver.headers} == {str(row["id"])}
    for wrong in ("0", "x", "9" * 40, "%00"):
        assert (await shared.api("GET", f"/api/webhooks/deliveries/{wrong}"))[0] == 404
    assert (await shared.api("POST", "/api/webhooks/test", {"url": "http://169.254.169.254/"}))[0] == 422


# --- pieces -----------------------------------------------------------------------------------------


class _Clock(Clock):
    ahead_ms = 0

    def utc_ms(self) -> int:
        return super().utc_ms() + self.ahead_ms


def _call(url: str, lane: int, number: int) -> Call:
    return Call(f"{lane}:{number}", lane, 1, url, f'{{"n": {number}}}')


class _hooks:
    """Hooks alone, on a journal, running."""

    def __init__(self, directory: Path) -> None:
        self.clock = _Clock("trusted")
        self.journal = Journal(directory / "journal.db")
        self.hooks = Hooks(self.journal, self.clock)

    async def __aenter__(self) -> tuple[Hooks, _Clock]:
        await self.journal.start(self.clock.utc_ms())
        await self.journal.write(lambda con: accounts.ensure_owner(con, "owner", "owner@localhost", 0))
        self.task = asyncio.create_task(self.hooks.run())
        return self.hooks, self.clock

    async def __aexit__(self, *_: Any) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.journal.close()
