"""What belongs to an account: abilities of its keys, contacts, plan and promo codes, and the app's release."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.upstreams.local.mobsms.abilities import NEEDED
from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local.conftest import Rig

BODY = {"message": "x", "recipient_number": "+998901234567"}


@pytest.fixture
async def selling(tmp_path: Path) -> AsyncIterator[Rig]:
    """Premium by promo code, a price list, and registration open."""
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        running = Rig(
            box, registration="open", promo_codes=["PDAFTAR", "Sommer_26"], promo_days=30, premium_monthly=5,
            premium_yearly=50, currency="EUR", payment_wallet_address="UQCG", payment_asset="USDT (TON)",
            payment_network="TON", payment_admin_telegram="@me", app_release_file=str(tmp_path / "release.json"),
        )  # fmt: skip
        await running.start()
        yield running
        await running.stop()


@pytest.mark.parametrize("ability", ["sms:read", "sms:send", "devices", "account", "architecto", "*"])
async def test_a_key_opens_what_it_is_able_to_and_nothing_else(rig: Rig, ability: str) -> None:
    device = await rig.agent()
    for (method, path), needed in NEEDED.items():
        made = await rig.data("POST", "/api/tokens", {"name": ability, "abilities": [ability]})
        # A body that is no object: whoever may come in is told so, and nothing happens.
        content = None if method == "GET" else b"1"
        target = f"/api{path.replace('{id}', str(device) if 'events' not in path else 'x')}"
        headers = {"Content-Type": "application/json"}
        status, document = await rig.api(method, target, key=made["token"], content=content, headers=headers)
        is_open = ability == "*" or ability in needed or "" in needed
        refused = (403, {"message": "Invalid ability provided."})
        assert ((status, document) != refused) == is_open, (method, path, status, document)


async def test_a_key_cannot_make_one_that_can_do_more(rig: Rig) -> None:
    made = await rig.data("POST", "/api/tokens", {"name": "page", "abilities": ["account", "sms:read"]})
    for abilities in (None, ["*"], ["sms:send"], ["account", "devices"]):
        body = {"name": "more", **({} if abilities is None else {"abilities": abilities})}
        status, document = await rig.api("POST", "/api/tokens", body, key=made["token"])
        assert status == 422 and "abilities" in document["errors"], abilities
    less = await rig.data("POST", "/api/tokens", {"name": "less", "abilities": ["sms:read"]}, key=made["token"])
    assert (await rig.api("GET", "/api/sms", key=less["token"]))[0] == 200
    assert (await rig.api("GET", "/api/tokens", key=less["token"]))[0] == 403


async def test_contacts_are_counted_grouped_and_fill_names_in(rig: Rig) -> None:
    rows = [
        {"name": "Ali", "phone_number": "+998 90 111-22-33"}, {"name": "nobody"}, {"phone_number": "", "name": "x"},
        {"phone_number": "+998901112244", "email": "b@example.com", "notes": "no name"}, {"phone_number": "office"},
    ]  # fmt: skip
    status, document = await rig.api("POST", "/api/contacts/import", {"contacts": rows, "group_id": 10})
    assert (status, document["data"]) == (201, {"imported": 3, "skipped": 2})
    assert document["message"] == "Imported 3 contacts"
    # Again: renewed, not doubled.
    again = {"contacts": [{"name": "Ali V.", "phone_number": "+998901112233"}]}
    assert (await rig.data("POST", "/api/contacts/import", again)) == {"imported": 1, "skipped": 0}
    kept = await rig.box.journal.read(
        lambda con: [
            tuple(row)
            for row in con.execute(
                "SELECT number, name, email, group_id FROM contact c LEFT JOIN contact_group g ON g.contact_id = c.id"
            )
        ]
    )
    assert sorted(kept) == [
        ("+998901112233", "Ali V.", None, 10), ("+998901112244", None, "b@example.com", 10), ("office", None, None, 10),
    ]  # fmt: skip
    recipients = ["+998901112233", {"number": "+998901112233", "name": "Other"}, "+998901112244"]
    sent = await rig.data("POST", "/api/sms/bulk", {"message": "Hi {name}!", "recipients": recipients})
    for row in sent:
        await rig.box.until(row["id"], "sent")
    assert sorted(rig.modem.texts()) == ["Hi !", "Hi Ali V.!", "Hi Other!"]


async def test_contacts_of_one_account_name_nobody_for_another(shared: Rig) -> None:
    ali = await shared.account("ali")
    await shared.data("POST", "/api/contacts/import", {"contacts": [{"name": "A", "phone_number": "+998901"}]}, key=ali)
    (row,) = await shared.data("POST", "/api/sms/bulk", {"message": "Hi {name}!", "recipients": ["+998901"]})
    await shared.box.until(row["id"], "sent")
    assert shared.modem.texts() == ["Hi !"]


async def test_everybody_is_premium_where_there_are_no_codes(shared: Rig) -> None:
    ali = await shared.account("ali")
    plan = await shared.data("GET", "/api/subscription", key=ali)
    assert (plan["plan"], plan["is_premium"], plan["features"]) == ("premium", True, ["api", "webhooks", "bulk"])
    status, document = await shared.api("POST", "/api/subscriptions/redeem-promo", {"code": "X"}, key=ali)
    assert (status, document) == (
        422, {"success": False, "message": "This promo code is invalid or no longer available."},
    )  # fmt: skip


async def test_a_code_makes_premium_for_its_days(selling: Rig) -> None:
    ali = await selling.account("ali")
    plan = await selling.data("GET", "/api/subscription", key=ali)
    assert (plan["plan"], plan["is_premium"], plan["premium_expires_at"]) == ("free", False, None)
    assert plan["prices"] == {"monthly": 5, "yearly": 50, "currency": "EUR"}
    assert plan["payment"] == {
        "wallet_address": "UQCG", "asset": "USDT (TON)", "network": "TON", "admin_telegram": "@me",
    }  # fmt: skip
    bulk = {"message": "x", "recipients": ["+998901234567"]}
    hook = {"webhook_url_status": "http://127.0.0.1:1/"}
    for method, path, body in (("POST", "/api/sms/bulk", bulk), ("PUT", "/api/webhooks", hook)):
        status, document = await selling.api(method, path, body, key=ali)
        assert (status, document["upgrade"]) == (403, True), path
        assert (await selling.api(method, path, body))[0] in (200, 201), path
    assert (await selling.api("POST", "/api/sms", BODY, key=ali))[0] == 201
    assert (await selling.api("POST", "/api/subscriptions/redeem-promo", {"code": "PDAFTA"}, key=ali))[0] == 422
    redeemed = await selling.data("POST", "/api/subscriptions/redeem-promo", {"code": " sommer_26 "}, key=ali)
    assert (redeemed["plan"], redeemed["is_premium"]) == ("premium", True)
    assert (await selling.data("GET", "/api/user", key=ali))["premium_expires_at"] == redeemed["premium_expires_at"]
    assert (await selling.api("POST", "/api/sms/bulk", bulk, key=ali))[0] == 201
    await selling.box.journal.write(lambda con: con.execute("UPDATE account SET premium_until_ms = 1"))
    selling.box.gateway.accounts._accounts.clear()
    assert (await selling.data("GET", "/api/subscription", key=ali))["plan"] == "free"


async def test_the_release_is_what_the_owner_publishes(selling: Rig, tmp_path: Path) -> None:
    assert await selling.api("GET", "/api/app/latest", key=None) == (200, {"success": True, "data": None})
    release = {
        "version_name": "1.0.1", "version_code": 2, "release_notes": "Bug fixes", "mandatory": False,
        "apk_url": "https://example.com/3", "apk_size": 27418624,
    }  # fmt: skip
    file = tmp_path / "release.json"
    file.write_text(json.dumps(release))
    assert await selling.data("GET", "/api/app/latest", key=None) == release
    for broken in ("{", "[]", '{"version_code": 2}', json.dumps({**release, "version_code": "many"})):
        file.write_text(broken)
        assert await selling.data("GET", "/api/app/latest", key=None) is None, broken


async def test_last_used_at_is_there_after_a_call_and_after_a_restart(rig: Rig) -> None:
    made = await rig.data("POST", "/api/tokens", {"name": "shop"})
    assert (await rig.data("GET", "/api/tokens"))[0]["last_used_at"] is None
    await rig.data("GET", "/api/user", key=made["token"])
    used = (await rig.data("GET", "/api/tokens"))[0]["last_used_at"]
    assert used is not None
    await rig.stop()
    kept = await rig.box.journal.read(lambda con: con.execute("SELECT last_used_ms FROM token").fetchone()[0])
    assert kept is not None
    again = Rig(rig.box)
    await again.start()
    assert (await again.data("GET", "/api/tokens"))[0]["last_used_at"] == used
    await again.stop()
    await rig.start()
