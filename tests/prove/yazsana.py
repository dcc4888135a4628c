"""`make prove WHAT=yazsana`: modems unplugged in mid-queue, the rest goes by HTTP, credit and refunds add up.

Daemon, simulator and Yazsana server are three processes; the figures come from the logs of the latter two. The daemon
is killed once while the service is being asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

from drivers.simulator.process import SimulatorProcess
from tests.prove.measured import Figures
from tests.prove.own_server import free_port
from tests.prove.stage import ROOT, Daemon, wait_until
from tests.yazsana.server import KEY, ORG

COUNT = 60
FAILING = 5
_API_KEY = "key-of-the-proof-0123456789"
_START_CREDIT = Decimal(100)


class Service:
    """The seed's server as a process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.yazsana.server"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def control(self, **values: Any) -> dict[str, Any]:
        body = json.dumps(values).encode() if values else None
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_control", body), timeout=10) as answer:
            state: dict[str, Any] = json.load(answer)
        return state

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def prove(directory: Path) -> Figures:
    figures = Figures("Yazsana beside a modem")
    with ExitStack() as stack:
        modem = stack.enter_context(SimulatorProcess(directory / "modem"))
        service = Service()
        stack.callback(service.stop)
        numbers = [f"+90555{index:07}" for index in range(COUNT)]
        failing = {numbers[-1 - index].removeprefix("+"): ["pending", "not_sent"] for index in range(FAILING)}
        service.control(org_credit=str(_START_CREDIT), course=failing, default_course=["pending", "waiting", "sent"])
        port = free_port()
        daemon = Daemon(
            directory / "daemon",
            {
                "agent": {"unknown_wait_s": 2},
                "route": [
                    {"name": "sim0", "port": str(modem.ports[0]), "fallback": "bob", "fallback_after_s": 1},
                    {
                        "name": "bob", "driver": "yazsana", "base_url": service.url, "api_key": KEY, "org_id": ORG,
                        "service": "BobSMS", "poll_first_s": 0.2, "poll_longest_s": 2,
                    },
                ],
                "upstream": [{"type": "local", "bind": f"127.0.0.1:{port}", "api_key": _API_KEY}],
            },
        )  # fmt: skip
        stack.callback(daemon.kill)
        daemon.start()

        def api(method: str, path: str, body: Any = None) -> Any:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}{path}", method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Authorization": f"Bearer {_API_KEY}", "Content-Type": "application/json"},
            )  # fmt: skip
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)["data"]

        def is_up() -> bool:
            try:
                rows = api("GET", "/api/devices")
            except OSError:
                return False
            return len(rows) == 2 and all(row["is_active"] for row in rows)

        wait_until("gateway, modem and service are ready", is_up, 30, 0.1)
        for index, number in enumerate(numbers):
            api("POST", "/api/sms", {"message": f"message {index}", "recipient_number": number})
        wait_until("the modem has sent some", lambda: len(modem.events("air")) >= 5, 30)
        modem.stop()
        unplugged = time.monotonic()
        wait_until("the service has some", lambda: len(service.control()["sendings"]) >= 5, 90, 0.05)
        figures.state("from the unplugging to the first messages by HTTP", f"{time.monotonic() - unplugged:.1f} s")
        daemon.kill()
        daemon.start()

        def rows() -> list[Any]:
            found, page = [], 1
            while part := api("GET", f"/api/sms/outbox?page={page}")["data"]:
                found += part
                page += 1
            return found

        def waits(at_most: int) -> bool:
            try:
                states = [row["status"] for row in rows()]
            except OSError:
                return False
            is_failed = states.count("failed") == FAILING
            return is_failed and states.count("pending") <= at_most and len(states) == COUNT

        # One may have been in the air when the modem went: only its SIM can say what became of it.
        wait_until("all but one have their end", lambda: waits(1), 90, 0.3)
        figures.state("from the unplugging to the end of the rest", f"{time.monotonic() - unplugged:.1f} s")
        figures.state("left for the SIM to settle", sum(row["status"] == "pending" for row in rows()))
        modem.start()
        wait_until("every message has its end", lambda: waits(0), 60, 0.3)
        air = [event["text"] for event in modem.events("air")]
        state = service.control()
        posted = [item["message"] for sending in state["sendings"] for item in sending["items"]]
        refunded = sum(item["refunded"] for sending in state["sendings"] for item in sending["items"])
        flagged = [row["message"] for row in rows() if row["may_be_double"]]
        once = sorted(air + posted) == sorted(f"message {index}" for index in range(COUNT))
        figures.state("by the modem, by the service", f"{len(air)}, {len(posted)}")
        doubles = sorted({text for text in air + posted if (air + posted).count(text) > 1})
        figures.expect("each message sent", len(set(air + posted)), len(set(air + posted)) == COUNT)
        figures.expect("sent twice and not flagged", len(set(doubles) - set(flagged)), set(doubles) <= set(flagged))
        figures.state("sent exactly once", once)
        figures.expect("refunds", refunded, refunded == FAILING)
        credit = _START_CREDIT - len(posted) + refunded
        figures.expect("credit left", state["org_credit"], Decimal(state["org_credit"]) == credit)
    return figures


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="pb-") as directory:
        figures = prove(Path(directory))
    print("met" if figures.is_met else "MISSED")
    return 0 if figures.is_met else 1


if __name__ == "__main__":
    sys.exit(main())
