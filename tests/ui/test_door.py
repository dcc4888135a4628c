"""Who gets in and what a request must carry, asked over a socket without a browser; and what others may not see."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local.conftest import KEY, Rig

PRIVATE = (
    "", "messages", "messages/1", "inbox", "send", "devices", "keys", "webhooks", "events",
)  # fmt: skip
POSTS = (
    "logout", "send", "count", "routes/a/pause", "routes/a/resume", "messages/1/cancel", "messages/1/resend",
    "messages/1/release", "devices/1/default", "devices/1/switch", "keys", "keys/1/revoke", "webhooks",
    "webhooks/test", "webhooks/1/replay",
)  # fmt: skip


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Box(tmp_path, {"a": FakeModem()}, timezone="Asia/Tashkent") as box:
        running = Rig(box, registration="open")
        await running.start()
        yield running
        await running.stop()


class Visitor:
    """A browser without a screen."""

    def __init__(self, rig: Rig) -> None:
        self.http = httpx.AsyncClient(base_url=rig.address, timeout=10)
        self.csrf = ""

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def log_in(self, key: str) -> httpx.Response:
        self.csrf = _csrf((await self.http.get("/ui/login")).text)
        answer = await self.post("login", key=key)
        if answer.status_code == 303:
            self.csrf = _csrf((await self.get("send")).text)
        return answer

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(f"/ui/{path}", headers=headers)

    async def post(self, path: str, **form: str) -> httpx.Response:
        return await self.http.post(f"/ui/{path}", data={"csrf": self.csrf, **form})


def _csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


@pytest.fixture
async def owner(rig: Rig) -> AsyncIterator[Visitor]:
    async with Visitor(rig) as visitor:
        assert (await visitor.log_in(KEY)).status_code == 303
        yield visitor


async def test_nobody_sees_or_does_anything_without_a_session(rig: Rig) -> None:
    async with Visitor(rig) as visitor:
        for path in PRIVATE:
            answer = await visitor.get(path)
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/ui/login"), path
        for path in POSTS:
            assert (await visitor.post(path, to="+4915200000001", text="x")).status_code == 401, path
    assert rig.modem.texts() == []


async def test_a_form_without_the_sessions_token_does_nothing(rig: Rig, owner: Visitor) -> None:
    owner.csrf = "forged"
    for path in POSTS:
        answer = await owner.post(path, to="+4915200000001", text="x", name="k", incoming="http://x")
        assert answer.status_code == 403, path
    assert (await owner.get("")).status_code == 200
    assert rig.modem.texts() == []
    assert not rig.box.gateway.route("a").is_paused
    assert await rig.box.gateway.accounts.tokens(await rig.box.gateway.accounts.owner()) == []


async def test_a_form_from_elsewhere_is_refused_even_with_the_token(rig: Rig, owner: Visitor) -> None:
    body = {"csrf": owner.csrf, "to": "+4915200000001", "text": "x"}
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert (await owner.http.post("/ui/send", data=body, headers=headers)).status_code == 403, headers
    assert rig.modem.texts() == []
    answer = await owner.http.post("/ui/send", data=body, headers={"Origin": rig.address})
    assert answer.status_code == 303


async def test_the_login_form_too_must_be_ours(rig: Rig) -> None:
    async with Visitor(rig) as visitor:
        assert (await visitor.post("login", key=KEY)).status_code == 403
        await visitor.get("login")
        assert (await visitor.post("login", key=KEY)).status_code == 403


async def test_guessing_keys_is_slowed(rig: Rig) -> None:
    async with Visitor(rig) as visitor:
        for _ in range(5):
            assert (await visitor.log_in("wrong")).status_code == 403
        answer = await visitor.log_in(KEY)
        assert answer.status_code == 429
        assert "Too many wrong keys" in answer.text


async def test_a_key_with_limits_does_not_open_the_page(rig: Rig) -> None:
    accounts = rig.box.gateway.accounts
    made = await accounts.create_token(await accounts.owner(), "reader", ("sms:read",))
    async with Visitor(rig) as visitor:
        answer = await visitor.log_in(made.plaintext)
        assert answer.status_code == 403
        assert "only some things" in answer.text


async def test_one_goes_on_only_to_our_own_pages(rig: Rig) -> None:
    for wanted, reached in (("/ui/keys", "/ui/keys"), ("//evil.example", "/ui/"), ("/ui//evil", "/ui/"),
                            ("https://evil.example/ui/", "/ui/"), ("/ui/\\evil", "/ui/")):  # fmt: skip
        async with Visitor(rig) as visitor:
            visitor.csrf = _csrf((await visitor.get("login")).text)
            answer = await visitor.post("login", key=KEY, next=wanted)
            assert answer.headers["location"] == reached


async def test_every_answer_forbids_what_the_page_does_not_need(rig: Rig, owner: Visitor) -> None:
    for path in (*(one for one in PRIVATE if one not in ("events", "messages/1")), "nothing"):
        answer = await owner.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy and "*" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "style=" not in answer.text and "<style" not in answer.text and " on" + "click=" not in answer.text
        assert not re.search(r'(?:src|href|action)="(?!/ui/|#|\?|")', answer.text), path


async def test_the_cookie_is_secure_where_the_connection_is(rig: Rig) -> None:
    async with Visitor(rig) as visitor:
        # A proxy on this machine speaks TLS to the browser.
        page = await visitor.get("login", **{"X-Forwarded-Proto": "https"})
        assert "; Secure" in page.headers["set-cookie"]
        assert "; Secure" not in (await visitor.get("login")).headers["set-cookie"]


async def test_an_account_sees_and_does_only_what_is_its_own(rig: Rig, owner: Visitor) -> None:
    secret = (await rig.send("the owner's secret", to="+998901112233"))["id"]
    owners_key = (await rig.data("POST", "/api/tokens", {"name": "k"}))["id"]
    key = await rig.account("guest")
    async with Visitor(rig) as guest:
        assert (await guest.log_in(key)).status_code == 303
        for path in ("", "messages", "messages?q=secret", "messages?q=%2B998901112233", "inbox", "webhooks"):
            page = await guest.get(path)
            assert page.status_code == 200 and "the owner" not in page.text
            assert "1112233" not in page.text.replace('value="+998901112233"', "")
        assert (await guest.get(f"messages/{secret}")).status_code == 404
        for path in (f"messages/{secret}/cancel", f"messages/{secret}/resend", f"keys/{owners_key}/revoke"):
            assert (await guest.post(path)).status_code == 404, path
        for path in ("routes/a/pause", "devices/1/switch"):
            assert (await guest.post(path)).status_code == 403, path
        assert "In the last 24 hours" not in (await guest.get("")).text
        sent = await guest.post("send", to="+998904445566", text="the guest's own")
        assert sent.status_code == 303
        assert "the guest&#39;s own" in (await guest.get("messages?q=guest")).text
    assert "the guest" not in (await owner.get("messages")).text
    assert not rig.box.gateway.route("a").is_paused


async def test_a_form_that_comes_twice_is_one_message(rig: Rig, owner: Visitor) -> None:
    form = {"to": "+998901112233", "text": "only once", "once": "a-mark"}
    first, second = await owner.post("send", **form), await owner.post("send", **form)
    assert first.headers["location"] == second.headers["location"]
    changed = await owner.post("send", **{**form, "text": "another"})
    assert changed.status_code == 422
    assert len((await rig.data("GET", "/api/sms"))["data"]) == 1


async def test_a_strange_address_is_never_a_fault(owner: Visitor) -> None:
    for path, status in (
        ("messages?before=99999999999999999999&state=nonsense&q=%00", 200),
        ("messages?before=-1", 200),
        ("messages?q=%ff%fe", 200),
        ("webhooks?page=0&state=x", 200),
        ("webhooks?page=999999", 200),
        ("messages/999999", 404),
        ("messages/x", 404),
        ("messages/٣", 404),
        ("messages/99999999999999999999", 404),
        ("static/../site.py", 404),
        ("static/%2e%2e%2fsite.py", 404),
        ("static/nothing.js", 404),
        ("nothing", 404),
    ):
        assert (await owner.get(path)).status_code == status, path


async def test_a_strange_body_is_never_a_fault(owner: Visitor) -> None:
    form = "application/x-www-form-urlencoded"
    for body, kind, status in (
        (b"{}", "application/json", 415),
        (b"&".join(b"a%d=1" % n for n in range(100)), form, 400),
        (b"\xff\xfe\x00", form, 403),
    ):
        answer = await owner.http.post("/ui/send", content=body, headers={"Content-Type": kind})
        assert answer.status_code == status, body[:20]


async def test_asking_for_a_part_where_there_is_none_gives_the_page(rig: Rig, owner: Visitor) -> None:
    for path in (*(one for one in PRIVATE if one not in ("events", "messages/1")), "login", "nothing"):
        assert (await owner.get(path, **{"X-Part": "live"})).status_code in (200, 303, 404), path
    async with Visitor(rig) as visitor:
        assert (await visitor.get("login", **{"X-Part": "live"})).status_code == 200


async def test_a_person_whose_session_ended_is_asked_for_the_key(rig: Rig) -> None:
    async with Visitor(rig) as visitor:
        answer = await visitor.http.post("/ui/send", data={"to": "1"}, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login")


async def test_any_text_is_counted_and_sent_or_refused_with_a_sentence(owner: Visitor) -> None:
    for text in ("\ud800", "\x00", "\u202e" * 70, "😀" * 700, "x" * 1601):
        body = {"csrf": owner.csrf, "to": "+998901112233", "text": text.encode("utf-8", "surrogatepass")}
        counted = await owner.http.post("/ui/count", data=body)
        assert counted.status_code == 200 and counted.json()["sentence"], text[:5]
        assert (await owner.http.post("/ui/send", data=body)).status_code in (303, 422), text[:5]


async def test_times_are_in_the_configured_zone(rig: Rig, owner: Visitor) -> None:
    message_id = (await rig.send("when"))["id"]
    page = (await owner.get(f"messages/{message_id}")).text
    assert "Times are Asia/Tashkent" in page
    assert re.search(r'datetime="[^"]+\+00:00" title="[^"]+ \+05"', page)


async def test_the_root_leads_people_to_the_page(rig: Rig) -> None:
    answer = await rig.http.get("/", headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")
    answer = await rig.http.get("/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert (await rig.http.get("/ui")).headers["location"] == "/ui/"


async def test_a_stream_tells_of_changes_and_ends_with_the_session(rig: Rig, owner: Visitor) -> None:
    async with owner.http.stream("GET", "/ui/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = (line async for line in answer.aiter_lines())
        while await anext(lines) != "event: hello":
            pass
        await rig.send("something")
        while await anext(lines) != "event: change":
            pass
        await owner.post("logout")
        await rig.send("something else")
        assert [line async for line in lines][-1:] in ([], [""])


async def test_asking_for_the_head_of_the_stream_ends(owner: Visitor) -> None:
    assert (await owner.http.head("/ui/events")).status_code == 200


async def test_nothing_of_it_is_loaded_before_the_page_is_asked_for(rig: Rig) -> None:
    import subprocess
    import sys

    code = (
        "import sys, agent.upstreams.local.app; "
        "sys.exit('jinja2' in sys.modules or 'agent.upstreams.local.ui.site' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
