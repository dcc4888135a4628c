"""schemathesis on the generated description of a running daemon: all phases, all checks.

Where a rule beyond the schema may refuse a valid body, schemathesis.toml names the path and the rule.

Only the endless answer of `/events` is left out, which no fuzzer can await; bad requests to it are in the tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx

from tests.prove.figures import Figures
from tests.prove.local_server_operations import KEY, serving

_CONFIG = Path(__file__).parent / "schemathesis.toml"
_LEFT_OUT = "/api/devices/{id}/events"
_EXAMPLES = 200
# Of the whole run; the short form gets through the examples that it can in this.
_SHORT_S = 6


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Fuzz everything, then look whether the server still lives."""
    with serving(directory) as (client, _, _):
        outcome = _run(directory, str(client.base_url), short=short, seed=seed)
        alive = client.get("/api/user", headers={"Authorization": f"Bearer {KEY}"}).status_code
        described = _operations(client)
    answers = _answers(directory / "events.ndjson")
    figures.state("requests", sum(sum(found.values()) for found in answers.values()))
    figures.expect("failures", "none" if outcome.returncode == 0 else outcome.stdout[-6000:], outcome.returncode == 0)
    faults = sum(count for found in answers.values() for status, count in found.items() if status >= 500)
    figures.expect("answers with 5xx", faults, faults == 0)
    figures.expect("the server behind it", alive, alive == 200)
    if short:
        return
    missed = sorted(described - set(answers) - {f"GET {_LEFT_OUT}"})
    figures.expect("operations never called", missed or "none", not missed)
    for name in sorted(described & set(answers)):
        found = answers[name]
        total = sum(found.values())
        good = sum(count for status, count in found.items() if 200 <= status < 300)
        figures.state(f"{name}: share of 2xx", f"{good / total:.0%} of {total}")


def _run(directory: Path, address: str, *, short: bool, seed: int) -> subprocess.CompletedProcess[str]:
    amount = ["--max-examples", "3", "--phases", "fuzzing", "--max-time", str(_SHORT_S), "--no-shrink"]
    if not short:
        amount = ["--max-examples", str(_EXAMPLES), "--phases", "examples,coverage,fuzzing,stateful"]
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(_CONFIG), "run",
        f"{address.rstrip('/')}/openapi.json",
        "--header", f"Authorization: Bearer {KEY}", "--header", f"x-api-key: {KEY}", "--exclude-path", _LEFT_OUT,
        "--request-timeout", "20", "--continue-on-failure", "--seed", str(seed), "--no-color", "--warnings", "off",
        "--generation-database", "none", "--report-ndjson-path", str(directory / "events.ndjson"), *amount,
    ]  # fmt: skip
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=7200)


def _operations(client: httpx.Client) -> set[str]:
    paths = client.get("/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}


def _answers(report: Path) -> dict[str, Counter[int]]:
    """Operation → status → how often."""
    found: dict[str, Counter[int]] = defaultdict(Counter)
    with report.open() as lines:
        for line in lines:
            scenario: dict[str, Any] = json.loads(line).get("ScenarioFinished") or {}
            recorder = scenario.get("recorder") or {}
            for case_id, case in (recorder.get("cases") or {}).items():
                response = (recorder.get("interactions") or {}).get(case_id, {}).get("response")
                if response is not None:
                    value = case["value"]
                    found[f"{value['method']} {value['path']}"][int(response["status_code"])] += 1
    return dict(found)
