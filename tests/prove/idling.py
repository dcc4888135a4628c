"""What the daemon costs while nothing happens, and how many commits a part takes while much does."""

from __future__ import annotations

import re
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.prove.measured import Figures
from tests.prove.memory import run_as_user
from tests.prove.own_server import free_port
from tests.prove.stage import Daemon, Stage, wait_until

_MOST_COMMITS_PER_PART = 4.0
"""Accepted and claimed, sent, delivered, and the feed's cursor: fewer where parts share them."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one process since its start."""

    cpu_s: float
    switches: int
    written_bytes: int
    commits: int


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Idle for a minute with a modem, a server and the metrics address; then a load."""
    del seed
    idle_s, messages = (3.0, 40) if short else (60.0, 300)
    port = free_port()
    with Stage(directory, "--radio-time", "0.05", "--report-delay", "0.1") as stage:
        stage.server.add_device()
        stage.configure(upstream={"poll_interval_s": 2, "idle_poll_interval_s": 3 if short else 15})
        with stage.daemon.config_path.open("a") as config:
            config.write(f'\n[metrics]\nbind = "127.0.0.1:{port}"\n')
        run_as_user(stage.daemon)
        wait_until("it is ready", lambda: _is_ready(port), 30, 0.1)
        # What a start leaves to do, e.g. the first sweep and look at the device.
        time.sleep(2.0)
        before = _cost(stage.daemon, port)
        time.sleep(idle_s)
        after = _cost(stage.daemon, port)
        figures.state(f"idle for {idle_s:g} s: CPU s", f"{after.cpu_s - before.cpu_s:.2f}")
        figures.state("idle: wake-ups (voluntary switches of all threads)", after.switches - before.switches)
        written = after.written_bytes - before.written_bytes
        figures.expect("idle: bytes written to disk", written, written == 0)
        commits = after.commits - before.commits
        figures.expect("idle: commits, two scrapes included", commits, commits == 0)
        stage.server.enqueue(messages)
        stage.wait_for_states(("delivered",), messages, 60 + messages * 0.2)
        loaded = _cost(stage.daemon, port)
        per_part = (loaded.commits - after.commits) / messages
        figures.expect(
            f"commits per part, {messages} messages of one part with reports, one modem",
            f"{per_part:.2f}",
            per_part <= _MOST_COMMITS_PER_PART,
        )
        shown = _metrics(port)
        delivered = re.search(r'parts_total{outcome="delivered",route="sim0"} ([0-9.]+)', shown)
        count = float(delivered[1]) if delivered else 0.0
        figures.expect("/metrics counts every part delivered", f"{count:g}", count == messages)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def _cost(daemon: Daemon, port: int) -> _Cost:
    commits = re.search(r"^phonebridge_journal_commits_total ([0-9.]+)", _metrics(port), re.MULTILINE)
    assert commits is not None
    home = Path(f"/proc/{daemon.pid}")
    fields = (home / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    switches = sum(_number(task / "status", "voluntary_ctxt_switches") for task in (home / "task").iterdir())
    return _Cost(ticks / 100, switches, _number(home / "io", "write_bytes"), int(float(commits[1])))


def _number(file: Path, name: str) -> int:
    match = re.search(rf"^{name}:\s+([0-9]+)", file.read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1])
