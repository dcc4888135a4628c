"""The Yazsana dialect over a socket: who pays, what is refused, what is given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.journal import dispatch
from agent.journal.store import JournalFull
from drivers.api import Refused
from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local.conftest import KEY, Rig

TO = "905550000000"


class Customer:
    """An application with a key, perhaps speaking for an organisation."""

    def __init__(self, rig: Rig, key: str | None = KEY, organization: str | None = None) -> None:
        self.rig, self.key, self.organization = rig, key, organization

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        if self.key is not None:
            headers["x-api-key"] = self.key
        if self.organization is not None:
            headers["x-org-id"] = self.organization
        answer = await self.rig.http.request(method, f"/yazsana{path}", json=body, headers=headers)
        return answer.status_code, answer.json()

    async def data(self, path: str) -> Any:
        status, document = await self.ask("GET", path)
        assert status == 200 and document["success"] is True, document
        return document["data"]

    async def service(self, name: str = "a") -> str:
        status, rows = await self.ask("GET", "/services")
        assert status == 200, rows
        return str(next(row["id"] for row in rows if row["name"] == name))

    async def send(self, to: str | list[str] = TO, message: str = "Campaign is live") -> tuple[int, Any]:
        path = "/sms-sendings/one" if isinstance(to, str) else "/sms-sendings/simple"
        return await self.ask("POST", path, {"to": to, "message": message, "serviceId": await self.service()})

    async def sent(self, to: str | list[str] = TO, message: str = "Campaign is live") -> str:
        status, document = await self.send(to, message)
        assert status == 201, document
        return str(document["data"])

    async def stats(self, uid: str) -> dict[str, Any]:
        page = await self.data("/sms-sendings?limit=100")
        stats: dict[str, Any] = next(one["stats"] for one in page["items"] if one["id"] == uid)
        return stats

    async def statuses(self, uid: str) -> list[tuple[str, str, bool]]:
        page = await self.data(f"/sms-sendings/{uid}?limit=100")
        return [(one["to"], one["status"], one["refunded"]) for one in page["items"]]

    async def until(self, uid: str, *wanted: str) -> None:
        """Until these are the statuses of a sending's items."""
        async with asyncio.timeout(30):
            while [status for _, status, _ in await self.statuses(uid)] != list(wanted):
                await asyncio.sleep(0.01)

    async def credit(self) -> str:
        return str((await self.data("/organizations"))[0]["memberCredit"])

    async def balance(self) -> Any:
        return (await self.rig.data("GET", "/api/account", key=self.key))["balance"]


@pytest.fixture
async def priced(tmp_path: Path) -> AsyncIterator[Rig]:
    """A message by route "a" costs 1.5, by "b" the general 0.1; the owner has 5, an organisation's member 120."""
    async with Box(tmp_path, {"a": FakeModem(), "b": FakeModem(iccid="8949000000000000002")}) as box:
        running = Rig(
            box, registration="open", sms_rate=0.1, prices={"a": 1.5}, credit=5, organization_credit=120,
            organization="Main Organization", currency="EUR",
        )  # fmt: skip
        await running.start()
        yield running
        await running.stop()


async def test_a_service_per_route_with_its_price(priced: Rig) -> None:
    _, rows = await Customer(priced).ask("GET", "/services")
    assert [(row["name"], row["type"], row["currency"], row["unitPrice"]) for row in rows] == [
        ("a", "sms", "EUR", "1.500000"), ("b", "sms", "EUR", "0.100000"),
    ]  # fmt: skip
    _, again = await Customer(priced).ask("GET", "/services")
    assert again == rows


async def test_a_sending_is_charged_to_the_user_and_goes_by_its_service(priced: Rig) -> None:
    customer = Customer(priced)
    uid = await customer.sent(message="once 😀")
    await customer.until(uid, "sent")
    (part,) = priced.box.modems["a"].sent
    assert part[1].recipient == "+905550000000" and part[1].body.decode() == "once 😀"
    assert await customer.balance() == 3.5 and await customer.credit() == "120.000000"
    assert await customer.stats(uid) == {
        "validSize": 1, "invalidSize": 0, "nOfPending": 0, "nOfWaiting": 0, "nOfCompleted": 1, "nOfFailed": 0,
        "nOfRefunded": 0, "totalCost": "1.5", "totalRefunded": "0",
    }  # fmt: skip
    page = await customer.data("/sms-sendings")
    assert page["items"][0]["completed"] is True and page["items"][0]["sampleMessageText"] == "once 😀"
    listed = await priced.data("GET", "/api/sms")
    assert listed["data"][0]["is_charged"] is True and listed["data"][0]["price"] == 1.5


async def test_with_an_organization_its_member_credit_pays(priced: Rig) -> None:
    (row,) = await Customer(priced).data("/organizations")
    member = Customer(priced, organization=row["id"])
    uid = await member.sent()
    assert await member.credit() == "118.500000" and await member.balance() == 5
    assert [one["id"] for one in (await member.data("/sms-sendings"))["items"]] == [uid]
    assert (await Customer(priced).data("/sms-sendings"))["total"] == 0
    assert (await Customer(priced).ask("GET", f"/sms-sendings/{uid}"))[0] == 404


async def test_a_foreign_organization_is_refused(priced: Rig) -> None:
    (row,) = await Customer(priced).data("/organizations")
    ali = Customer(priced, key=await priced.account("ali"))
    assert await ali.data("/organizations") == []
    service = await ali.service()
    for customer in (
        Customer(priced, ali.key, row["id"]), Customer(priced, organization="7f2d51ea-b166-4a45-9f06-4524be51e4c1"),
    ):  # fmt: skip
        for method, path, body in (
            ("GET", "/services", None), ("GET", "/sms-sendings", None),
            ("POST", "/sms-sendings/one", {"to": TO, "message": "x", "serviceId": service}),
        ):  # fmt: skip
            status, document = await customer.ask(method, path, body)
            assert (status, document["success"]) == (403, False), path
    assert (await priced.data("GET", "/api/sms"))["total"] == 0 and await ali.balance() == 5


async def test_what_fails_is_given_back_once_and_what_is_invalid_costs_nothing(priced: Rig) -> None:
    modem = priced.box.modems["a"]
    modem.answers = [Refused("the network refused the number")]
    customer = Customer(priced)
    uid = await customer.sent([TO, "nonsense", "905550000001", TO])
    await customer.until(uid, "not_sent", "not_sent", "sent")
    assert await customer.statuses(uid) == [
        (TO, "not_sent", True), ("nonsense", "not_sent", False), ("905550000001", "sent", False),
    ]  # fmt: skip
    assert await customer.stats(uid) == {
        "validSize": 2, "invalidSize": 1, "nOfPending": 0, "nOfWaiting": 0, "nOfCompleted": 1, "nOfFailed": 1,
        "nOfRefunded": 1, "totalCost": "3", "totalRefunded": "1.5",
    }  # fmt: skip
    assert await customer.balance() == 3.5
    rows = (await priced.data("GET", "/api/sms?status=failed"))["data"]
    assert [row["is_charged"] for row in rows] == [False, False]


async def test_without_enough_credit_nothing_is_accepted(priced: Rig) -> None:
    customer = Customer(priced)
    status, document = await customer.send([f"90555000000{number}" for number in range(4)])
    assert (status, document["success"]) == (402, False) and "credit" in document["message"]
    assert (await priced.data("GET", "/api/sms"))["total"] == 0 and await customer.balance() == 5
    assert (await customer.data("/sms-sendings"))["total"] == 0
    # All at once: no more is spent than there is.
    outcomes = await asyncio.gather(*(customer.send(f"90555000001{number}") for number in range(6)))
    assert sorted(status for status, _ in outcomes) == [201, 201, 201, 402, 402, 402]
    assert await customer.balance() == 0.5


async def test_cancelled_and_expired_are_given_back(priced: Rig) -> None:
    await priced.box.gateway.pause("a", is_paused=True)
    customer = Customer(priced)
    uid = await customer.sent([TO, "905550000001", "905550000002"])
    assert [status for _, status, _ in await customer.statuses(uid)] == ["pending"] * 3
    assert (await customer.data("/sms-sendings?completed=false"))["total"] == 1
    rows = {row["recipient_number"]: row["id"] for row in (await priced.data("GET", "/api/sms"))["data"]}
    await priced.data("POST", f"/api/sms/{rows['+905550000000']}/cancel")
    await priced.data("DELETE", f"/api/sms/{rows['+905550000001']}")
    await priced.box.journal.write(
        lambda con: con.execute("UPDATE queue SET expires_ms = 1 WHERE message_id = ?", (rows["+905550000002"],))
    )
    await priced.box.journal.write(lambda con: dispatch.expire(con, priced.box.clock.now()))
    assert [(status, back) for _, status, back in await customer.statuses(uid)] == [
        ("not_sent", True), ("not_sent", True), ("no_signal", True),
    ]  # fmt: skip
    assert (await customer.data("/sms-sendings?completed=true"))["total"] == 1
    assert await customer.balance() == 5 and (await customer.stats(uid))["totalRefunded"] == "4.5"


async def test_the_credit_of_a_crash_adds_up(priced: Rig) -> None:
    async def full(*_: Any, **__: Any) -> Any:
        raise JournalFull("the journal could not be written; free some space on its disk")

    customer = Customer(priced)
    service = await customer.service()
    priced.box.gateway.outbox.accept = full  # type: ignore[method-assign]
    status, document = await customer.ask("POST", "/sms-sendings/one", {"to": TO, "message": "x", "serviceId": service})
    assert (status, document["success"]) == (503, False) and document["message"].endswith("disk.")
    assert await customer.balance() == 5


async def test_the_same_idempotency_key_is_charged_once(priced: Rig) -> None:
    customer = Customer(priced)
    body = {"to": TO, "message": "x", "serviceId": await customer.service()}
    first = await customer.ask("POST", "/sms-sendings/one", body, **{"Idempotency-Key": "1"})
    assert first[0] == 201
    assert await customer.ask("POST", "/sms-sendings/one", body, **{"Idempotency-Key": "1"}) == first
    assert await customer.balance() == 3.5


async def test_filters_and_pages_of_sendings_and_items(priced: Rig) -> None:
    customer = Customer(priced)
    one, two = await customer.sent(message="Your confirmation code"), await customer.sent(message="Campaign")
    listed = await customer.data("/sms-sendings?limit=1")
    assert [row["id"] for row in listed["items"]] == [two]
    assert {key: listed[key] for key in ("total", "page", "limit", "totalPages")} == {
        "total": 2, "page": 0, "limit": 1, "totalPages": 2,
    }  # fmt: skip
    assert [row["id"] for row in (await customer.data("/sms-sendings?limit=1&page=1"))["items"]] == [one]
    for query, count in (
        ("text=CONFIRMATION", 1), ("text=nothing", 0), ("source=api", 2), ("source=panel", 0),
        ("startDate=2026-01-01T00:00:00Z", 2), ("endDate=2020-01-01T00:00:00Z", 0), ("page=9", 2),
    ):  # fmt: skip
        assert (await customer.data(f"/sms-sendings?{query}"))["total"] == count, query
    await customer.until(one, "sent")
    for query, count in (("status=sent", 1), ("status=pending", 0), ("text=code", 1), ("text=campaign", 0)):
        assert (await customer.data(f"/sms-sendings/{one}?{query}"))["total"] == count, query


async def test_another_account_sees_none_of_it(priced: Rig) -> None:
    uid = await Customer(priced).sent()
    ali = Customer(priced, key=await priced.account("ali"))
    assert (await ali.data("/sms-sendings"))["total"] == 0
    assert (await ali.ask("GET", f"/sms-sendings/{uid}"))[0] == 404
    assert (await ali.data("/users/me"))["username"] == "ali"


async def test_bad_requests_in_its_own_form(priced: Rig) -> None:
    customer = Customer(priced)
    service = await customer.service()
    good = {"to": TO, "message": "x", "serviceId": service}
    for path, body in (
        ("/one", {}), ("/one", {**good, "message": "x" * 161}), ("/one", {**good, "to": [TO]}),
        ("/one", {**good, "to": "nonsense"}), ("/one", {**good, "serviceId": "x"}), ("/one", [1]),
        ("/simple", good), ("/simple", {**good, "to": []}),
    ):  # fmt: skip
        status, document = await customer.ask("POST", f"/sms-sendings{path}", body)
        assert (status, document["success"]) == (400, False) and document["errors"], body
    unknown = {**good, "serviceId": "bb59f6f7-dc35-47c9-8874-673ad4f70518"}
    assert (await customer.ask("POST", "/sms-sendings/one", unknown))[0] == 404
    for path in (
        "?page=-1",
        "?limit=0",
        "?limit=x",
        "?startDate=now",
        "?completed=x",
        "?source=x",
        f"/{service}?status=y",
    ):
        status, document = await customer.ask("GET", f"/sms-sendings{path}")
        assert (status, document["success"]) == (400, False), path
    for method, path, expected in (
        ("GET", "/nothing", 404),
        ("PUT", "/users/me", 405),
        ("GET", "/sms-sendings/x", 404),
    ):
        status, document = await customer.ask(method, path)
        assert (status, document["success"]) == (expected, False) and document["message"]
    for key in (None, "wrong"):
        status, document = await Customer(priced, key=key).ask("GET", "/users/me")
        assert (status, document["success"]) == (401, False)


async def test_a_key_that_may_only_read_cannot_send(priced: Rig) -> None:
    made = await priced.data("POST", "/api/tokens", {"name": "shop", "abilities": ["sms:read"]})
    reader = Customer(priced, key=made["token"])
    assert (await reader.data("/sms-sendings"))["total"] == 0
    status, document = await reader.send()
    assert (status, document["success"]) == (403, False)


async def test_a_remote_agent_is_a_service_and_its_report_decides(priced: Rig) -> None:
    device = await priced.agent("pi-9")
    customer = Customer(priced)
    body = {"to": TO, "message": "x", "serviceId": await customer.service("Pi 2")}
    uid = (await customer.ask("POST", "/sms-sendings/one", body))[1]["data"]
    (row,) = await priced.data("POST", f"/api/devices/{device}/claim")
    await customer.until(uid, "waiting")
    assert await customer.balance() == 4.9
    await priced.data("PUT", f"/api/sms/{row['id']}", {"status": "failed"})
    await customer.until(uid, "not_sent")
    assert await customer.balance() == 5
    await priced.data("PUT", f"/api/sms/{row['id']}", {"status": "delivered"})
    await customer.until(uid, "sent")
    # It arrived after all: a refund is never taken back.
    assert await customer.balance() == 5
