"""The demo, whole: the steps, the curl line really run, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from agent.cli import stage

DEMO = [sys.executable, "-m", "agent.cli", "demo"]
STEPS = ["ready", "accepted", "on the wire", "sent", "delivered", "reply"]


def test_once_shows_every_step_and_ends(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--once", "--json"],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["step"] for step in steps] == STEPS
    assert re.fullmatch("[0-9A-F]{20,}", steps[2]["tpdu"])
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
    assert list(tmp_path.iterdir()) == []


def test_the_curl_line_works_as_it_stands_and_ctrl_c_ends_it_all(tmp_path: Path) -> None:
    with _running(tmp_path) as (process, lines):
        shown = "".join(_until(lines, "Ctrl-C ends it all"))
        assert [name for name in STEPS if f"  {name} " not in shown] == []
        assert "ssh -L " in shown
        curl = next(line for line in shown.splitlines() if line.lstrip().startswith("curl"))
        sent = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, check=True, timeout=20)
        assert json.loads(sent.stdout)["success"] is True
        look = next(line for line in shown.splitlines() if " messages --full " in line)
        # Only asked for its help: a test's folder is too deep for the path of a control socket.
        program = look.split(" messages ")[0].strip()
        assert subprocess.run(["sh", "-c", f"{program} messages --help"], capture_output=True, check=True).stdout
        process.send_signal(signal.SIGINT)
        # A daemon or modem that is slow to stop is ended by force after 10 s each.
        assert process.wait(45) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken, ExitStack() as first, ExitStack() as second:
        taken.bind((stage.HOST, 0))
        taken.listen()
        monkeypatch.setattr(stage, "_FIRST_PORT", taken.getsockname()[1])
        found = stage.free_port(first)
        assert found > taken.getsockname()[1]
        assert stage.free_port(second) > found, "two demos that start at once"


@contextmanager
def _running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    # SIGINT as in a terminal: whoever runs the tests in the background has them ignore it.
    process = subprocess.Popen(
        ["env", "--default-signal=INT", *DEMO], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(folder)}, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process, iter(process.stdout)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(15)
        process.stdout.close()


def _until(lines: Iterator[str], words: str) -> list[str]:
    seen = []
    for line in lines:
        seen.append(line)
        if words in line:
            break
    return seen
