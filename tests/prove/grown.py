"""Servers with more and with less behind them, asked for the same things in turns.

What is compared is asked of all of them right after each other, so that other work on the machine falls on all.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from tests.prove.own_server import free_port
from tests.prove.stage import Daemon, wait_until

KEY = "local-server-key-of-the-proof-0123456789"
FEW = 500
"""Messages in a journal that counts as new: so that a page of it has as many rows as another's."""

# Or the year that history.py writes would be deleted meanwhile, a hundred rows with each commit.
_FOR_EVER = {f"{kind}_days": 0 for kind in ("sent", "failed", "inbound", "attempts", "events", "hooks", "requests")}

Step = Callable[[int], float | None]
"""One thing that is done, for the n-th time: how many ms that took where it says so, else the time of the call."""


class Server:
    """A daemon with a modem and the local server; its journal outlives it."""

    def __init__(self, directory: Path, modem: str) -> None:
        self.port = free_port()
        self._daemon = Daemon(
            directory,
            {
                "retention": _FOR_EVER,
                "route": [{"name": "sim0", "port": modem, "sim_slot": 0}],
                "upstream": [{"type": "local", "bind": f"127.0.0.1:{self.port}", "api_key": KEY}],
            },
        )
        self.journal = self._daemon.state / "journal.db"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """`client` is for as long as it runs."""
        self._daemon.start()
        headers = {"Authorization": f"Bearer {KEY}"}
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, headers=headers) as self.client:
                wait_until("the modem is ready", self._is_ready, 60)
                yield
        finally:
            self._daemon.stop()

    def total(self) -> int:
        """How many messages it counts."""
        return int(self.client.get("/api/sms").json()["data"]["total"])

    def ask(self, method: str, path: str, body: object = None, **query: str) -> httpx.Response:
        """Raises: AssertionError where it is refused."""
        answer = self.client.request(method, path, json=body, params=query)
        assert answer.is_success, (path, answer.status_code, answer.text[:300])
        return answer

    def log_in(self) -> None:
        """For the pages below /ui/."""
        mark = re.search(r'name="csrf" value="([^"]+)"', self.client.get("/ui/login").text)
        assert mark is not None
        assert self.client.post("/ui/login", data={"csrf": mark[1], "key": KEY}).status_code == 303

    def _is_ready(self) -> bool:
        try:
            return any(row["is_active"] for row in self.client.get("/api/devices").json()["data"])
        except httpx.TransportError:
            return False


class Requests:
    """What a person and a remote agent of its own ask of one server; `steps` in the order of a message's life."""

    def __init__(self, server: Server) -> None:
        self._server = server
        server.log_in()
        body = {"device_id": "agent", "device_name": "agent"}
        self._device = server.ask("POST", "/api/devices", body).json()["data"]["id"]
        self._message = 0

    def steps(self) -> dict[str, Step]:
        pending = {"direction": "outbound", "status": "pending", "device_id": str(self._device)}
        return {
            "accept": self._accept,
            "pull": self._get("/api/sms", **pending),
            "report sent": lambda _: self._report("sent"),
            "report delivered": lambda _: self._report("delivered"),
            "hand in": self._hand_in,
            "first page of the API": self._get("/api/sms"),
            "pending of nobody": self._get("/api/sms", status="pending"),
            "inbox": self._get("/api/sms/inbox"),
            "statistics": self._get("/api/sms/delivery-stats"),
            "account": self._get("/api/account"),
            "page: overview": self._get("/ui/"),
            "page: messages": self._get("/ui/messages"),
            "page: search a number": self._search,
        }

    def _get(self, path: str, **query: str) -> Step:
        def get(_: int) -> None:
            self._server.ask("GET", path, **query)

        return get

    def _accept(self, number: int) -> None:
        body = {"message": f"hello {number}", "recipient_number": f"+49172{number:07d}", "device_id": self._device}
        self._message = self._server.ask("POST", "/api/sms", body).json()["data"]["id"]

    def _report(self, status: str) -> None:
        said = self._server.ask("PUT", f"/api/sms/{self._message}", {"status": status}).json()["data"]["status"]
        assert said == status, said

    def _hand_in(self, number: int) -> None:
        inbound = {"message_id": f"in-{number}", "sender_number": f"+49173{number:07d}", "message": "in"}
        self._server.ask("POST", "/api/sms/inbound", inbound)

    def _search(self, number: int) -> None:
        self._server.ask("GET", "/ui/messages", q=f"+49172{number:07d}")


def in_turns(sides: Sequence[Mapping[str, Step]], rounds: int) -> dict[str, list[tuple[float, ...]]]:
    """Each step at all sides, `rounds` times: kind of step → ms of all sides, round by round."""
    took: dict[str, list[tuple[float, ...]]] = {}
    for number in range(rounds + 1):
        first = number % len(sides)
        for what in sides[0]:
            ms = [0.0] * len(sides)
            for side in (*range(first, len(sides)), *range(first)):
                began = time.perf_counter()
                own = sides[side][what](number)
                ms[side] = 1000 * (time.perf_counter() - began) if own is None else own
            # The first time templates are compiled and pages of the file are read.
            if number:
                took.setdefault(what, []).append(tuple(ms))
    return took
