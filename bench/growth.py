"""What the same things cost with ever more messages in the journal, all of them asked in turns."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bench.contender import recipient, wait_until
from drivers.simulator.process import SimulatorProcess
from tests.prove import history
from tests.prove.grown import FEW, Requests, Server, Step, in_turns

SIZES = (0, 10_000, 100_000, 1_000_000)
_KEPT = Path(__file__).resolve().parents[1] / ".cache" / "bench" / "journals"
_SENDING = "send (handed over → PDU)"

Costs = dict[str, dict[str, dict[str, float]]]
"""Operation → messages in the journal → `ms`, the median, and `ratio`, the median of what it cost against the first
size in the same turn."""


def measure(rounds: int, sizes: tuple[int, ...] = SIZES) -> Costs:
    """The first of the sizes stands for a new journal. Raises: NotInTime."""
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        network = ("--radio-time", "0.01", "--no-reports")
        modem = stack.enter_context(SimulatorProcess(root / "m", *network, modems=len(sizes)))
        servers = [Server(root / str(size), str(port)) for size, port in zip(sizes, modem.ports, strict=True)]
        for server, size in zip(servers, sizes, strict=True):
            server.journal.parent.mkdir(parents=True)
            shutil.copy(history.kept(_KEPT, size or FEW), server.journal)
            stack.enter_context(server.running())
        sides = [
            {**Requests(server).steps(), _SENDING: _sending(server, modem, place)}
            for place, server in enumerate(servers)
        ]
        took = in_turns(sides, rounds)
    return {
        what: {
            f"{size:,}": {
                "ms": statistics.median(turn[place] for turn in turns),
                "ratio": statistics.median(turn[place] / turn[0] for turn in turns),
            }
            for place, size in enumerate(sizes)
        }
        for what, turns in took.items()
    }


def _sending(server: Server, modem: SimulatorProcess, place: int) -> Step:
    """From `POST /api/sms` to the PDU's last octet at the idle modem, in ms."""
    route = next(row["id"] for row in server.ask("GET", "/api/devices").json()["data"] if row["is_active"])
    sent = 0

    def send(number: int) -> float:
        nonlocal sent
        body = {"message": f"on the air {number}", "recipient_number": f"+{recipient(number)}", "device_id": route}
        handed = time.monotonic()
        server.ask("POST", "/api/sms", body)
        wait_until("the answer", lambda: len(modem.events("answer", modem=place)) > sent, 60, 0.002)
        left: float = modem.events("pdu", modem=place)[sent]["mono_s"]
        sent += 1
        # Its outcome is written by then: the next step is not to wait for that.
        time.sleep(0.02)
        return 1000 * (left - handed)

    return send
