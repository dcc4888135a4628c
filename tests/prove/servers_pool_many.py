"""Many gateways behind one server: throughput against the sum of the lines, and what a message costs on the way.

The gateways are whole ones, several to a process, so that a small machine can run them all at once.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from drivers.simulator.process import SimulatorProcess
from tests.accountant import Part, parts_on_air
from tests.mqtt.broker import DURABLE, Mosquitto
from tests.mqtt.person import Person
from tests.prove.figures import Figures
from tests.prove.own_server import free_port
from tests.prove.servers_pool import KEY, POOL, Api
from tests.prove.stage import ROOT, Daemon, wait_until

_PROCESSES = 2
_TARGET = 0.9
# The first are sent before every line is known, the last when most lines are done.
_STEADY = (0.05, 0.85)
_TICKS = os.sysconf("SC_CLK_TCK")


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Each message once, and the lines are busy. The two halves of the gateways differ in speed."""
    del seed
    gateways, messages, radio_s = (4, 24, (0.1, 0.2)) if short else (20, 2000, (1.2, 2.4))
    half = gateways // len(radio_s)
    lines_per_s = sum(half / seconds for seconds in radio_s)
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(directory / "broker", DURABLE))
        modems = [
            stack.enter_context(
                SimulatorProcess(directory / f"m{n}", "--radio-time", str(s), "--report-delay", "0.5", modems=half)
            )
            for n, s in enumerate(radio_s)
        ]
        ports = [port for modem in modems for port in modem.ports]
        workers = _start_gateways(stack, directory, broker, ports)
        api, server = _start_server(stack, directory, broker)
        journal = server.state / "journal.db"
        _until_joined(broker, gateways)
        pids = {"server": server.pid, "broker": broker.pid, **{f"gateways {n}": pid for n, pid in enumerate(workers)}}
        before, began = {name: _cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
        texts = [f"m {number}" for number in range(messages)]
        api.send(texts)
        figures.state("taken by the API, messages per s", f"{messages / (time.monotonic() - began):.0f}")
        wait_until("all are delivered", lambda: _delivered(journal) >= messages, 60 + 8 * messages / lines_per_s, 0.5)
        took_s = time.monotonic() - began
        air = [part for modem in modems for part in parts_on_air(modem.events())]
        _expect_each_once(figures, air, texts)
        _expect_throughput(figures, air, lines_per_s, short=short)
        figures.state("from the first POST to the last report, s", f"{took_s:.0f}")
        for name, pid in pids.items():
            spent_ms = 1000 * (_cpu_s(pid) - before[name]) / messages
            figures.state(f"{name}: CPU ms per message, resident MB", f"{spent_ms:.2f}, {_resident_mb(pid):.0f}")
        figures.state("the server's journal, octets per message", journal.stat().st_size // messages)


def _start_gateways(stack: ExitStack, directory: Path, broker: Mosquitto, ports: list[Path]) -> list[int]:
    """Returns the process ids."""
    made = [
        Daemon(
            directory / f"gate{number}",
            {
                "route": [{"name": "sim0", "port": str(port)}],
                "upstream": [{"type": "mqtt", "url": broker.url, "device_id": f"gate{number}", "pool": POOL}],
            },
        )
        for number, port in enumerate(ports)
    ]
    pids = []
    for number in range(_PROCESSES):
        paths = [str(gateway.config_path) for gateway in made[number::_PROCESSES]]
        with (directory / f"gateways{number}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.prove.pool_worker", *paths],
                cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.kill)
        pids.append(process.pid)
    return pids


def _start_server(stack: ExitStack, directory: Path, broker: Mosquitto) -> tuple[Api, Daemon]:
    port = free_port()
    server = Daemon(
        directory / "server",
        {
            "agent": {"log_level": "warning"},
            "route": [{"name": "pool", "driver": "mqtt", "url": broker.url, "pool": POOL}],
            "upstream": [{"type": "local", "bind": f"127.0.0.1:{port}", "api_key": KEY}],
        },
    )
    stack.callback(server.kill)
    server.start()
    api = stack.enter_context(closing(Api(port)))
    wait_until("the server answers", api.is_up, 60, 0.1)
    return api, server


def _until_joined(broker: Mosquitto, count: int) -> None:
    """Until each gateway has announced a line that can send."""
    with Person(broker.port, "phonebridge", name="onlooker", is_passing=True) as onlooker:

        def has_joined(number: int) -> bool:
            said = onlooker.heard(f"gate{number}/capacity")
            return bool(said and said[-1]["routes"])

        wait_until("every gateway has a line", lambda: all(map(has_joined, range(count))), 150, 0.2)


# --- figures ----------------------------------------------------------------------------------------


def _expect_each_once(figures: Figures, air: list[Part], texts: list[str]) -> None:
    times = Counter(part.text for part in air)
    lost, doubles = [text for text in texts if not times[text]], [text for text in times if times[text] > 1]
    figures.expect(f"lost, of {len(texts)}", lost[:5] or 0, not lost)
    figures.expect("on the air twice", doubles[:5] or 0, not doubles)


def _expect_throughput(figures: Figures, air: list[Part], lines_per_s: float, *, short: bool) -> None:
    ends = sorted(part.air_s for part in air)
    first, last = (int(len(ends) * share) for share in _STEADY)
    rate = (last - first) / (ends[last] - ends[first])
    told = f"{rate:.2f} per s, {100 * rate / lines_per_s:.0f} % of {lines_per_s:.2f}"
    if short:
        # A time is no matter for a test on a busy machine.
        figures.state("throughput, of the sum of the lines", told)
    else:
        figures.expect(f"throughput, of the sum of the lines (target {100 * _TARGET:.0f} %)", told,
                       rate >= _TARGET * lines_per_s)  # fmt: skip
    figures.state("from the first to the last on the air, s, and at the lines' speed",
                  f"{ends[-1] - ends[0]:.0f}, {len(ends) / lines_per_s:.0f}")  # fmt: skip


def _delivered(path: Path) -> int:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        (count,) = connection.execute("SELECT count(*) FROM message WHERE state = 'delivered'").fetchone()
    connection.close()
    return int(count)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident_mb(pid: int) -> float:
    """VmRSS in MB (10^6 octets)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0
