"""`make prove WHAT=remote`: two agents with a modem each behind a local server; server, network and one agent fail.

Server and agents are daemons of their own. First the server is killed and comes back, then the network is cut for a
while: each message is sent once and reported. Then one agent is killed for good: what it had not claimed goes to the
other at once, what it had goes late and flagged.
"""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from drivers.simulator.process import SimulatorProcess
from tests.prove.cable import Cable
from tests.prove.measured import Figures
from tests.prove.own_server import free_port
from tests.prove.stage import Daemon, wait_until

FIRST, CUT, SECOND = 100, 100, 200
_BEFORE = FIRST + CUT
_WAKES = 40
_CUT_S = 2
_PROMISED_WAKE_MS = 100
_KEY = "key-of-the-proof-0123456789"
# A claim outlives a start of the server and the wait of an agent until it calls again, on a busy machine too.
_ABSENT_S, _EXPIRES_S = 3, 25


class Server:
    """The local server, as an application asks it."""

    def __init__(self, directory: Path) -> None:
        self.port = port = free_port()
        self.url = f"http://127.0.0.1:{port}"
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

    def is_up(self) -> bool:
        try:
            return bool(self.api("GET", "/api/user"))
        except OSError:
            return False

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

    def wakes_ms(self, device: int, count: int) -> list[float]:
        """From the call of an application until a listening agent has its event."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", f"/api/devices/{device}/events", headers={"Authorization": f"Bearer {_KEY}"})
        stream = connection.getresponse()
        found = []
        for number in range(count + 1):
            began = time.perf_counter()
            if number:
                self.queue(device, [f"wake {number}"])
            while stream.readline().strip() != b"event: message":
                pass
            found.append(1000 * (time.perf_counter() - began))
        connection.close()
        return found[1:]

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
        wait_until("the server answers", server.is_up, 40)
        listener = server.api("POST", "/api/devices", {"device_id": "listener", "device_name": "listener"})["id"]
        wakes = sorted(server.wakes_ms(listener, _WAKES))
        median = statistics.median(wakes)
        figures.expect("wake-up by event, median ms", f"{median:.1f}", median <= _PROMISED_WAKE_MS)
        figures.state("the slowest of 40", f"{wakes[-1]:.1f}")
        cable = stack.enter_context(Cable(server.port))
        modems, agents = [], []
        for name in ("one", "two"):
            arguments = ("--radio-time", "0.1", "--report-delay", "0.02")
            modems.append(stack.enter_context(SimulatorProcess(directory / f"modem-{name}", *arguments)))
            upstream = {
                "type": "mobsms", "base_url": f"http://127.0.0.1:{cable.port}", "api_key": _KEY, "device_id": name,
                "poll_interval_s": 0.5, "idle_poll_interval_s": 1,
            }  # fmt: skip
            route = {"name": "sim0", "port": str(modems[-1].ports[0])}
            agents.append(Daemon(directory / f"agent-{name}", {"route": [route], "upstream": [upstream]}))
            stack.callback(agents[-1].kill)
            agents[-1].start()
        wait_until("both agents are registered", lambda: len(server.devices()) == 3, 40, 0.1)
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

        during = [f"cut {index}" for index in range(CUT)]
        server.queue(one, during)
        wait_until("some are sent", lambda: len(modems[0].events("air")) >= FIRST + 20, 30)
        cable.cut()
        time.sleep(_CUT_S)
        cable.mend()
        wait_until("all are reported", lambda: server.has_told(FIRST + CUT), 90, 0.3)
        before = [event["text"] for event in modems[0].events("air") + modems[1].events("air")]
        figures.expect(
            f"network cut for {_CUT_S} s in between: sent once", f"{len(before) - FIRST} of {CUT}",
            sorted(before) == sorted([*first, *during]),
        )  # fmt: skip

        second = [f"second {index}" for index in range(SECOND)]
        server.queue(one, second)
        had = len(modems[1].events("air"))
        wait_until("some are sent", lambda: len(modems[0].events("air")) >= _BEFORE + 20 - had, 30)
        agents[0].kill()
        killed = time.monotonic()
        wait_until("the other agent has some", lambda: len(modems[1].events("air")) > had, 30)
        figures.state("from the kill to the other agent's first message", f"{time.monotonic() - killed:.1f} s")
        figures.expect(
            "presence is shown", server.devices()["one"]["is_online"], not server.devices()["one"]["is_online"]
        )
        wait_until("all are reported", lambda: server.has_told(_BEFORE + SECOND), 120, 0.3)
        figures.state("from the kill until all are reported", f"{time.monotonic() - killed:.1f} s")
        sent = [[event["text"] for event in modem.events("air")] for modem in modems]
        flagged = {row["message"] for row in server.rows() if row["may_be_double"]}
        everything = sent[0] + sent[1]
        doubles = {text for text in everything if everything.count(text) > 1}
        figures.state("sent by the first, by the second", f"{len(sent[0]) - _BEFORE + had}, {len(sent[1]) - had}")
        figures.expect("each sent", len(set(everything)), set(everything) == {*first, *during, *second})
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
