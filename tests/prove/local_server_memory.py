"""How much memory the agent takes as its own server: modem, API, webhooks and the page in one process."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from drivers.simulator.process import SimulatorProcess
from tests.prove.measured import Figures
from tests.prove.memory import run_as_user
from tests.prove.own_server import free_port
from tests.prove.stage import Daemon, wait_until

_KEY = "local-server-key-of-the-proof-0123456789"
_BEARER = {"Authorization": f"Bearer {_KEY}"}
_PROMISED_MB = 65.0
# The short form has no time for memory to settle: it finds what grows by megabytes.
_GUARD_MB = 70.0
_AT_ONCE = 8


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """VmRSS when it has started, worked, shown its page and idled."""
    del seed
    out, inward, idle_s = (8, 4, 0.0) if short else (1000, 100, 90.0)
    with _serving(directory) as (daemon, modem, client):
        figures.state("VmRSS, MB (10^6), when it answers", f"{daemon.resident_mb():.1f}")
        with _receiver() as (address, taken):
            client.put("/api/webhooks", json={"webhook_url_status": address}).raise_for_status()
            _work(client, modem, out, inward)
            wait_until("the webhooks are called", lambda: len(taken) >= 2 * out, 120, 0.2)
            client.put("/api/webhooks", json={"webhook_url_status": None}).raise_for_status()
        figures.state(f"behind {out} out with {len(taken)} webhooks, and {inward} in", f"{daemon.resident_mb():.1f}")
        _browse(client, 1 if short else 5)
        figures.state("behind every page", f"{daemon.resident_mb():.1f}")
        _work(client, modem, out // 4, inward // 4)
        time.sleep(idle_s)
        resident = daemon.resident_mb()
        figures.expect(f"idle for {idle_s:g} s", f"{resident:.1f}", resident <= (_GUARD_MB if short else _PROMISED_MB))
        # For whoever writes a program; not what a gateway's day consists of.
        client.get("/docs").raise_for_status()
        figures.state("behind /docs", f"{daemon.resident_mb():.1f}")


@contextlib.contextmanager
def _serving(directory: Path) -> Iterator[tuple[Daemon, SimulatorProcess, httpx.Client]]:
    port = free_port()
    with SimulatorProcess(directory / "modem", "--radio-time", "0.02", "--report-delay", "0.1") as modem:
        upstream = {"type": "local", "bind": f"127.0.0.1:{port}", "api_key": _KEY}
        route = {"name": "sim0", "port": str(modem.ports[0]), "sim_slot": 0}
        daemon = Daemon(directory / "daemon", {"route": [route], "upstream": [upstream]})
        run_as_user(daemon)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, headers=_BEARER) as client:
                wait_until("the modem is ready", lambda: _is_ready(client), 40)
                yield daemon, modem, client
        finally:
            daemon.kill()


@contextlib.contextmanager
def _receiver() -> Iterator[tuple[str, list[int]]]:
    """An application's webhook: its address, and the sizes of what it took."""
    taken: list[int] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(len(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/status", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _is_ready(client: httpx.Client) -> bool:
    try:
        return any(row["is_active"] for row in client.get("/api/devices").json()["data"])
    except httpx.TransportError:
        return False


def _work(client: httpx.Client, modem: SimulatorProcess, out: int, inward: int) -> None:
    """Messages by several applications at once, answered by reports, and some that come in."""
    before = _total(client, "delivered"), _total(client, "received")

    def send(number: int) -> None:
        body = {"message": f"message {number}", "recipient_number": f"+49170{number:07d}"}
        client.post("/api/sms", json=body).raise_for_status()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(send, range(out)))
    for number in range(inward):
        modem.control.deliver(f"+49171{number:07d}", f"in {number}")
    wait_until("all is delivered", lambda: _total(client, "delivered") == before[0] + out, 180, 0.2)
    wait_until("all came in", lambda: _total(client, "received") == before[1] + inward, 60, 0.2)


def _total(client: httpx.Client, status: str) -> int:
    return int(client.get("/api/sms", params={"status": status}).json()["data"]["total"])


def _browse(client: httpx.Client, times: int) -> None:
    """A person logs in and looks at everything, several times."""
    page = client.get("/ui/login").text
    mark = re.search(r'name="csrf" value="([^"]+)"', page)
    assert mark is not None, page
    form = {"csrf": mark[1], "key": _KEY, "next": "/ui/"}
    assert client.post("/ui/login", data=form).status_code == 303
    message = client.get("/api/sms").json()["data"]["data"][0]["id"]
    paths = (
        "",
        "messages",
        "messages?q=message",
        f"messages/{message}",
        "inbox",
        "send",
        "devices",
        "keys",
        "webhooks",
    )
    for _ in range(times):
        for path in paths:
            answer = client.get(f"/ui/{path}", follow_redirects=True)
            assert answer.status_code == 200, (path, answer.status_code)
            assert "/ui/login" not in str(answer.url), path
