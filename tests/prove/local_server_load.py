"""Many senders at once, and a journal with a long history: nothing is lost, and history costs nothing.

`load`: 500 senders for 60 s. `million`: the same server with 1,000,000 messages in its journal beside one with
a few pages of them; whatever is compared is asked of both in turns, so that other work on the machine falls on both.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from drivers.simulator.process import SimulatorProcess
from tests.prove import history
from tests.prove.measured import Figures
from tests.prove.own_server import free_port
from tests.prove.senders import Sent, send
from tests.prove.stage import Daemon, wait_until

_KEY = "local-server-key-of-the-proof-0123456789"
_PROMISED_RATIO = 1.2
_FEW = 500


def prove_load(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Every accepted message is in the journal once, and no answer is an error."""
    del seed
    senders, seconds = (20, 0.5) if short else (500, 60.0)
    with SimulatorProcess(directory / "modem", "--radio-time", "1") as modem:
        own = _Server(directory / "server", str(modem.ports[0]))
        with own.running():
            sent = asyncio.run(send(own.port, _KEY, senders, seconds, "load"))
            figures.state(f"{senders} senders for {seconds:g} s: accepted", len(sent.accepted))
            figures.state("accepted per second", f"{len(sent.accepted) / seconds:.0f}")
            figures.state("POST /api/sms, ms: median", f"{sent.quantile_ms(0.5):.0f}")
            figures.state("p99", f"{sent.quantile_ms(0.99):.0f}")
            figures.expect("errors", sent.errors[:3] or "none", not sent.errors and bool(sent.accepted))
        _expect_once(figures, own, sent)


def prove_million(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """p99 under load, and the median of each kind of request, with a history and without."""
    del seed
    count, senders, rounds = (2_000, 10, 1) if short else (1_000_000, 500, 120)
    turns_s = [0.1] if short else [6.0] * 6
    with SimulatorProcess(directory / "modem", "--radio-time", "1", modems=2) as modem:
        young, old = (_Server(directory / name, str(port)) for name, port in zip("yo", modem.ports, strict=True))
        # So that a page has as many rows as the other's.
        history.fill(young.journal, _FEW, int(time.time() * 1000))
        began = time.monotonic()
        history.fill(old.journal, count, int(time.time() * 1000))
        figures.state(f"filling a journal with {count:,} messages, s", f"{time.monotonic() - began:.0f}")
        figures.state("its file, MB", f"{old.journal.stat().st_size / 1e6:.0f}")
        with young.running(), old.running():
            total = old.total()
            figures.expect("messages that the server counts", f"{total:,}", total == count)
            ratios = _compare_requests(young, old, rounds)
            sent = _compare_load(young, old, senders, turns_s)
        for what, found in ratios.items():
            _expect_ratio(figures, f"{what}, median ms", *found, is_short=short)
        without, with_history = (one.quantile_ms(0.99) for one in sent)
        what = f"POST /api/sms by {senders} at once, p99 ms"
        _expect_ratio(figures, what, without, with_history, with_history / without, is_short=short)
        errors = [error for one in sent for error in one.errors]
        figures.expect("errors", errors[:3] or "none", not errors)
        _expect_once(figures, old, sent[1])


class _Server:
    """A daemon with a modem and the local server; its journal outlives it."""

    def __init__(self, directory: Path, modem: str) -> None:
        self.port = free_port()
        self._daemon = Daemon(
            directory,
            {
                "route": [{"name": "sim0", "port": modem, "sim_slot": 0}],
                "upstream": [{"type": "local", "bind": f"127.0.0.1:{self.port}", "api_key": _KEY}],
            },
        )
        self.journal = self._daemon.state / "journal.db"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """`client` is for as long as it runs."""
        self._daemon.start()
        headers = {"Authorization": f"Bearer {_KEY}"}
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, headers=headers) as self.client:
                wait_until("the modem is ready", self._is_ready, 60)
                yield
        finally:
            self._daemon.stop()

    def total(self) -> int:
        return int(self.client.get("/api/sms").json()["data"]["total"])

    def log_in(self) -> None:
        mark = re.search(r'name="csrf" value="([^"]+)"', self.client.get("/ui/login").text)
        assert mark is not None
        assert self.client.post("/ui/login", data={"csrf": mark[1], "key": _KEY}).status_code == 303

    def _is_ready(self) -> bool:
        try:
            return any(row["is_active"] for row in self.client.get("/api/devices").json()["data"])
        except httpx.TransportError:
            return False


def _compare_load(young: _Server, old: _Server, senders: int, turns_s: list[float]) -> list[Sent]:
    """Turns of both, the first of each in turn."""
    sums = [Sent(), Sent()]
    for turn, seconds in enumerate(turns_s):
        for side in (turn % 2, 1 - turn % 2):
            server = (young, old)[side]
            sums[side].add(asyncio.run(send(server.port, _KEY, senders, seconds, f"turn {turn} {side}")))
    return sums


def _compare_requests(young: _Server, old: _Server, rounds: int) -> dict[str, tuple[float, float, float]]:
    """What a remote agent and a person do: kind of request → median ms of both, and the median of the ratios of two
    that were asked right after each other."""
    took: dict[str, list[tuple[float, float]]] = {}
    work = [_Round(server) for server in (young, old)]
    for number in range(rounds + 1):
        for position, what in enumerate(_Round.STEPS):
            pair = [0.0, 0.0]
            for side in (number % 2, 1 - number % 2):
                act = work[side].step(position, number)
                began = time.perf_counter()
                act()
                pair[side] = 1000 * (time.perf_counter() - began)
            # The first time templates are compiled and pages of the file are read.
            if number:
                took.setdefault(what, []).append((pair[0], pair[1]))
    return {
        what: (
            statistics.median(pair[0] for pair in pairs),
            statistics.median(pair[1] for pair in pairs),
            statistics.median(pair[1] / pair[0] for pair in pairs),
        )
        for what, pairs in took.items()
    }


class _Round:
    """The requests of one round on one server, for a remote agent of its own."""

    STEPS = (
        "accept", "pull", "report sent", "report delivered", "hand in", "first page of the API", "pending of nobody",
        "inbox", "statistics", "account", "page: overview", "page: messages", "page: search a number",
    )  # fmt: skip

    def __init__(self, server: _Server) -> None:
        self._server = server
        server.log_in()
        body = {"device_id": "agent", "device_name": "agent"}
        self._device = server.client.post("/api/devices", json=body).json()["data"]["id"]
        self._message = 0

    def step(self, position: int, number: int) -> Callable[[], None]:
        body = {"message": f"hello {number}", "recipient_number": f"+49172{number:07d}", "device_id": self._device}
        pending = {"direction": "outbound", "status": "pending", "device_id": self._device}
        inbound = {"message_id": f"in-{number}", "sender_number": f"+49173{number:07d}", "message": "in"}
        calls: dict[str, Callable[[], None]] = {
            "accept": lambda: self._accept(body),
            "pull": lambda: self._get("/api/sms", **pending),
            "report sent": lambda: self._report("sent"),
            "report delivered": lambda: self._report("delivered"),
            "hand in": lambda: self._ask("POST", "/api/sms/inbound", inbound),
            "first page of the API": lambda: self._get("/api/sms"),
            "pending of nobody": lambda: self._get("/api/sms", status="pending"),
            "inbox": lambda: self._get("/api/sms/inbox"),
            "statistics": lambda: self._get("/api/sms/delivery-stats"),
            "account": lambda: self._get("/api/account"),
            "page: overview": lambda: self._get("/ui/"),
            "page: messages": lambda: self._get("/ui/messages"),
            "page: search a number": lambda: self._get("/ui/messages", q=f"+49172{number:07d}"),
        }
        return calls[self.STEPS[position]]

    def _accept(self, body: object) -> None:
        self._message = self._ask("POST", "/api/sms", body).json()["data"]["id"]

    def _report(self, status: str) -> None:
        said = self._ask("PUT", f"/api/sms/{self._message}", {"status": status}).json()["data"]["status"]
        assert said == status, said

    def _get(self, path: str, **query: object) -> None:
        answer = self._server.client.get(path, params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])

    def _ask(self, method: str, path: str, body: object) -> httpx.Response:
        answer = self._server.client.request(method, path, json=body)
        assert answer.is_success, (path, answer.status_code, answer.text[:300])
        return answer


def _expect_ratio(
    figures: Figures, what: str, without: float, with_history: float, ratio: float, *, is_short: bool
) -> None:
    """The short form has no time to measure; it shows that all can be asked."""
    measured = f"{without:.1f} → {with_history:.1f}, ratio {ratio:.2f}"
    if is_short:
        figures.state(what, measured)
    else:
        figures.expect(what, measured, ratio <= _PROMISED_RATIO)


def _expect_once(figures: Figures, server: _Server, sent: Sent) -> None:
    """Counted in the journal's file, once the daemon has ended."""
    connection = sqlite3.connect(f"file:{server.journal}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT id, text FROM message WHERE text LIKE 'load %' OR text LIKE 'turn %'")
        found = dict(rows.fetchall())
    finally:
        connection.close()
    lost = sent.accepted.keys() - found.keys()
    texts = set(found.values())
    figures.expect("accepted and not in the journal", len(lost), not lost)
    figures.expect("twice in the journal", len(found) - len(texts), len(found) == len(texts))
    changed = sum(found[key] != text for key, text in sent.accepted.items() if key in found)
    figures.expect("with another text", changed, changed == 0)
    unasked = found.keys() - sent.accepted.keys()
    figures.expect("in the journal and not answered", len(unasked), not unasked)
