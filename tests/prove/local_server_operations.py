"""All 30 + 7 operations of our own server, called over a socket on a running daemon with a simulated modem.

Each answer is compared field by field with the published example, and each GET is called before and after the action
that must change it. A remote agent, played here, decides what becomes of messages that must wait or fail.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from drivers.simulator.process import SimulatorProcess
from tests.prove.measured import Figures
from tests.prove.own_server import free_port
from tests.prove.stage import Daemon, wait_until
from tests.upstreams.local.documented import EXAMPLES, YAZSANA, differences

KEY = "local-server-key-of-the-proof-0123456789"
_CLIENT = "proof.apps.googleusercontent.com"
_TO = "+998901234567"
_RELEASE = {
    "version_name": "1.0.1", "version_code": 2, "release_notes": "Bug fixes", "mandatory": False,
    "apk_url": "https://example.com/app.apk", "apk_size": 27418624,
}  # fmt: skip


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """The table. `short` and `seed` change nothing: it is one pass over everything."""
    with serving(directory) as (client, modem, release):
        table = _Table(client)
        for part in (_signing_in, _keys, _messages, _remote, _settings, _commercial, _yazsana):
            part(table, modem, release)
    for key in _documented():
        faults = table.called.get(key)
        found = "not called" if faults is None else "; ".join(faults) or "as documented"
        figures.expect(f"{key[0].upper()} {key[1]} {key[2]}", found, faults == [])
    operations = {key[:2] for key in table.called}
    figures.expect("operations called, of 30 + 7", len(operations), len(operations) == 37)
    for what, before, after in table.changes:
        figures.expect(what, f"{before!r} → {after!r}", before != after)
    unchanged = {path for method, path, _ in _documented() if method == "get"} - {
        row[0].split()[1] for row in table.changes
    }
    figures.expect("GETs without a before and after", sorted(unchanged) or "none", not unchanged)


def _documented() -> list[tuple[str, str, int]]:
    ours = [(method, f"/yazsana{path}", 201 if method == "post" else 200) for method, path in YAZSANA]
    return [*EXAMPLES, *ours]


class _Table:
    """What was called and what was found. `watch` notes a figure of a GET before and after."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.called: dict[tuple[str, str, int], list[str]] = {}
        self.changes: list[tuple[str, Any, Any]] = []
        self.google: str = ""

    def call(
        self, method: str, path: str, status: int = 200, body: Any = None, *, key: str | None = KEY, **more: Any
    ) -> Any:
        """One call; its answer is compared with the example of that status. Returns the whole answer."""
        identity = {"id": more.pop("id")} if "id" in more else {}
        query, organization = more.pop("query", {}), more.pop("organization", None)
        headers = {} if key is None else {"Authorization": f"Bearer {key}", "x-api-key": key}
        if organization is not None:
            headers["x-org-id"] = organization
        answer = self.client.request(method.upper(), path.format(**identity), json=body, params=query, headers=headers)
        document = answer.json()
        examples = EXAMPLES.get((method, path, status)) or [YAZSANA[method, path.removeprefix("/yazsana")]]
        faults = [] if answer.status_code == status else [f"{answer.status_code} instead of {status}: {document}"]
        fits = [differences(document, example) for example in examples]
        faults += min(fits, key=len)
        self.called.setdefault((method, path, status), []).extend(faults)
        return document

    def data(self, method: str, path: str, status: int = 200, body: Any = None, **more: Any) -> Any:
        return self.call(method, path, status, body, **more)["data"]

    def raw(self, method: str, path: str, body: Any = None) -> Any:
        """An extension, or a call that is only a means."""
        answer = self.client.request(method, path, json=body, headers={"Authorization": f"Bearer {KEY}"})
        answer.raise_for_status()
        return answer.json()["data"]

    def watch(self, path: str, what: str, figure: Callable[[], Any], act: Callable[[], Any]) -> Any:
        """Note a figure before and after an action that must change it; returns what the action does."""
        before = figure()
        result = act()
        self.changes.append((f"GET {path} {what}", before, figure()))
        return result

    def until(self, message: int, *statuses: str) -> None:
        wait_until(
            f"message {message} {'/'.join(statuses)}",
            lambda: self.raw("GET", f"/api/sms/{message}")["status"] in statuses,
            20,
        )

    def send(self, text: str = "Hello", **more: Any) -> int:
        body = {"message": text, "recipient_number": _TO, "callback_url": "https://example.com/sms", **more}
        return int(self.data("post", "/api/sms", 201, body)["id"])


def _signing_in(table: _Table, modem: SimulatorProcess, release: Path) -> None:
    who = {"name": "Ali Valiyev", "email": "ali@example.com", "password": "secret123"}
    table.call("post", "/api/register", 201, {**who, "password_confirmation": "secret123"}, key=None)
    made = table.data("post", "/api/login", body={"email": who["email"], "password": "secret123"}, key=None)
    table.call("post", "/api/login", 401, {"email": who["email"], "password": "guessed"}, key=None)
    table.call("post", "/api/auth/google", 401, {"id_token": "bad.id.token"}, key=None)
    table.call("post", "/api/auth/google", 200, {"id_token": "good.id.token"}, key=None)
    key = made["token"]
    table.watch(
        "/api/user", "premium_expires_at of an account after its promo code",
        lambda: table.client.get("/api/user", headers=_bearer(key)).json()["data"]["premium_expires_at"],
        lambda: table.call("post", "/api/subscriptions/redeem-promo", 200, {"code": "pdaftar"}, key=key),
    )  # fmt: skip
    table.call("get", "/api/user", key=key)
    other = table.client.post("/api/login", json={"email": who["email"], "password": "secret123"}).json()["data"]
    table.call("post", "/api/logout", key=other["token"])
    table.changes.append(
        (
            "POST /api/logout and the key",
            200,
            table.client.get("/api/user", headers=_bearer(other["token"])).status_code,
        )
    )


def _keys(table: _Table, modem: SimulatorProcess, release: Path) -> None:
    made = table.data("post", "/api/tokens", 201, {"name": "Production server"})

    def used() -> Any:
        return next(one for one in table.data("get", "/api/tokens") if one["id"] == made["id"])["last_used_at"]

    table.watch(
        "/api/tokens", "last_used_at after a call with the key", used,
        lambda: table.client.get("/api/user", headers=_bearer(made["token"])).raise_for_status(),
    )  # fmt: skip
    table.call("delete", "/api/tokens/{id}", id=made["id"])


def _messages(table: _Table, modem: SimulatorProcess, release: Path) -> None:
    def sent_and_told() -> int:
        message = table.send()
        table.until(message, "delivered")
        return message

    figures: list[tuple[str, str, Callable[[], Any]]] = [
        ("/api/sms", "total after a send", lambda: table.data("get", "/api/sms")["total"]),
        ("/api/sms/outbox", "total after a send", lambda: table.data("get", "/api/sms/outbox")["total"]),
        (
            "/api/sms/delivery-stats",
            "today after a send",
            lambda: table.data("get", "/api/sms/delivery-stats")["today"],
        ),
        ("/api/account", "today_spent after a send", lambda: table.data("get", "/api/account")["usage"]["today_spent"]),
        ("/api/account", "total_delivered", lambda: table.data("get", "/api/account")["stats"]["total_delivered"]),
    ]
    before = [figure() for _, _, figure in figures]
    message = sent_and_told()
    for (path, what, figure), value in zip(figures, before, strict=True):
        table.changes.append((f"GET {path} {what}", value, figure()))
    for status in ("delivered", "sent"):
        table.call("get", "/api/sms", query={"direction": "outbound", "status": status, "page": 1})
    one = table.data("get", "/api/sms/{id}", id=message)
    table.call("get", "/api/sms/{id}", id=one["message_id"])
    table.call("get", "/api/sms/{id}", 404, id=999_999)
    table.call("delete", "/api/sms/{id}", id=message)
    rows = table.data(
        "post", "/api/sms/bulk", 201, {"message": "Hi {name}", "recipients": [{"number": _TO, "name": "Ali"}]}
    )
    table.until(rows[0]["id"], "delivered")

    def total() -> int:
        return int(table.data("get", "/api/sms/inbox")["total"])

    def receive() -> None:
        before = total()
        modem.control.deliver("+998907778899", "Reply text")
        wait_until("an inbound message", lambda: total() > before, 20)

    table.watch("/api/sms/inbox", "total after an SMS came in", total, receive)


def _remote(table: _Table, modem: SimulatorProcess, release: Path) -> None:
    def devices() -> list[Any]:
        return [(one["device_id"], one["is_default"]) for one in table.data("get", "/api/devices")]

    agent = table.raw("POST", "/api/devices", {"device_id": "pi-9", "device_name": "Pi 9"})["id"]
    table.watch(
        "/api/devices", "is_default after it was chosen", devices,
        lambda: table.call("post", "/api/devices/default-device", 200, {"device_id": "pi-9"}),
    )  # fmt: skip
    waiting, claimed = table.send(), table.send()
    table.watch(
        "/api/sms/{id}", "status after a cancel",
        lambda: table.data("get", "/api/sms/{id}", id=waiting)["status"],
        lambda: table.call("post", "/api/sms/{id}/cancel", id=waiting),
    )  # fmt: skip
    table.call("post", "/api/sms/{id}/cancel", 422, id=waiting)
    table.raw("POST", f"/api/devices/{agent}/claim", {})
    table.watch(
        "/api/sms/{id}", "status after a device's report",
        lambda: table.data("get", "/api/sms/{id}", id=claimed)["status"],
        lambda: table.call("put", "/api/sms/{id}", 200, {"status": "delivered"}, id=claimed),
    )  # fmt: skip
    table.raw("PUT", f"/api/devices/{agent}", {"is_active": False})
    nobody = {"message": "x", "recipient_number": _TO, "device_id": str(agent)}
    table.call("post", "/api/sms", 422, nobody)
    table.call("post", "/api/sms/bulk", 422, {"message": "x", "recipients": [_TO], "device_id": str(agent)})
    table.raw("PUT", f"/api/devices/{agent}", {"is_active": True})


def _settings(table: _Table, modem: SimulatorProcess, release: Path) -> None:
    table.watch(
        "/api/settings", "keep_inbound after a PUT", lambda: table.data("get", "/api/settings"),
        lambda: table.call("put", "/api/settings", 200, {"keep_inbound": False}),
    )  # fmt: skip
    urls = {"webhook_url_incoming": "http://127.0.0.1:9/incoming", "webhook_url_status": "http://127.0.0.1:9/status"}
    table.watch(
        "/api/webhooks", "after a PUT", lambda: table.data("get", "/api/webhooks"),
        lambda: table.call("put", "/api/webhooks", 200, urls),
    )  # fmt: skip
    rows = [{"name": "Ali", "phone_number": _TO}, {"name": "nobody"}]
    counts = table.data("post", "/api/contacts/import", 201, {"contacts": rows, "group_id": 10})
    table.changes.append(("POST /api/contacts/import counts", {"imported": 0, "skipped": 0}, counts))


def _commercial(table: _Table, modem: SimulatorProcess, release: Path) -> None:
    who = {"name": "Eve", "email": "eve@example.com", "password": "secret123", "password_confirmation": "secret123"}
    key = table.data("post", "/api/register", 201, who, key=None)["token"]
    table.call("post", "/api/subscriptions/redeem-promo", 422, {"code": "NONE"}, key=key)
    table.watch(
        "/api/subscription", "plan after a promo code",
        lambda: table.client.get("/api/subscription", headers=_bearer(key)).json()["data"]["plan"],
        lambda: table.call("post", "/api/subscriptions/redeem-promo", 200, {"code": "pdaftar"}, key=key),
    )  # fmt: skip
    table.call("get", "/api/subscription", key=key)

    table.watch(
        "/api/app/latest", "after the owner published a release",
        lambda: table.data("get", "/api/app/latest", key=None), lambda: release.write_text(json.dumps(_RELEASE)),
    )  # fmt: skip


def _yazsana(table: _Table, modem: SimulatorProcess, release: Path) -> None:
    root = "/yazsana"
    services = {one["name"]: one["id"] for one in table.call("get", f"{root}/services")}
    own, remote = services["sim0"], services["Pi 9"]
    organization = table.data("get", f"{root}/organizations")[0]["id"]
    agent = next(one["id"] for one in table.raw("GET", "/api/devices") if one["device_id"] == "pi-9")

    def credit() -> str:
        return str(table.data("get", f"{root}/organizations")[0]["memberCredit"])

    def balance() -> Any:
        return table.data("get", "/api/balance")["balance"]

    def one(service: str, **more: Any) -> str:
        body = {"to": "905550000000", "message": "Your confirmation code is: 123456", "serviceId": service}
        return str(table.data("post", f"{root}/sms-sendings/one", 201, body, **more))

    def stats(uid: str, **more: Any) -> Any:
        page = table.data("get", f"{root}/sms-sendings", query={"limit": 20}, **more)
        return next(row["stats"] for row in page["items"] if row["id"] == uid)

    def statuses(uid: str, **more: Any) -> list[str]:
        page = table.data("get", f"{root}/sms-sendings/{{id}}", id=uid, query={"limit": 100}, **more)
        return [item["status"] for item in page["items"]]

    table.watch("/api/balance", "after a charge to the user", balance, lambda: one(own))
    charged = table.watch(
        f"{root}/organizations", "memberCredit after a charge", credit, lambda: one(remote, organization=organization)
    )
    (row,) = table.raw("POST", f"/api/devices/{agent}/claim", {})
    figures: list[tuple[str, str, Callable[[], Any]]] = [
        (f"{root}/organizations", "memberCredit after a refund", credit),
        (f"{root}/sms-sendings", "stats after a refund", lambda: stats(charged, organization=organization)),
        (f"{root}/sms-sendings/{{id}}", "status after a failure", lambda: statuses(charged, organization=organization)),
    ]
    before = [figure() for _, _, figure in figures]
    table.raw("PUT", f"/api/sms/{row['id']}", {"status": "failed", "error_message": "no signal"})
    for (path, what, figure), value in zip(figures, before, strict=True):
        table.changes.append((f"GET {path} {what}", value, figure()))
    many = {"to": ["905550000000", "905550000001"], "message": "Campaign is live.", "serviceId": own}
    uid = table.data("post", f"{root}/sms-sendings/simple", 201, many)
    wait_until("both sent", lambda: statuses(uid) == ["sent", "sent"], 20)
    table.watch(
        f"{root}/services", "unitPrice after a device's price changed",
        lambda: table.call("get", f"{root}/services"),
        lambda: table.raw("PUT", f"/api/devices/{agent}", {"sms_rate": 2.5}),
    )  # fmt: skip
    table.call("get", f"{root}/users/me")
    who = {"name": "Zoe", "email": "zoe@example.com", "password": "secret123", "password_confirmation": "secret123"}
    zoe = table.data("post", "/api/register", 201, who, key=None)["token"]
    table.changes.append(
        (
            f"GET {root}/users/me for another key",
            table.data("get", f"{root}/users/me")["id"],
            table.data("get", f"{root}/users/me", key=zoe)["id"],
        )
    )


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@contextmanager
def serving(directory: Path) -> Iterator[tuple[httpx.Client, SimulatorProcess, Path]]:
    """A daemon with a simulated modem and the local server, and a stand-in for Google."""
    release, port = directory / "release.json", free_port()
    modem = SimulatorProcess(directory / "modem", "--radio-time", "0.05", "--report-delay", "0.1")
    directory.mkdir(parents=True, exist_ok=True)
    with modem, _google() as google:
        upstream = {
            "type": "local", "bind": f"127.0.0.1:{port}", "api_key": KEY, "registration": "open", "sms_rate": 100,
            "credit": 10_000, "organization_credit": 10_000, "organization": "Main Organization",
            "promo_codes": ["PDAFTAR"], "google_client_id": _CLIENT, "google_tokeninfo_url": google,
            "app_release_file": str(release), "longest_event_stream_s": 0.1,
        }  # fmt: skip
        route = {"name": "sim0", "port": str(modem.ports[0]), "sim_slot": 0}
        daemon = Daemon(directory / "daemon", {"route": [route], "upstream": [upstream]})
        daemon.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                wait_until("the modem is ready", lambda: _is_ready(client), 40)
                yield client, modem, release
        finally:
            daemon.kill()


def _is_ready(client: httpx.Client) -> bool:
    try:
        rows = client.get("/api/devices", headers=_bearer(KEY)).json()["data"]
    except httpx.TransportError:
        return False
    return any(row["is_active"] for row in rows)


@contextmanager
def _google() -> Iterator[str]:
    """Google's tokeninfo endpoint as far as it matters; its address."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = parse_qs(urlsplit(self.path).query).get("id_token", [""])[0]
            claims = {
                "iss": "https://accounts.google.com", "aud": _CLIENT, "email": "ali@gmail.com",
                "email_verified": "true", "name": "Ali", "exp": str(int(time.time()) + 600),
            }  # fmt: skip
            self.send_response(200 if token == "good.id.token" else 400)
            self.end_headers()
            self.wfile.write(json.dumps(claims).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tokeninfo"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
