"""`docs/benchmarks.md` and its plots from the results of a run. `python -m bench.report` writes them again."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import plots, targets

DOCS = Path(__file__).resolve().parents[1] / "docs"
Results = Mapping[str, Any]

_INTRODUCTION = """\
# Benchmarks

Made by `make bench`; figures of one run on one machine. All programs drive the same emulated modem on a pty (no UART
and no USB latency), one after the other in interleaved rounds; everything is timed from outside, by the modem's own
log. What is nearly all waiting (programs that poll, an idle minute, the time after a fault) is measured side by side,
once. Medians, with the range of the rounds in brackets. What could not be measured in time says so.

gammu-smsd and smstools are Debian's packages: *default* as shipped plus paths; *tuned* and *fastest* with every setting
that makes them faster (`bench/peers.py`); *spinning* never sleeps, and burns a core. python-gsmmodem-new is a library
with a minimal program around it that keeps nothing on disk. phonebridge and smstools keep every message on disk;
phonebridge alone syncs it to the disk before the modem is told to send. *The bare line* is no gateway: a loop that
writes the command, waits for the prompt and writes a PDU (`bench/bare_program.py`), which is as much as the emulated
modem and this machine allow.
"""


def write(results: Results) -> None:
    """Raises: OSError."""
    sections = [_INTRODUCTION, _machine(results)]
    for title, text in (
        ("Promised and measured", targets.table(results)),
        ("The line: one modem, single parts, no reports", _lines(results)),
        ("The line: phonebridge alone", _own_lines(results)),
        ("Latency", _latency(results)),
        ("Resources", _resources(results)),
        ("After a fault", _recovery(results)),
        ("A journal that has grown", _growth(results)),
        ("By other servers", _servers(results)),
        ("Where others are better", targets.REASONS),
    ):
        if text:
            sections += [f"## {title}\n", text]
    (DOCS / "benchmarks.md").write_text("\n".join(sections).rstrip() + "\n")
    plots.draw(results, DOCS / "benchmarks")


def middle(rows: Any, key: str) -> float | None:
    """The median over the rounds, None where no round came to an end."""
    values = values_of(rows, key)
    return statistics.median(values) if values else None


def values_of(rows: Any, key: str) -> list[float]:
    found = []
    for row in rows or []:
        value = row.get(key) if isinstance(row, dict) else row
        if isinstance(value, (int, float)):
            found.append(float(value))
    return found


def _machine(results: Results) -> str:
    facts = [f"{name}: {value}" for name, value in results.get("machine", {}).items()]
    short = (
        "**A short run, with few samples: to see that it works, not to judge by.** " if results.get("is_short") else ""
    )
    took = sum(results.get("took_s", {}).values()) / 60
    return f"{short}Run of {results.get('when', '–')}, {took:.0f} minutes. " + "; ".join(facts) + ".\n"


def _cell(rows: Any, key: str, form: str = "{:.1f}", scale: float = 1.0) -> str:
    values = [value * scale for value in values_of(rows, key)]
    if not values:
        return "not in time" if rows else "–"
    text = form.format(statistics.median(values))
    if len(values) > 1 and min(values) != max(values):
        text += f" ({form.format(min(values))}–{form.format(max(values))})"
    return text


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _lines(results: Results) -> str:
    found = results.get("lines", {})
    if not found:
        return ""
    rows = [
        [
            name,
            _cell(cases.get("0 s"), "parts_per_s"),
            _cell(cases.get("0.05 s"), "utilisation", "{:.1f} %", 100),
            _cell(cases.get("1 s"), "utilisation", "{:.2f} %", 100),
            _cell(cases.get("16 modems, 1 s"), "utilisation", "{:.2f} %", 100),
            _cell(cases.get("0.05 s"), "cpu_s_per_1000", "{:.1f}"),
        ]
        for name, cases in found.items()
    ]
    head = ["", "parts/s, radio time 0", "utilisation, 0.05 s", "1 s", "16 modems, 1 s", "CPU s per 1,000 (0.05 s)"]
    return _table(head, rows) + "\n![Utilisation of the line](benchmarks/line.svg)\n"


def _own_lines(results: Results) -> str:
    found = results.get("own lines", {}).get("phonebridge", {})
    rows = [
        [
            case,
            _cell(rounds, "parts_per_s"),
            "–" if case.startswith("0 s") else _cell(rounds, "utilisation", "{:.2f} %", 100),
            _cell(rounds, "cpu_s_per_1000"),
        ]
        for case, rounds in found.items()
    ]
    return _table(["", "parts/s", "utilisation", "CPU s per 1,000 parts"], rows) if rows else ""


def _latency(results: Results) -> str:
    found = results.get("latency", {})
    rows = []
    for name, cases in found.items():
        row = [name]
        for case in ("out, idle", "out, 80 % load", "in, idle"):
            row.append(_pair(cases.get(case)))
        rows.append(row)
    if not rows:
        return ""
    head = ["ms, median / 95 %", "handed over → PDU, idle", "the same, 80 % load", "network → user, idle"]
    return _table(head, rows) + (
        "\nUnder load it is the time beyond what any program must wait for the line. `phonebridge` is the local API "
        "(`POST /api/sms`, out) and its webhook (in).\n"
        "\n![Latency](benchmarks/latency.svg)\n"
    )


def _pair(rounds: Any) -> str:
    pair = [_cell(rounds, key) for key in ("median_ms", "p95_ms")]
    return "–" if pair[0] == "–" else " / ".join(pair)


def _resources(results: Results) -> str:
    found = results.get("resources", {})
    rows = [
        [
            name,
            _cell(cases.get("work"), "resident_mb"),
            _cell(cases.get("work"), "cpu_s_per_1000", "{:.1f}"),
            _cell(cases.get("work"), "written_octets_per_part", "{:,.0f}"),
            _cell(cases.get("idle"), "cpu_s", "{:.2f}"),
            _cell(cases.get("idle"), "wake_ups", "{:,.0f}"),
            _cell(cases.get("idle"), "written_octets", "{:,.0f}"),
            _cell(cases.get("start"), "", "{:.2f}"),
        ]
        for name, cases in found.items()
    ]
    head = [
        "", "resident after work, MB", "CPU s per 1,000 parts", "octets written per part", "idle minute: CPU s",
        "wake-ups", "octets written", "start → first submit, s",
    ]  # fmt: skip
    if not rows:
        return ""
    counted = found.get("phonebridge", {}).get("commits")
    return _table(head, rows) + (
        f"\nphonebridge commits {_cell(counted, 'per_part', '{:.2f}')} times per part with a status report for each, "
        f"and {_cell(counted, 'idle_per_min', '{:.0f}')} times in an idle minute. What others write without syncing it "
        "counts once the kernel has written it out.\n"
    )


def _recovery(results: Results) -> str:
    found = results.get("recovery", {}).get("all", {})
    by_name: dict[str, dict[str, Any]] = {}
    for case, rounds in found.items():
        name, _, fault = case.rpartition(": ")
        by_name.setdefault(name, {})[fault] = rounds
    rows = [
        [name, *(_cell(faults.get(fault), "s", "{:.1f}") for fault in ("unplug", "hang", "reboot"))]
        for name, faults in by_name.items()
    ]
    head = ["s until it sends again", "unplugged for 10 s", "silent for 60 s", "rebooted"]
    text = (
        "\nThe modem falls silent at a command. Inside a submit, a program that does not want to send twice has to "
        "wait for the maker's own limit of `+CMGS` first: 120 to 180 s for most.\n\n"
        "![After a fault](benchmarks/recovery.svg)\n"
    )
    return _table(head, rows) + text if rows else ""


def _growth(results: Results) -> str:
    found = results.get("growth", {})
    if not found:
        return ""
    sizes = sorted({size for cases in found.values() for size in cases}, key=lambda size: int(size.replace(",", "")))
    rows = [
        [
            name,
            *(_cell(cases.get(size), "ms", "{:.2f}") for size in sizes),
            _cell(cases.get(sizes[-1]), "ratio", "{:.2f}"),
        ]
        for name, cases in found.items()
    ]
    return _table(["ms, median", *(f"{size} messages" for size in sizes), "last ÷ first"], rows) + (
        "\nAsked of all of them in turns, on the same machine at the same time; *last ÷ first* is the median over the "
        "turns. *0* is a journal with a few pages of messages, so that a page has as many rows as the others'.\n"
    )


def _servers(results: Results) -> str:
    found = results.get("servers", {})
    fsync = found.get("one write and fsync", {}).get("4 KiB")
    rows = [
        [words, *(_pair(cases.get(case)) for case in ("out, idle", "out, 80 % load", "in, idle"))]
        for words, cases in (
            ("its own server (`POST /api/sms`, webhook)", results.get("latency", {}).get("phonebridge")),
            ("MQTT", found.get("MQTT")),
            ("SMSGate, by its stream of events", found.get("SSE")),
            ("MobSMS, by polling", found.get("polling")),
        )
        if cases
    ]
    if not rows:
        return ""
    head = ["ms, median / 95 %", "server has it → PDU, idle", "the same, 80 % load", "network → server, idle"]
    return _table(head, rows) + (
        f"\nOne write and fsync of 4 KiB between them took {_cell(fsync, '', '{:.2f}')} ms; on the way out the journal "
        "syncs once before the PDU; on the way in once before the server is told, and once more for a webhook, whose "
        "call is journalled too. MobSMS has no way to tell that a "
        "message waits: it is asked every 2 s while work comes and every 15 s else. An SMSGate server is told by this "
        "gateway's call of the account's webhook, which is what its applications hear.\n"
    )


if __name__ == "__main__":
    from bench.__main__ import saved

    write(saved())
