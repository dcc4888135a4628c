"""A pool of gateways behind one server and a real mosquitto: gateways killed in the middle, and many gateways.

Server and gateways are real daemons; the account is taken from the modems' logs alone.
"""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.simulator.process import SimulatorProcess
from tests.accountant import parts_on_air
from tests.mqtt.broker import DURABLE, Mosquitto
from tests.prove.figures import Figures
from tests.prove.own_server import free_port
from tests.prove.stage import Daemon, wait_until

KEY = "key-of-the-proof-0123456789"
POOL = "prove"
_FINAL = ("delivered", "failed")
# The last of what each gateway has in advance is no matter of shares.
_SHARE_SLACK = 0.08


class Api:
    """The server as an application asks it, by one connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        assert answer.status < 300, text[:300]
        return json.loads(text)["data"]

    def close(self) -> None:
        self._connection.close()

    def is_up(self) -> bool:
        try:
            return bool(self.ask("GET", "/api/user"))
        except (OSError, http.client.HTTPException):
            return False

    def send(self, texts: Sequence[str]) -> None:
        for index, text in enumerate(texts):
            self.ask("POST", "/api/sms", {"message": text, "recipient_number": f"+49171{index:07d}"})

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = 1
        while part := self.ask("GET", f"/api/sms/outbox?page={page}")["data"]:
            found += part
            page += 1
        return found


@dataclass(slots=True)
class Pool:
    """Broker, server, and gateways with a modem each."""

    broker: Mosquitto
    server: Daemon
    api: Api
    gateways: list[Daemon]
    modems: list[SimulatorProcess]

    def sent(self) -> list[Counter[str]]:
        """For each gateway, how often each text was on the air."""
        return [Counter(part.text for part in parts_on_air(modem.events())) for modem in self.modems]

    def count(self) -> int:
        return sum(sum(air.values()) for air in self.sent())


@contextmanager
def _pool(directory: Path, radio_s: Sequence[float], **route: Any) -> Iterator[Pool]:
    """A gateway for each radio time."""
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(directory / "broker", DURABLE))
        port = free_port()
        server = Daemon(
            directory / "server",
            {
                "agent": {"unknown_wait_s": 5},
                "route": [{"name": "pool", "driver": "mqtt", "url": broker.url, "pool": POOL, **route}],
                "upstream": [{"type": "local", "bind": f"127.0.0.1:{port}", "api_key": KEY}],
            },
        )
        gateways, modems = [], []
        for number, radio in enumerate(radio_s):
            arguments = ("--radio-time", str(radio), "--report-delay", "0.2")
            modems.append(stack.enter_context(SimulatorProcess(directory / f"m{number}", *arguments)))
            upstream = {"type": "mqtt", "url": broker.url, "device_id": f"gate{number}", "pool": POOL}
            gateways.append(
                Daemon(
                    directory / f"gate{number}",
                    {
                        "agent": {"unknown_wait_s": 2},
                        "route": [{"name": "sim0", "port": str(modems[-1].ports[0])}],
                        "upstream": [upstream],
                    },
                )
            )
        for daemon in (server, *gateways):
            stack.callback(daemon.kill)
            daemon.start()
        api = stack.enter_context(closing(Api(port)))
        wait_until("the server answers", api.is_up, 60)
        yield Pool(broker, server, api, gateways, modems)


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Shares follow the lines; one gateway is killed and comes back, one is killed for good."""
    del seed
    radio_s = (0.1, 0.2) if short else (0.5, 1.0, 2.0)
    first, second = (16, 16) if short else (200, 250)
    keys = {"ask_back_after_s": 1.0 if short else 4.0, "give_up_after_s": 3.0 if short else 20.0, "ahead_s": 5.0}
    with _pool(directory, radio_s, **keys) as pool:
        # Each line is measured by its first message, and nobody is ahead by having been started sooner.
        wait_until("every gateway is known", lambda: _lines(pool, len(radio_s)), 60, 0.2)
        pool.api.send([f"first {number}" for number in range(first)])
        wait_until("all are on the air", lambda: pool.count() >= first, 60 + first, 0.2)
        if not short:
            _expect_shares(figures, pool, radio_s, first)
        pool.api.send([f"second {number}" for number in range(second)])
        wait_until("it is under way", lambda: pool.count() >= first + second // 5, 120, 0.05)
        pool.gateways[0].kill()
        killed = time.monotonic()
        time.sleep(0.5 if short else 8.0)
        pool.gateways[0].start()
        wait_until("it is half done", lambda: pool.count() >= first + second // 2, 120, 0.05)
        pool.gateways[-1].kill()
        wait_until("every message has ended", lambda: _ended(pool, first + second), 240, 0.5)
        figures.state("from the first kill until all had ended, s", f"{time.monotonic() - killed:.0f}")
        _expect_account(figures, pool, [f"first {n}" for n in range(first)] + [f"second {n}" for n in range(second)])


def _lines(pool: Pool, count: int) -> bool:
    """Whether each gateway has joined: the server's own log says what its route is."""
    return len([gateway for gateway in pool.gateways if "broker_connected" in gateway.log()]) == count


def _expect_shares(figures: Figures, pool: Pool, radio_s: Sequence[float], count: int) -> None:
    sent = [sum(air.values()) for air in pool.sent()]
    speed = [1 / seconds for seconds in radio_s]
    for number, share in enumerate(speed):
        wanted, had = share / sum(speed), sent[number] / count
        figures.expect(
            f"share of the gateway with {radio_s[number]} s per SMS (its line's share {wanted:.2f})", f"{had:.2f}",
            abs(had - wanted) <= _SHARE_SLACK,
        )  # fmt: skip


def _unreported(pool: Pool) -> set[str]:
    """What the gateway that is dead for good had on the air: nobody is left to tell that it was delivered."""
    return set(pool.sent()[-1])


def _ended(pool: Pool, count: int) -> bool:
    known = _unreported(pool)
    rows = pool.api.rows()
    ended = [row["status"] in _FINAL or (row["status"] == "sent" and row["message"] in known) for row in rows]
    return pool.api.ask("GET", "/api/sms/outbox?page=1")["total"] >= count and sum(ended) >= count


def _expect_account(figures: Figures, pool: Pool, texts: list[str]) -> None:
    rows = pool.api.rows()
    air: Counter[str] = Counter()
    for one in pool.sent():
        air += one
    flagged = {row["message"] for row in rows if row.get("may_be_double")}
    lost = [text for text in texts if not air[text]]
    figures.expect(f"lost, of {len(texts)}", lost[:5] or 0, not lost)
    doubles = [text for text, times in air.items() if times > 1]
    unflagged = [text for text in doubles if text not in flagged]
    figures.expect("on the air twice", f"{len(doubles)}, of which not flagged {len(unflagged)}", not unflagged)
    figures.state("flagged as maybe double", len(flagged))
    figures.state("on the air by each gateway", [sum(one.values()) for one in pool.sent()])
    words = Counter(row["status"] for row in rows)
    known = _unreported(pool)
    figures.expect(
        "final statuses (sent: by the gateway that is dead, which tells no more)", dict(words),
        len(rows) == len(texts)
        and all(row["status"] == "delivered" or (row["status"] == "sent" and row["message"] in known) for row in rows),
    )  # fmt: skip
