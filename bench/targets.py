"""What the design promises, beside what was measured: met, or not and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench import report

_US = "phonebridge"
_PHONE = "phonebridge, as a MobSMS phone"


@dataclass(frozen=True, slots=True)
class Target:
    """`where` is section, contender, case and figure; `is_met` judges the median."""

    what: str
    where: tuple[str, str, str, str]
    promised: str
    is_met: Callable[[float], bool]
    form: str


def _at_least(limit: float) -> Callable[[float], bool]:
    return lambda value: value >= limit


def _at_most(limit: float) -> Callable[[float], bool]:
    return lambda value: value <= limit


_ONE = "1 modem, 1 part, reports off"
_FLEET = "16 modems, 1 part, reports off"


def _own(what: str, case: str, key: str, least: float, form: str) -> Target:
    return Target(what, ("own lines", _US, case, key), f"≥ {least:g}", _at_least(least), form)


def _most(what: str, where: tuple[str, str, str, str], most: float, form: str = "{:.2f}") -> Target:
    return Target(what, where, f"≤ {most:g}", _at_most(most), form)


TARGETS = (
    _own("utilisation, 1 s, 1 modem", f"1 s, {_ONE}", "utilisation", 0.998, "{:.4f}"),
    _own("utilisation, 0.05 s, 1 modem", f"0.05 s, {_ONE}", "utilisation", 0.97, "{:.4f}"),
    _own("utilisation, 1 s, 16 modems", f"1 s, {_FLEET}", "utilisation", 0.99, "{:.4f}"),
    _own("parts/s, one zero-latency modem", f"0 s, {_ONE}", "parts_per_s", 300, "{:.0f}"),
    _own("parts/s, sixteen of them", f"0 s, {_FLEET}", "parts_per_s", 500, "{:.0f}"),
    _most("local API → wire, median ms", ("latency", _US, "out, idle", "median_ms"), 5),
    _most("MQTT → wire, median ms", ("servers", "MQTT", "out, idle", "median_ms"), 10),
    _most("network → server, median ms", ("latency", _US, "in, idle", "median_ms"), 15),
    _most("commits per part", ("resources", _US, "commits", "per_part"), 3),
    _most("resident, one HTTPS upstream, MB", ("resources", _PHONE, "work", "resident_mb"), 50, "{:.1f}"),
    _most("resident, local server, MB", ("resources", _US, "work", "resident_mb"), 65, "{:.1f}"),
    _most("idle CPU per minute, s", ("resources", _PHONE, "idle", "cpu_s"), 0.1),
    _most("start → first submit, s", ("resources", _PHONE, "start", ""), 0.8),
    _most("first submit after unplug, s", ("recovery", "all", f"{_US}: unplug", "s"), 5),
    _most("first submit after a hang, s", ("recovery", "all", f"{_US}: hang", "s"), 5),
    _most("first submit after a reboot, s", ("recovery", "all", f"{_US}: reboot", "s"), 5),
)
GROWTH = 1.2
"""Accept, send, report, pull and first page at 1,000,000 messages against none."""

REASONS = """\
- Memory: gammu-smsd and smstools are C programs of some 10 to 15 MB; phonebridge is Python, with its journal, TLS and
  HTTP.
- Start: a C program with a spool directory is at the modem in a few hundredths of a second; phonebridge imports Python,
  opens the journal and first settles what an earlier run left in the air.
- Latency, and parts per second without radio time: python-gsmmodem-new keeps nothing, so it waits for no disk;
  phonebridge waits for the sync of its journal before the PDU leaves and before a received message is told.
- CPU per message: phonebridge writes a journal with history and reports; python-gsmmodem-new writes nothing.
"""


_BETWEEN = (
    "between two parts the outcome and the next claim are written (one transaction of 28 statements, some 50 kB) and "
    "are on the disk before the PDU leaves, which takes 2 to 3 ms; the bare line below, which writes nothing, is the "
    "most that any program could reach here"
)
WHY = {
    "utilisation": _BETWEEN,
    "parts/s": _BETWEEN,
    "local API": "HTTP, the plan and one transaction come before the prompt; its sync is the least of it",
    "network": "a webhook is a row of a queue first: two commits come before its call, and each is synced",
    "start": "Python's imports, which take the longer the more else the machine does",
}
"""Why a target is missed, by the beginning of its name."""


def rows(results: Mapping[str, Any]) -> list[tuple[str, str, str, bool | None]]:
    """What, promised, measured, and whether it is met (None: not measured)."""
    found: list[tuple[str, str, str, bool | None]] = []
    for target in TARGETS:
        section, contender, case, key = target.where
        value = report.middle(results.get(section, {}).get(contender, {}).get(case), key)
        if value is None:
            found.append((target.what, target.promised, "not measured", None))
        else:
            found.append((target.what, target.promised, target.form.format(value), target.is_met(value)))
    for operation, cases in results.get("growth", {}).items():
        ratio = report.middle(cases.get("1,000,000"), "ratio")
        if ratio is not None:
            what = f"{operation} at 1,000,000 messages, times the cost at none"
            found.append((what, f"≤ {GROWTH}", f"{ratio:.2f}", ratio <= GROWTH))
    return found


def table(results: Mapping[str, Any]) -> str:
    lines = ["| | promised | measured | |", "|---|---|---|---|"]
    words = {True: "met", False: "**missed**", None: "–"}
    found = rows(results)
    lines += [f"| {what} | {promised} | {measured} | {words[is_met]} |" for what, promised, measured, is_met in found]
    missed = [what for what, _, _, is_met in found if is_met is False]
    reasons = [f"- {name} …: {why}." for name, why in WHY.items() if any(what.startswith(name) for what in missed)]
    return "\n".join([*lines, *(["", "Why those are missed:", "", *reasons] if reasons else [])]) + "\n"
