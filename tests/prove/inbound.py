"""Inbound of several parts becomes one message upstream, once, whatever the order and whatever the power does."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from tests.prove.measured import Figures
from tests.prove.runner import side_by_side
from tests.prove.stage import Stage, wait_until

_LONG = "Dies ist eine lange Antwort, die in drei Teilen ankommt: äöüß. " * 7
_FROM = "+491701234567"


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Out of order with a duplicate and a status report between; then killed between read and delete."""
    del short, seed
    points = ("before_read:1", "before_cmgd:1", "before_cmgd:2", "after_cmgd:2")
    killed = [partial(_killed, directory / point.replace(":", "-"), figures, point) for point in points]
    side_by_side([partial(_scrambled, directory / "scrambled", figures), *killed])


def _scrambled(directory: Path, figures: Figures) -> None:
    with Stage(directory, "--radio-time", "0.1", "--report-delay", "0.15") as stage:
        _account_with_hook(stage)
        stage.server.enqueue(1)
        stage.configure()
        stage.daemon.start()
        stage.wait_for_states(("sent", "delivered"), 1, 30)
        ids = stage.modem.control.request(
            "deliver", **{"from": _FROM, "text": _LONG, "parts_order": [3, 1, 2], "duplicate": True}
        )
        stage.server.enqueue(1)
        stage.wait_for_states(("delivered",), 2, 30)
        hooks = _incoming(stage, 1)
        wait_until("the modem is empty", lambda: _stored(stage) == 0, 60)
        figures.expect(
            "3 parts out of order, one twice, a report between: incoming at the server",
            f"{len(hooks)} (parts on the way {len(ids['inbound'])})",
            Counter(hook["message"] for hook in hooks) == Counter([_LONG]),
        )


def _killed(directory: Path, figures: Figures, point: str) -> None:
    with Stage(directory, "--radio-time", "0.1") as stage:
        _account_with_hook(stage)
        stage.configure()
        stage.daemon.start(point)
        # After the first sweep it is the indications that lead to a read.
        wait_until("the route is ready", lambda: "state=ready" in stage.daemon.log(), 60)
        time.sleep(0.3)
        stage.modem.control.deliver(_FROM, _LONG)
        wait_until(f"killed at {point}", stage.daemon.is_dead, 60)
        stage.daemon.start()
        hooks = _incoming(stage, 1)
        wait_until("the modem is empty", lambda: _stored(stage) == 0, 60)
        hooks = _incoming(stage, 1)
        figures.expect(
            f"3 parts, killed at {point}: incoming at the server, once",
            len({hook["message_id"] for hook in hooks}),
            Counter(hook["message"] for hook in hooks if hook["message"] == _LONG).total() >= 1
            and len({hook["message_id"] for hook in hooks}) == 1,
        )


def _account_with_hook(stage: Stage) -> None:
    stage.server.add_device()
    stage.server.set_account(webhook_url_incoming=stage.server.hook_url)


def _incoming(stage: Stage, count: int) -> list[dict[str, Any]]:
    def found() -> list[dict[str, Any]]:
        data = [hook["body"]["data"] for hook in stage.server.hooks() if hook["body"].get("event") == "incoming"]
        return data if len(data) >= count else []

    result: list[dict[str, Any]] = wait_until(f"{count} incoming at the server", found, 60, 0.1)
    return result


def _stored(stage: Stage) -> int:
    records = stage.events("stored", "delete")
    return sum(1 if record["event"] == "stored" else -1 for record in records)
