"""schemathesis on the generated description of a running daemon: all phases, all checks.

Where a rule beyond the schema may refuse a valid body, schemathesis.toml names the path and the rule.

Nothing is left out: event streams end by themselves, here as soon as their configuration can say.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.prove.local_server_operations import KEY, serving
from tests.prove.measured import Figures

_CONFIG = Path(__file__).parent / "schemathesis.toml"
_HEALTH = ("GET /health", "GET /3rdparty/v1/health")
_EXAMPLES = 200
# Of the whole run; the short form gets through the examples that it can in this.
_SHORT_S = 6
_SINGLE = "examples,coverage,fuzzing"
# Each takes some minutes, on a server of its own. What no other slice has is in the last; links lead from any
# operation to any other, so that they are followed over all of them.
_SLICES = {
    "sms": r"^/api/sms",
    "devices": r"^/api/(devices|webhooks)",
    "accounts": r"^/api/(?!sms|devices|webhooks)",
    "yazsana": r"^/yazsana/",
    "smsgate": r"^/3rdparty/",
}


def slices() -> dict[str, Callable[..., None]]:
    """Name → `prove` of a part; all together are everything."""
    chosen = {name: ("--include-path-regex", pattern) for name, pattern in _SLICES.items()}
    rest = [word for pattern in _SLICES.values() for word in ("--exclude-path-regex", pattern)]
    return {
        **{f"fuzz-{name}": partial(prove, phases=_SINGLE, chosen=words) for name, words in chosen.items()},
        "fuzz-rest": partial(prove, phases=_SINGLE, chosen=rest),
        "fuzz-links": partial(prove, phases="stateful"),
    }


def prove(
    directory: Path, figures: Figures, *, short: bool, seed: int, phases: str = "fuzzing", chosen: Sequence[str] = ()
) -> None:
    """Fuzz a slice, or everything; then look whether the server still lives."""
    with serving(directory) as (client, _, _):
        described = _operations(client, chosen)
        if not described:
            figures.state("operations", "none")
            return
        outcome = _run(directory, str(client.base_url), phases=phases, chosen=chosen, short=short, seed=seed)
        alive = client.get("/api/user", headers={"Authorization": f"Bearer {KEY}"}).status_code
    answers = _answers(directory / "events.ndjson")
    figures.state("requests", sum(sum(found.values()) for found in answers.values()))
    figures.expect("failures", "none" if outcome.returncode == 0 else outcome.stdout[-6000:], outcome.returncode == 0)
    # That health tells of a gateway that cannot send is its use.
    faults = sum(
        count
        for name, found in answers.items()
        for status, count in found.items()
        if status >= 500 and not (status in (500, 503) and name.startswith(_HEALTH))
    )
    figures.expect("answers with 5xx", faults, faults == 0)
    figures.expect("the server behind it", alive, alive == 200)
    if short:
        return
    if phases == _SINGLE:
        missed = sorted(described - set(answers))
        figures.expect("operations never called", missed or "none", not missed)
    for name in sorted(described & set(answers)):
        found = answers[name]
        total = sum(found.values())
        good = sum(count for status, count in found.items() if 200 <= status < 300)
        figures.state(f"{name}: share of 2xx", f"{good / total:.0%} of {total}")


def _run(
    directory: Path, address: str, *, phases: str, chosen: Sequence[str], short: bool, seed: int
) -> subprocess.CompletedProcess[str]:
    amount = ["--max-examples", str(_EXAMPLES)]
    if short:
        amount = ["--max-examples", "3", "--max-time", str(_SHORT_S), "--no-shrink"]
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(_CONFIG), "run",
        f"{address.rstrip('/')}/openapi.json", *chosen, "--phases", phases,
        "--header", f"Authorization: Bearer {KEY}", "--header", f"x-api-key: {KEY}",
        "--request-timeout", "60", "--continue-on-failure", "--seed", str(seed), "--no-color", "--warnings", "off",
        "--generation-database", "none", "--report-ndjson-path", str(directory / "events.ndjson"), *amount,
    ]  # fmt: skip
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=3600)


def _operations(client: httpx.Client, chosen: Sequence[str]) -> set[str]:
    """Those that a slice has."""
    paths = client.get("/openapi.json").json()["paths"]
    rules = list(zip(chosen[::2], chosen[1::2], strict=True))
    return {
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        if all((re.search(pattern, path) is not None) == (rule == "--include-path-regex") for rule, pattern in rules)
        for method in operations
    }


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
