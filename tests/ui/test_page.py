"""The page in a real chromium, in front of a daemon with an emulated modem."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.ui.stage import KEY, Stage, wait_until

NUMBER = "+4915200000077"
EVIL = '<script>window.pwned=1</script>"><img src=x onerror="window.pwned=1"><svg onload=window.pwned=1>'
PAGES = ("", "messages", "inbox", "send", "devices", "keys", "webhooks")


def _send(page: Page, to: str, text: str) -> int:
    page.goto("/ui/send")
    page.get_by_label("To").fill(to)
    page.get_by_label("Text").fill(text)
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile(r"/ui/messages/\d+$"))
    return int(page.url.rpartition("/")[2])


def _live(page: Page) -> None:
    """Until the page listens."""
    expect(page.locator("#pulse")).to_have_text("Live")


def test_the_way_in_is_a_key(stranger: Page, gateway: Stage) -> None:
    stranger.expected = (403,)  # type: ignore[attr-defined]
    stranger.goto("/")
    assert stranger.url.endswith("/ui/login")
    stranger.goto("/ui/keys")
    assert stranger.url.endswith("/ui/login?next=/ui/keys")
    stranger.get_by_label("API key").fill("not the key")
    stranger.keyboard.press("Enter")
    expect(stranger.get_by_role("alert")).to_have_text("This key is not known here.")
    stranger.get_by_label("API key").fill(KEY)
    stranger.keyboard.press("Enter")
    stranger.wait_for_url("**/ui/keys")
    (cookie,) = (one for one in stranger.context.cookies() if one["name"] == "phonebridge_session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/ui")
    assert KEY not in stranger.content()
    stranger.get_by_role("button", name="Log out").click()
    stranger.goto("/ui/messages")
    assert "/ui/login" in stranger.url


def test_a_message_is_sent_and_its_history_grows_by_itself(page: Page, gateway: Stage) -> None:
    message_id = _send(page, "+49 1520 0000077", "Hello from the sofa €")
    expect(page.get_by_role("status").filter(has_text="Delivered")).to_be_visible()
    steps = page.locator("ol.history li")
    expect(steps).to_have_text(
        [re.compile("Accepted"), re.compile("On the wire"), re.compile("The network took it"),
         re.compile("Delivered to the recipient")]
    )  # fmt: skip
    assert gateway.status_of(message_id) == "delivered"
    gateway.modem.wait_for("air", where=lambda event: NUMBER in str(event), timeout_s=30)


def test_the_list_updates_itself(page: Page, gateway: Stage) -> None:
    page.goto("/ui/messages")
    _live(page)
    page.evaluate("window.same = true")
    message_id = gateway.send("appears by itself", NUMBER)
    row = page.locator(f"tr[data-key=m{message_id}]")
    expect(row).to_contain_text("appears by itself")
    expect(row).to_contain_text("Delivered")
    gateway.receive("and so does an answer", NUMBER)
    expect(page.locator("tbody tr").first).to_contain_text("and so does an answer")
    assert page.evaluate("window.same") is True


def test_the_overview_shows_a_route_with_its_chart(page: Page, gateway: Stage) -> None:
    gateway.send("one for the chart", NUMBER)
    gateway.modem.wait_for("air", timeout_s=30)
    page.goto("/ui/")
    card = page.locator("article.route")
    expect(card).to_contain_text("sim0")
    expect(card).to_contain_text("Ready")
    expect(card).to_contain_text("Simulated")
    expect(card).to_contain_text("dBm")
    chart = card.get_by_role("img")
    expect(chart).to_have_attribute("aria-label", re.compile(r"In the last 24 hours \d+ sent, 0 refused"))
    assert chart.locator("g").count() == 24
    assert chart.locator("g title").last.text_content()
    expect(chart.locator("rect.sent").last).to_be_visible()


def test_an_inbound_message_is_answered(page: Page, gateway: Stage) -> None:
    page.goto("/ui/inbox")
    _live(page)
    gateway.receive("are you there?", "+4915200000088")
    item = page.locator("ul.inbox li").first
    expect(item).to_contain_text("are you there?")
    item.get_by_role("link", name="Reply").click()
    expect(page.get_by_label("Text")).to_be_focused()
    page.keyboard.type("yes, on the sofa")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status").filter(has_text="Delivered")).to_be_visible()
    expect(page.locator("ol.talk")).to_contain_text("are you there?")
    assert gateway.modem.wait_for("air", where=lambda event: "4915200000088" in str(event), timeout_s=30)


def test_alphabet_and_parts_show_while_typing(page: Page) -> None:
    page.goto("/ui/send")
    for text, shown in (
        ("short", "GSM 7-bit, 1 SMS, room for 155 more."),
        ("€" * 81, "GSM 7-bit, 2 SMS parts, room for 143 more."),
        ("привет", "Unicode (UCS-2), 1 SMS, room for 64 more. Unicode because of: п р и в е …."),
        ("x" * 161, "GSM 7-bit, 2 SMS parts, room for 145 more."),
    ):
        page.get_by_label("Text").fill(text)
        expect(page.locator("[data-count]")).to_have_text(shown)


def test_a_bad_number_is_told_and_nothing_typed_is_lost(page: Page) -> None:
    page.expected = (422,)  # type: ignore[attr-defined]
    page.goto("/ui/send")
    page.get_by_label("To").fill("call me")
    page.get_by_label("Text").fill("a long thought\nin two lines")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("is not a phone number")
    expect(page.get_by_label("Text")).to_have_value("a long thought\nin two lines")


def test_a_key_is_made_shown_once_and_revoked(page: Page, gateway: Stage) -> None:
    page.goto("/ui/keys")
    page.get_by_label("Name of a new key").fill("tablet <b>")
    page.get_by_role("button", name="Create").click()
    key = page.get_by_label("The new key").input_value()
    assert gateway.api("GET", "/api/user", key=key)[0] == 200
    page.reload()
    assert key.partition("|")[2] not in page.content()
    row = page.locator("tr", has_text="tablet <b>")
    expect(row).not_to_contain_text("never")
    row.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status").first).to_contain_text("revoked")
    assert gateway.api("GET", "/api/user", key=key)[0] == 401


def test_who_came_in_by_a_key_is_out_when_it_is_revoked(stranger: Page, gateway: Stage) -> None:
    stranger.expected = (401,)  # type: ignore[attr-defined]
    made = gateway.api("POST", "/api/tokens", {"name": "short-lived"})[1]["data"]
    stranger.goto("/ui/login")
    stranger.get_by_label("API key").fill(made["token"])
    stranger.keyboard.press("Enter")
    stranger.wait_for_url("**/ui/")
    _live(stranger)
    gateway.api("DELETE", f"/api/tokens/{made['id']}")
    gateway.send("something happens", NUMBER)
    stranger.wait_for_url("**/ui/login*")


def test_a_paused_route_holds_messages_and_one_can_be_cancelled_and_sent_again(page: Page, gateway: Stage) -> None:
    page.goto("/ui/")
    card = page.locator("article.route")
    card.get_by_role("button", name="Pause").click()
    expect(card.locator(".pill").first).to_have_text("Paused")
    # Nothing goes by itself; by this route it waits.
    device = gateway.api("GET", "/api/devices")[1]["data"][0]["id"]
    message_id = gateway.send("think twice", NUMBER, device_id=str(device))
    page.goto(f"/ui/messages/{message_id}")
    expect(page.get_by_role("status").first).to_have_text("Waiting")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").filter(has_text=re.compile("^Cancelled$"))).to_be_visible()
    page.get_by_role("button", name="Send again").click()
    page.wait_for_url(lambda url: not url.endswith(f"/{message_id}"))
    again = int(page.url.rpartition("/")[2])
    page.goto("/ui/")
    card.get_by_role("button", name="Resume").click()
    expect(card.locator(".pill").first).to_have_text("Ready")
    wait_until("it is delivered", lambda: gateway.status_of(again) == "delivered")
    assert gateway.status_of(message_id) == "cancelled"


def test_a_message_is_found_by_number_and_by_words_in_any_case(page: Page, gateway: Stage) -> None:
    gateway.send("Отправлено ВОВРЕМЯ", "+4915200000321")
    page.goto("/ui/messages")
    for sought in ("вовремя", "+49 1520 0000321", "00321"):
        page.get_by_label("Number or text").fill(sought)
        page.keyboard.press("Enter")
        page.wait_for_url("**q=**")
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("tbody tr")).to_contain_text("ВОВРЕМЯ")
    page.get_by_label("Number or text").fill("no such thing anywhere")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing found.")).to_be_visible()


def test_what_strangers_write_is_only_text(page: Page, gateway: Stage) -> None:
    gateway.receive(EVIL, "+4915200000666")
    gateway.receive("from a name", "<b>x</b>")
    message_id = gateway.send(EVIL, "+4915200000666")
    gateway.api("POST", "/api/tokens", {"name": EVIL})
    gateway.api("POST", "/api/devices", {"device_id": "<i>d</i>", "device_name": "<b>evil</b> device"})
    wait_until("both came in", lambda: len(gateway.api("GET", "/api/sms/inbox")[1]["data"]["data"]) >= 2)
    for name in (*PAGES, f"messages/{message_id}", "messages?q=<script>window.pwned=1</script>", "nothing/<b>here"):
        page.expected = (404,) if "nothing" in name else ()  # type: ignore[attr-defined]
        page.goto(f"/ui/{name}")
        assert page.evaluate("window.pwned") is None
        assert page.locator("main img, main script, main b > b, main svg[onload]").count() == 0
    page.goto(f"/ui/messages/{message_id}")
    expect(page.locator("p.bubble").first).to_have_text(EVIL)


def test_a_phone_needs_no_sideways_scrolling(page: Page, gateway: Stage) -> None:
    message_id = gateway.send("Donaudampfschifffahrtsgesellschaft" * 12, NUMBER)
    gateway.receive("https://example.com/" + "a" * 120, NUMBER)
    page.set_viewport_size({"width": 360, "height": 740})
    for name in (*PAGES, f"messages/{message_id}"):
        page.goto(f"/ui/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name


def test_a_message_is_sent_by_keyboard_alone(page: Page, gateway: Stage) -> None:
    page.goto("/ui/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Send":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/send")
    page.keyboard.type("+4915200000099")
    page.keyboard.press("Tab")
    page.keyboard.type("typed")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/ui/messages/\d+$"))
    wait_until("delivered", lambda: gateway.status_of(int(page.url.rpartition("/")[2])) == "delivered")


def test_every_field_has_a_label_and_every_page_its_landmarks(page: Page) -> None:
    for name in PAGES:
        page.goto(f"/ui/{name}")
        assert page.get_by_role("main").count() == page.get_by_role("banner").count() == 1
        assert page.get_by_role("heading", level=1).count() == 1
        assert page.locator("nav a[aria-current=page]").count() == 1
        unnamed = page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
            ".filter(f => !f.labels.length && !f.ariaLabel).map(f => f.name)"
        )
        assert unnamed == []


def test_a_webhook_is_set_and_its_calls_are_listed(page: Page, gateway: Stage) -> None:
    page.goto("/ui/webhooks")
    # Nobody listens on the discard port.
    page.get_by_label("when the state of a message changes").fill("http://127.0.0.1:9/hook")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("saved")
    gateway.send("tell them", NUMBER)
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("http://127.0.0.1:9/hook")
    expect(row.locator(".pill")).to_have_text("Waiting")
    row.get_by_text("Details").click()
    expect(row.locator("pre").first).to_contain_text("tell them")
    row.get_by_role("button", name="Call again").click()
    expect(page.get_by_role("status").first).to_contain_text("called again")
    page.get_by_role("button", name="Test the second").click()
    expect(page.get_by_role("status").first).to_contain_text("did not take the test")
    expect(page.locator("tbody tr").first).to_contain_text("Given up")
    page.get_by_label("when the state of a message changes").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("when the state of a message changes")).to_have_value("")
