"""`make prove WHAT=remote`: two agents with a modem each behind a local server; the server dies, then one agent.

Server and agents are daemons of their own. First the server is killed and comes back: each message is sent once and
reported. Then one agent is killed for good: what it had not claimed goes to the other at once, what it had goes late
and flagged.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from drivers.simulator.process import SimulatorProcess
from tests.prove.figures import Figures
from tests.prove.own_server import free_port
from tests.prove.stage import Daemon, wait_until

FIRST, SECOND = 100, 200
_KEY = "key-of-the-proof-0123456789"
_ABSENT_S, _EXPIRES_S = 3, 8


class Server:
    """The local server, as an application asks it."""

    def __init__(self, directory: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        upstream = {
            "type": "local", "bind": f"127.0.0.1:{port}", "api_key": _KEY, "agent_absent_after_s": _ABSENT_S,
            "claim_expires_after_s": _EXPIRES_S,
        }  # fmt: skip
        self.daemon = Daemon(directory, {"upstream": [upstream]})

    def api(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {_KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["data"]

    def devices(self) -> dict[str, dict[str, Any]]:
        try:
            return {row["device_id"]: row for row in self.api("GET", "/api/devices")}
        except OSError:
            return {}

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = 1
        while part := self.api("GET", f"/api/sms/outbox?page={page}")["data"]:
            found += part
            page += 1
        return found

    def queue(self, device: int, texts: list[str]) -> None:
        for index, text in enumerate(texts):
            body = {"message": text, "recipient_number": f"+99890{index:07}", "device_id": device}
            self.api("POST", "/api/sms", body)

    def has_told(self, count: int) -> bool:
        try:
            return sum(row["status"] in ("sent", "delivered") for row in self.rows()) >= count
        except OSError:
            return False


def prove(directory: Path) -> Figures:
    figures = Figures("Remote agents")
    with ExitStack() as stack:
        server = Server(directory / "server")
        stack.callback(server.daemon.kill)
        server.daemon.start()
        modems, agents = [], []
        for name in ("one", "two"):
            arguments = ("--radio-time", "0.1", "--report-delay", "0.02")
            modems.append(stack.enter_context(SimulatorProcess(directory / f"modem-{name}", *arguments)))
            upstream = {
                "type": "mobsms", "base_url": server.url, "api_key": _KEY, "device_id": name, "poll_interval_s": 0.5,
                "idle_poll_interval_s": 1,
            }  # fmt: skip
            route = {"name": "sim0", "port": str(modems[-1].ports[0])}
            agents.append(Daemon(directory / f"agent-{name}", {"route": [route], "upstream": [upstream]}))
            stack.callback(agents[-1].kill)
            agents[-1].start()
        wait_until("both agents are registered", lambda: len(server.devices()) == 2, 40, 0.1)
        one, two = (server.devices()[name]["id"] for name in ("one", "two"))
        for device in (one, two):
            server.api("PUT", f"/api/devices/{device}", {"pool": "cupboard"})

        first = [f"first {index}" for index in range(FIRST)]
        server.queue(one, first)
        wait_until("some are sent", lambda: len(modems[0].events("air")) >= 20, 30)
        server.daemon.kill()
        time.sleep(2)
        server.daemon.start()
        wait_until("all are reported", lambda: server.has_told(FIRST), 90, 0.3)
        air = [event["text"] for event in modems[0].events("air") + modems[1].events("air")]
        figures.expect("server killed in between: sent once", f"{len(air)} of {FIRST}", sorted(air) == sorted(first))
        figures.expect("reported", FIRST, server.has_told(FIRST))

        second = [f"second {index}" for index in range(SECOND)]
        server.queue(one, second)
        wait_until("some are sent", lambda: len(modems[0].events("air")) >= FIRST + 20, 30)
        agents[0].kill()
        killed = time.monotonic()
        wait_until("the other agent has some", lambda: modems[1].events("air"), 30)
        figures.state("from the kill to the other agent's first message", f"{time.monotonic() - killed:.1f} s")
        figures.expect(
            "presence is shown", server.devices()["one"]["is_online"], not server.devices()["one"]["is_online"]
        )
        wait_until("all are reported", lambda: server.has_told(FIRST + SECOND), 120, 0.3)
        figures.state("from the kill until all are reported", f"{time.monotonic() - killed:.1f} s")
        sent = [[event["text"] for event in modem.events("air")] for modem in modems]
        flagged = {row["message"] for row in server.rows() if row["may_be_double"]}
        everything = sent[0] + sent[1]
        doubles = {text for text in everything if everything.count(text) > 1}
        figures.state("sent by the first, by the second", f"{len(sent[0]) - FIRST}, {len(sent[1])}")
        figures.expect("each sent", len(set(everything)), set(everything) == {*first, *second})
        figures.state("flagged as possibly sent twice", len(flagged))
        figures.expect("sent twice", len(doubles), doubles <= flagged)
    return figures


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="pb-") as directory:
        figures = prove(Path(directory))
    print("met" if figures.is_met else "MISSED")
    return 0 if figures.is_met else 1


if __name__ == "__main__":
    sys.exit(main())
