"""A Yazsana server made from the seed alone: users, organisations, services, sendings with items, credit, refunds.

Knows nothing of the driver. `python -m tests.yazsana.server` runs it as a process of its own, with `/_control` for
what a test wants to happen and to know.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.mobsms_server.http1 import HttpServer, Request, Response, Wire, html_response, json_response

KEY = "customer-key"
USER = "c397b946-287e-45a8-85a4-f371e6dd3837"
ORG = "7f2d51ea-b166-4a45-9f06-4524be51e4c1"
SERVICE = "bb59f6f7-dc35-47c9-8874-673ad4f70518"
OTHER_SERVICE = "0d1f0e2c-6a7f-4e53-a6a3-0d1b4a4c7a10"
IN_PROGRESS, REFUNDED = ("pending", "waiting"), ("not_sent", "no_signal")


@dataclass
class Item:
    to: str
    message: str
    created: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "pending"
    refunded: bool = False


@dataclass
class Sending:
    items: list[Item]
    created: datetime
    charged: Decimal
    org: bool
    source: str = "api"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Fault:
    """The next `count` requests whose path contains `path` fare so: a status, or one of the words below.

    "late": carried out, no answer; "lost": not carried out, no answer; "html": a sign-in page;
    "hang": carried out, answered after 60 s.
    """

    path: str
    effect: int | str
    count: int = 1
    method: str = ""
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class YazsanaServer:
    """In this process: `await open()`. `course` says per number which statuses an item goes through, one per look."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.http = HttpServer(host, port, self._handle)
        self.user_credit = Decimal(1000)
        self.org_credit = Decimal("120.000000")
        self.price = Decimal("1.000000")
        self.sendings: list[Sending] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.faults: list[Fault] = []
        self.course: dict[str, list[str]] = {}
        self.default_course = ["sent"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}"

    async def open(self) -> None:
        await self.http.open()

    async def close(self) -> None:
        await self.http.close()
        self.http._socket.close()

    def texts(self) -> list[str]:
        return [item.message for sending in self.sendings for item in sending.items]

    def state(self) -> dict[str, Any]:
        """For a test in another process."""
        return {
            "user_credit": str(self.user_credit),
            "org_credit": str(self.org_credit),
            "requests": len(self.requests),
            "sendings": [
                {
                    "id": sending.id,
                    "charged": str(sending.charged),
                    "items": [{"to": i.to, "message": i.message, "status": i.status, "refunded": i.refunded}
                              for i in sending.items],
                }
                for sending in self.sendings
            ],
        }  # fmt: skip

    # --- requests -----------------------------------------------------------------------------------

    async def _handle(self, request: Request) -> Response:
        if request.path == "/_control":
            return self._control(request)
        self.requests.append((request.method, request.path, request.query))
        fault = next(
            (one for one in self.faults if one.path in request.path and one.method in ("", request.method)), None
        )
        if fault is not None:
            fault.count -= 1
            if fault.count <= 0:
                self.faults.remove(fault)
            return await self._faulty(request, fault)
        return self._answer(request)

    async def _faulty(self, request: Request, fault: Fault) -> Response:
        if fault.effect == "html":
            return html_response(200, "<html>Please sign in</html>")
        if fault.effect == "lost":
            return Response(200, wire=Wire.RESET)
        if isinstance(fault.effect, int):
            body = fault.body if fault.body is not None else {"success": False, "message": "no"}
            return json_response(fault.effect, body, fault.headers)
        answer = self._answer(request)
        if fault.effect == "hang":
            await asyncio.sleep(60)
        answer.wire = Wire.RESET
        return answer

    def _answer(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != KEY:
            return json_response(401, {"success": False, "message": "Unauthorized"})
        org = request.headers.get("x-org-id")
        if org not in (None, ORG):
            return json_response(403, {"success": False, "message": "Forbidden organization"})
        path, is_org = request.path, org is not None
        if request.method == "POST" and path in ("/sms-sendings/one", "/sms-sendings/simple"):
            return self._send(request, is_org)
        if request.method != "GET":
            return html_response(404, "Cannot do that")
        if path == "/users/me":
            data = {"id": USER, "username": "mark", "email": "mark@yazsana.com", "createdAt": _iso(datetime.now(UTC))}
            return _ok(data)
        if path == "/organizations":
            return _ok([self._organisation()])
        if path == "/services":
            return json_response(200, [self._service(SERVICE, "BobSMS"), self._service(OTHER_SERVICE, "BobSMS Plus")])
        if path == "/sms-sendings":
            return self._list(request, is_org)
        if path.startswith("/sms-sendings/"):
            return self._items(request, path.removeprefix("/sms-sendings/"))
        return html_response(404, "Cannot GET " + path)

    def _organisation(self) -> dict[str, Any]:
        return {
            "id": ORG, "name": "Main Organization", "state": True, "memberCredit": f"{self.org_credit:.6f}",
            "permissions": ["organization.sms.read", "organization.sms.send", "organization.users.read"],
        }  # fmt: skip

    def _service(self, key: str, name: str) -> dict[str, Any]:
        return {"id": key, "name": name, "type": "sms", "currency": "USD", "unitPrice": f"{self.price:.6f}"}

    def _send(self, request: Request, is_org: bool) -> Response:
        body = json.loads(request.body)
        numbers = [body["to"]] if isinstance(body.get("to"), str) else body.get("to")
        if body.get("serviceId") not in (SERVICE, OTHER_SERVICE):
            return json_response(404, {"success": False, "message": "Service not found"})
        if not isinstance(body.get("message"), str) or not 0 < len(body["message"]) <= 160:
            message = ["message must be shorter than or equal to 160 characters"]
            return json_response(400, {"success": False, "message": message})
        if not numbers or not all(isinstance(number, str) and number.isdigit() for number in numbers):
            return json_response(400, {"success": False, "message": ["to must be in 905xx... format"]})
        cost = self.price * len(numbers)
        if cost > (self.org_credit if is_org else self.user_credit):
            return json_response(400, {"success": False, "message": "Insufficient credit"})
        self._pay(cost, is_org)
        now = datetime.now(UTC)
        sending = Sending([Item(number, body["message"], now) for number in numbers], now, cost, is_org)
        self.sendings.append(sending)
        return _ok(sending.id)

    def _pay(self, cost: Decimal, is_org: bool) -> None:
        if is_org:
            self.org_credit -= cost
        else:
            self.user_credit -= cost

    def _advance(self, sending: Sending) -> None:
        """Each look shows the next status of an item's course."""
        for item in sending.items:
            course = self.course.setdefault(item.to, list(self.default_course))
            if item.status not in ("sent", "not_sent"):
                item.status = course.pop(0) if len(course) > 1 else course[0]
            if item.status in REFUNDED and not item.refunded and course and course[-1] == item.status:
                item.refunded = True
                self._pay(-self.price, sending.org)

    def _list(self, request: Request, is_org: bool) -> Response:
        since = _time(request.query.get("startDate"), datetime.min.replace(tzinfo=UTC))
        until = _time(request.query.get("endDate"), datetime.max.replace(tzinfo=UTC) - timedelta(days=1))
        text, source = request.query.get("text", ""), request.query.get("source")
        found = [
            sending
            for sending in reversed(self.sendings)
            if since <= sending.created <= until and sending.org == is_org and source in (None, sending.source)
            and any(text in item.message for item in sending.items)
        ]  # fmt: skip
        return _page(request, [self._row(sending) for sending in found])

    def _row(self, sending: Sending) -> dict[str, Any]:
        def count(*states: str) -> int:
            return sum(item.status in states for item in sending.items)

        refunded = sum(item.refunded for item in sending.items)
        return {
            "id": sending.id,
            "completed": count(*IN_PROGRESS) == 0,
            "sampleMessageText": sending.items[0].message,
            "createdAt": _iso(sending.created),
            "stats": {
                "validSize": len(sending.items), "invalidSize": 0, "nOfPending": count("pending"),
                "nOfWaiting": count("waiting"), "nOfCompleted": count("sent"), "nOfFailed": count(*REFUNDED),
                "nOfRefunded": refunded, "totalCost": f"{sending.charged.normalize():f}",
                "totalRefunded": f"{(self.price * refunded).normalize():f}",
            },
        }  # fmt: skip

    def _items(self, request: Request, key: str) -> Response:
        sending = next((one for one in self.sendings if one.id == key), None)
        if sending is None:
            return json_response(404, {"success": False, "message": "Sending not found"})
        self._advance(sending)
        rows = [
            {
                "id": item.id, "to": item.to, "message": item.message, "status": item.status, "network": "unknown",
                "refunded": item.refunded, "createdAt": _iso(item.created),
            }
            for item in sending.items
        ]  # fmt: skip
        return _page(request, rows)

    def _control(self, request: Request) -> Response:
        if request.method == "POST":
            for key, value in json.loads(request.body).items():
                if key == "faults":
                    self.faults = [Fault(**one) for one in value]
                elif key in ("org_credit", "user_credit", "price"):
                    setattr(self, key, Decimal(value))
                else:
                    setattr(self, key, value)
        return json_response(200, self.state())


def _ok(data: Any) -> Response:
    return json_response(200, {"success": True, "data": data})


def _page(request: Request, rows: list[dict[str, Any]]) -> Response:
    page, limit = int(request.query.get("page", "0")), int(request.query.get("limit", "10"))
    data = {
        "items": rows[page * limit : (page + 1) * limit], "total": len(rows), "page": page, "limit": limit,
        "totalPages": -(-len(rows) // limit),
    }  # fmt: skip
    return _ok(data)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _time(value: str | None, default: datetime) -> datetime:
    return default if value is None else datetime.fromisoformat(value)


async def _main(port: int) -> None:
    server = YazsanaServer(port=port)
    await server.open()
    print(server.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    asyncio.run(_main(arguments.parse_args().port))
