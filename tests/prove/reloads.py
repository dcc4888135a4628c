"""Reload under load: good and bad configurations while messages go out and come in; nothing is lost or sent twice."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
from pathlib import Path
from typing import Any

from tests.prove.measured import Figures
from tests.prove.stage import Stage, wait_until

_RADIO_S = 0.15
_BAD = (
    ("[agent\n", "is not valid TOML"),
    ("[agent]\nlog_levle = 'info'\n", 'did you mean "log_level"?'),
    ("[[upstream]]\ntype = 'mobsms'\napi_key_file = '/nowhere/key'\n", "cannot be read"),
    ("[[route]]\nname = 'a'\nport = '/dev/x'\n[[route]]\nname = 'a'\nport = '/dev/y'\n", 'two routes are called "a"'),
)


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Every other reload is a bad one; some are asked for by SIGHUP, the others over the control socket."""
    random.seed(seed)
    messages, reloads = (20, 4) if short else (200, 20)
    radio = ("--radio-time", str(_RADIO_S), "--report-delay", "0.3")
    with Stage(directory, *radio, modems=3) as stage:
        stage.server.add_device()
        stage.server.set_account(webhook_url_incoming=stage.server.hook_url)
        good = itertools.cycle(_variants(stage))
        _write(stage, next(good))
        stage.server.enqueue(messages, text="reloaded {n}")
        stage.daemon.start()
        ask = _Ask(stage)
        wait_until("the first message is on its way", lambda: stage.events("submit_begin"), 60)
        wrong, refused, by_signal = [], 0, 0
        for number in range(reloads):
            is_bad = number % 2 == 1
            if is_bad:
                text, sentence = _BAD[(number // 2) % len(_BAD)]
                stage.daemon.config_path.write_text(text)
            else:
                _write(stage, next(good))
            stage.modem.control.deliver(f"+4917012345{number:02}", f"inbound {number}", modem=number % 2)
            if number % 3 == 0:
                by_signal += 1
                error = ask.by_signal()
            else:
                error = ask.by_socket()
            refused += error is not None
            if is_bad != (error is not None) or (is_bad and sentence not in str(error)):
                wrong.append(f"{number}: {error}")
        # What the SIM of a route that was taken out still holds, a report perhaps, is read when the route is back.
        _write(stage, _variants(stage)[2])
        wrong += [f"the last: {error}"] if (error := ask.by_socket()) is not None else []
        figures.state("reloads", f"{reloads + 1}, {by_signal} of them by SIGHUP, {refused} refused with their sentence")
        figures.expect("reloads with another outcome than they should have", wrong or 0, not wrong)
        done = len([row for row in stage.server.messages() if row["status"] == "delivered"])
        figures.state("messages delivered when the last reload ended", f"{done} of {messages}")
        stage.wait_for_states(("delivered",), messages, 120 + messages * _RADIO_S)
        wait_until("inbound at the server", lambda: len(stage.server.hooks()) >= reloads, 120)
        account = stage.account()
        code = stage.daemon.stop()
        log = stage.daemon.log()
    figures.expect(
        "messages lost or incomplete", len(account.lost) + len(account.incomplete), account.messages == messages
    )
    figures.expect("parts sent twice", len(account.doubled), not account.doubled)
    inbound = account.inbound
    figures.expect("inbound missing or twice", len(inbound.missing) + len(inbound.doubled), inbound.arrived == reloads)
    figures.expect("outcomes left unknown by a reload", log.count("unknown_outcome"), "unknown_outcome" not in log)
    figures.expect("the account: what is not as it should be", account.faults() or 0, account.is_clean)
    figures.expect("exit code at the end", code, code == 0)


def _variants(stage: Stage) -> list[dict[str, Any]]:
    """What a person changes: a route's key, a route more, a route less, the server's."""
    sim0, sim1, sim2 = ({"name": f"sim{number}", "port": str(port)} for number, port in enumerate(stage.modem.ports))
    server = {
        "type": "mobsms", "base_url": stage.server.url, "api_key": stage.server.key, "device_id": "phonebridge",
        "poll_interval_s": 0.3, "idle_poll_interval_s": 1.0, "sim_choice": "any",
    }  # fmt: skip
    return [
        {"route": [sim0, sim1], "upstream": [server]},
        {"route": [{**sim0, "sweep_interval_s": 30}, sim1], "upstream": [server]},
        {"route": [sim0, sim1, sim2], "upstream": [server]},
        {"route": [sim0, sim1], "upstream": [{**server, "concurrency": 2}]},
        {"agent": {"unknown_wait_s": 60}, "route": [sim1, sim0], "upstream": [server]},
    ]


def _write(stage: Stage, config: dict[str, Any]) -> None:
    stage.daemon.write_config(config)


class _Ask:
    """Asks for a reload, and tells its sentence where it was refused."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def by_socket(self) -> str | None:
        answer = self._call("reload")
        return None if answer["ok"] else str(answer["error"])

    def by_signal(self) -> str | None:
        before = self._call("status")["result"]["reload"]
        os.kill(self._stage.daemon.pid, signal.SIGHUP)

        def ended() -> Any:
            now = self._call("status")["result"]["reload"]
            return now if now != before else None

        error = wait_until("the reload has ended", ended, 60)["error"]
        return None if error is None else str(error)

    def _call(self, operation: str) -> dict[str, Any]:
        path = self._stage.daemon.state / "control.sock"
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(90)
            link.connect(str(path if path.exists() else "/run/phonebridge/control.sock"))
            request = {"op": operation, "state_dir": str(self._stage.daemon.state)}
            link.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(link.makefile("rb").readline())
        return answer
