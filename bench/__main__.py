"""`make bench`: phonebridge and what people would use instead, on the same simulated modem, in one run.

Rounds are interleaved, so that what else the machine does meanwhile meets all of them. Every single result goes to
`.cache/bench/results.json` at once; tables and plots are made from there (`python -m bench.report`).
"""

from __future__ import annotations

import argparse
import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import machine, peers, report, sections
from bench.measurement import Cell, matching

RESULTS = Path(__file__).resolve().parents[1] / ".cache" / "bench" / "results.json"


def main() -> None:
    """Run the sections that were asked for, and write the report."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=sections.SECTIONS, help="a section (may be repeated)")
    parser.add_argument("--match", default="", help="only measurements whose name has this in it")
    parser.add_argument("--short", action="store_true", help="fewer samples: to see whether it works")
    options = parser.parse_args()
    if find_spec("matplotlib") is None:
        # Now, and not after half an hour.
        parser.error("the plots need matplotlib: `make bench` installs it, or pip install '.[bench]'")
    peers.prepare()
    results = saved()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    for section in options.only or list(sections.SECTIONS):
        if not options.match:
            results[section] = {}
        section_began = time.monotonic()
        _measure(results, section, options, began)
        if not options.match:
            results.setdefault("took_s", {})[section] = round(time.monotonic() - section_began)
    results["is_short"] = options.short or options.rounds < 3
    results["machine"] = machine.describe()
    results["when"] = time.strftime("%Y-%m-%d")
    _save(results)
    report.write(results)
    for section, took_s in results.get("took_s", {}).items():
        print(f"{section}: {took_s / 60:.1f} min")


def saved() -> dict[str, Any]:
    """What the last runs measured."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return results


def _measure(results: dict[str, Any], section: str, options: argparse.Namespace, began: float) -> None:
    for number in range(options.rounds):
        todo = matching(sections.SECTIONS[section](short=options.short), options.match)
        todo = [one for one in todo if number < one.most_rounds]
        for place, one in enumerate(todo, start=1):
            minutes, seconds = divmod(int(time.monotonic() - began), 60)
            where = f"{section}, round {number + 1} of {options.rounds}, {place} of {len(todo)}"
            print(f"[{minutes}:{seconds:02d}] {where}: {one.name}", flush=True)
            for cell in one.run():
                print(f"  {cell.contender}: {cell.case}: {cell.result}", flush=True)
                _note(results, section, cell, is_first=number == 0)
            _save(results)


def _note(results: dict[str, Any], section: str, cell: Cell, *, is_first: bool) -> None:
    rows = results.setdefault(section, {}).setdefault(cell.contender, {})
    if is_first:
        rows[cell.case] = []
    rows.setdefault(cell.case, []).append(cell.result)


def _save(results: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
