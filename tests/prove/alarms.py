"""Each alert provoked once in the real daemon, and received: by a webhook, and as an SMS in the modem's log."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from agent.cli.client import connected
from tests.mobsms_server.http1 import HttpServer, Request, Response
from tests.prove.measured import Figures
from tests.prove.stage import Stage, wait_until

_OWNER = "+491700000009"
_PATIENCE_S = 30.0


class _Receiver:
    """A web server in a thread: keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.unsigned = 0
        self.port = 0
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> _Receiver:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    async def _serve(self) -> None:
        async def handle(request: Request) -> Response:
            self.unsigned += "x-phonebridge-signature" not in request.headers
            self.got.append(json.loads(request.body))
            return Response(200, b"{}")

        server = HttpServer("127.0.0.1", 0, handle)
        self.port = server.port
        await server.open()
        self._ready.set()
        await asyncio.to_thread(self._stop.wait)
        await server.close()
        server._socket.close()

    def count(self, state: str, kind: str) -> int:
        return sum(1 for one in self.got if (one["state"], one["kind"]) == (state, kind))


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """One trouble after the other; in the short form those that take no more than seconds."""
    del seed
    with Stage(directory, "--radio-time", "0.02", modems=2) as stage, _Receiver() as receiver:
        scene = _Scene(stage, receiver)
        scene.start()
        control = stage.modem.control
        if not short:
            scene.provoke("disk", lambda: scene.reload(disk_free_below_mb=1e9), scene.reload)
            scene.provoke("credit", lambda: scene.reload(credit_below=50.0), scene.reload)
            control.request("storage", modem=0, memory="ME", capacity=4)
            control.request("fault", modem=0, name="delete_fails", times=None)
            scene.provoke("storage", lambda: control.deliver("+491701234567", "stays", modem=0), scene.free_the_storage)
        control.request("registration", modem=0, state=2)
        scene.provoke("no_network", lambda: None, lambda: None, clears=False)
        scene.provoke("queue", scene.send_into_the_void, lambda: control.request("registration", modem=0, state=1))
        scene.expect("cleared", "no_network")
        scene.provoke("upstream_down", stage.server.away, stage.server.back)
        if not short:
            scene.provoke("sim_blocked", lambda: scene.sim(present=False), lambda: scene.sim(present=True))
            scene.provoke("journal", scene.lock_the_journal, lambda: None)
            scene.provoke("given_up", scene.have_a_report_refused, lambda: None, clears=False, patience_s=100)
        told_of = Counter((one["state"], one["id"]) for one in receiver.got)
        twice = {key: count for key, count in told_of.items() if count > 1}
        scene.restart()
        raised = [event for event in receiver.got if event["state"] == "raised"]
        sms = [event for event in stage.events("air") if event.get("to", event.get("recipient")) == _OWNER]
        told = scene.told()
    figures.expect("kinds provoked and received once by webhook", len(raised), {one["kind"] for one in raised} >= told)
    for kind, is_received in scene.received.items():
        figures.expect(f"{kind}: raised and received", is_received, is_received)
    figures.expect("told twice", twice or 0, not twice)
    figures.expect("calls without a signature", receiver.unsigned, receiver.unsigned == 0)
    figures.expect("SMS to the owner in the modem's log", len(sms), len(sms) >= 2)
    by = {event["modem"] for event in sms}
    figures.state("modems that they went by", sorted(by))
    figures.expect("alerts raised again by a restart", scene.storm, scene.storm == 0)


class _Scene:
    def __init__(self, stage: Stage, receiver: _Receiver) -> None:
        self._stage, self._receiver = stage, receiver
        self.received: dict[str, bool] = {}
        self.storm = 0

    def start(self) -> None:
        self._stage.server.add_device()
        self._write()
        self._stage.daemon.start()
        wait_until("both routes are ready", lambda: self._states() == ["ready", "ready"], _PATIENCE_S, 0.1)
        wait_until("the balance is known", lambda: self._status()["routes"][1]["balance"], _PATIENCE_S, 0.1)

    def provoke(self, kind: str, begin: Any, end: Any, *, clears: bool = True, patience_s: float = _PATIENCE_S) -> None:
        """Bring it about, wait for the webhook, and take it away."""
        begin()
        self.received[kind] = False
        self.expect("raised", kind, patience_s)
        self.received[kind] = True
        end()
        if clears:
            self.expect("cleared", kind)

    def expect(self, state: str, kind: str, patience_s: float = _PATIENCE_S) -> None:
        wait_until(f"{kind} {state}", lambda: self._receiver.count(state, kind), patience_s, 0.05)

    def reload(self, **alerts: Any) -> None:
        self._write(**alerts)
        self._ask("reload")

    def send_into_the_void(self) -> None:
        self._ask("send", number="+491701111111", text="waits", route="sim0")

    def free_the_storage(self) -> None:
        self._stage.modem.control.request("clear_faults", modem=0)
        self._stage.modem.control.request("storage", modem=0, memory="ME", capacity=200)
        self._stage.modem.control.request("reboot", modem=0)

    def sim(self, *, present: bool) -> None:
        self._stage.modem.control.request("sim", modem=0, present=present)
        self._stage.modem.control.request("reboot", modem=0)

    def lock_the_journal(self) -> None:
        """Another program writes to the file for longer than the journal may take to answer."""
        connection = sqlite3.connect(self._stage.daemon.state / "journal.db", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        _hold(8.0)
        connection.execute("ROLLBACK")
        connection.close()

    def have_a_report_refused(self) -> None:
        self._stage.server.fault("status", method="PUT", status=422, count=5)
        self._stage.server.enqueue(1, text="refused")

    def restart(self) -> None:
        """What stands is not told again: killed while a modem has no network, which still is so afterwards."""
        before = self._receiver.count("raised", "no_network")
        self._stage.modem.control.request("registration", modem=0, state=2)
        wait_until("told of it", lambda: self._receiver.count("raised", "no_network") > before, _PATIENCE_S, 0.05)
        known = {one["id"] for one in self._receiver.got}
        self._stage.daemon.kill()
        # As an owner has it: a start takes seconds, and those are no alert.
        self._write(no_network_after_s=60.0, sim_blocked_after_s=60.0, upstream_down_after_s=60.0)
        self._stage.daemon.start()
        wait_until("the other route is ready again", lambda: self._states()[1:] == ["ready"], _PATIENCE_S, 0.1)
        _hold(2.0)
        # A call that was answered just before the kill may be made again, with the id that a receiver knows.
        self.storm = len({one["id"] for one in self._receiver.got} - known)

    def told(self) -> set[str]:
        return {kind for kind, is_received in self.received.items() if is_received}

    def _write(self, **alerts: Any) -> None:
        stage = self._stage
        balance = {"balance_code": "*100#"}
        stage.daemon.write_config(
            {
                "agent": {"undelivered_days": 1e-6},
                "route": [
                    {"name": f"sim{number}", "port": str(port), "sim_slot": number, "sweep_interval_s": 1,
                     **(balance if number else {})}
                    for number, port in enumerate(stage.modem.ports)
                ],
                "upstream": [
                    {
                        "type": "mobsms", "base_url": stage.server.url, "api_key": stage.server.key,
                        "device_id": "phonebridge", "poll_interval_s": 0.3, "idle_poll_interval_s": 1.0,
                    }
                ],
                "alerts": {
                    "webhook": f"http://127.0.0.1:{self._receiver.port}/alarm", "sms_to": [_OWNER],
                    "notices_per_hour": 1000, "no_network_after_s": 1.0, "sim_blocked_after_s": 0.5,
                    "queue_after_s": 1.0, "upstream_down_after_s": 1.0, "storage_percent": 20.0,
                    "disk_free_below_mb": 0.0, "clear_after_s": 0.3, "check_interval_s": 0.2, **alerts,
                },
            }
        )  # fmt: skip

    def _states(self) -> list[str]:
        try:
            return [route["state"] for route in self._status()["routes"]]
        except Exception:
            return []

    def _status(self) -> Any:
        return self._ask("status")

    def _ask(self, operation: str, **fields: Any) -> Any:
        with connected(self._stage.daemon.config_path) as daemon:
            return daemon.ask(operation, **fields)


def _hold(seconds: float) -> None:
    threading.Event().wait(seconds)
