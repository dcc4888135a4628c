"""`make bench`: phonebridge and what people would use instead, on the same simulated modem, in one run.

Rounds are interleaved, so that what else the machine does meanwhile meets all of them. Every single result goes to
`.cache/bench/results.json` at once; tables and plots are made from there (`python -m bench.report`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from bench import machine, report, sections
from bench.contender import NotInTime
from bench.sections import Measurement

RESULTS = Path(__file__).resolve().parents[1] / ".cache" / "bench" / "results.json"


def main() -> None:
    """Run the sections that were asked for, and write the report."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=sections.SECTIONS, help="a section (may be repeated)")
    parser.add_argument("--match", default="", help="only measurements whose name has this in it")
    parser.add_argument("--short", action="store_true", help="fewer samples: to see whether it works")
    options = parser.parse_args()
    results = saved()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    for section in options.only or list(sections.SECTIONS):
        make = sections.SECTIONS[section]
        if not options.match:
            results[section] = {}
        for number in range(options.rounds):
            for one in _matching(make(short=options.short), options.match):
                if number >= one.most_rounds:
                    continue
                print(
                    f"{section}, round {number + 1} of {min(options.rounds, one.most_rounds)}: {one.name}", flush=True
                )
                _note(results, section, one, _run(one.measure), is_first=number == 0)
                RESULTS.write_text(json.dumps(results, indent=1))
    results["machine"] = machine.describe()
    results["when"] = time.strftime("%Y-%m-%d")
    RESULTS.write_text(json.dumps(results, indent=1))
    report.write(results)


def saved() -> dict[str, Any]:
    """What the last runs measured."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return results


def _matching(measurements: Iterator[Measurement], match: str) -> Iterator[Measurement]:
    return (one for one in measurements if match in one.name)


def _run(measure: Callable[[], Any]) -> Any:
    """What was measured as JSON; a sentence where it did not come to an end."""
    try:
        result = measure()
    except NotInTime as error:
        print(f"  {error}", flush=True)
        return {"failed": str(error)}
    if is_dataclass(result) and not isinstance(result, type):
        result = asdict(result)
    print(f"  {result}", flush=True)
    return result


def _note(results: dict[str, Any], section: str, one: Measurement, result: Any, *, is_first: bool) -> None:
    rows = results.setdefault(section, {}).setdefault(one.contender, {})
    if is_first:
        rows[one.case] = []
    if isinstance(result, dict) and all(isinstance(value, dict) for value in result.values()) and result:
        # Several cases that were measured side by side.
        rows.pop(one.case, None)
        for case, value in result.items():
            rows[case] = [value] if is_first else [*rows.get(case, []), value]
    else:
        rows[one.case].append(result)


if __name__ == "__main__":
    main()
