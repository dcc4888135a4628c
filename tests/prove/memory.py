"""How much memory and time the agent takes with one HTTPS upstream."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.mobsms_server.process import make_certificates
from tests.prove.measured import Figures
from tests.prove.stage import ROOT, Daemon, Stage, wait_until

_PROMISED_MB = 50.0


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """VmRSS after work, an outage and idling; import time; start to first submit."""
    del seed
    out, inward, outage_s, idle_s = (40, 6, 1.0, 1.0) if short else (1000, 100, 30.0, 600.0)
    directory.mkdir(parents=True, exist_ok=True)
    certificates = make_certificates(directory)
    with Stage(directory, "--radio-time", "0.02", "--report-delay", "0.1", certificates=certificates) as stage:
        stage.server.add_device()
        stage.server.set_account(webhook_url_incoming=stage.server.hook_url)
        stage.configure()
        stage.server.enqueue(1)
        started = time.time()
        run_as_user(stage.daemon)
        wait_until("the first PDU", lambda: stage.events("pdu"), 30, 0.002)
        figures.state("start to first submit, s", f"{stage.events('pdu')[0]['at_ms'] / 1000 - started:.2f}")
        stage.server.enqueue(out // 2)
        for number in range(inward):
            stage.modem.control.deliver(f"+49170{number:07d}", f"in {number}")
        stage.wait_for_states(("delivered",), out // 2, 120)
        stage.server.away(outage_s)
        time.sleep(outage_s + 1)
        stage.server.enqueue(out - out // 2 - 1)
        stage.wait_for_states(("delivered",), out, 240)
        time.sleep(idle_s)
        resident = stage.daemon.resident_mb()
        figures.expect(
            f"VmRSS after {out} out, {inward} in, an outage of {outage_s:g} s and {idle_s:g} s idle, MB (10^6)",
            f"{resident:.1f}",
            resident <= _PROMISED_MB,
        )
    times = 1 if short else 5
    figures.state(f"import time of `phonebridge run`, s (median of {times})", f"{_import_s(times):.3f}")


def run_as_user(daemon: Daemon) -> None:
    """Start it through the command itself, since that keeps libraries of the CLI out of the process, and with the
    environment of the service."""
    lines = (ROOT / "systemd" / "phonebridge.service").read_text().splitlines()
    given = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    program = Path(sys.executable).with_name("phonebridge")
    with daemon.log_path.open("ab") as log:
        daemon.process = subprocess.Popen(
            [str(program), "run", "-c", str(daemon.config_path)],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=daemon.directory,
            # With the system's certificates, as on a user's box, which the suite otherwise saves.
            env={
                **{name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"},
                **dict(one.split("=", 1) for one in given),
            },
        )


def _import_s(times: int) -> float:
    code = (
        "import time; t = time.perf_counter()\n"
        "from agent.cli import run\n"
        "run.slim_imports()\n"
        "from agent import config, daemon, logs\n"
        "from agent.upstreams import mobsms\n"
        "from drivers.at import driver\n"
        "print(time.perf_counter() - t)"
    )
    found = sorted(
        float(
            subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=dict(os.environ)
            ).stdout
        )
        for _ in range(times)
    )
    return found[times // 2]
