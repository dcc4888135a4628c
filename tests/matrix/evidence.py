"""What the simulator's log and the journal say of one case: fired in flight, lost, doubled. Reads, and asks nobody."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

Event = dict[str, Any]


def fired_in_flight(events: Iterable[Event], names: Iterable[str]) -> dict[str, int]:
    """How often each fault fired while a part was between +CMGS and its end, or an inbound SMS was not yet deleted."""
    found = dict.fromkeys(names, 0)
    submits: set[int] = set()
    inbound: set[int] = set()
    for event in events:
        match event["event"]:
            case "submit_begin":
                submits.add(event["submit"])
            case "answer" | "abort":
                submits.discard(event["submit"])
            case "inbound":
                inbound.add(event["inbound"])
            case "delete" if event["done"]:
                inbound.discard(event["inbound"])
            case "deliver" if event["how"] == "cmt":
                inbound.discard(event["inbound"])
            case "fault" if event["name"] in found:
                is_about_one = event.get("submit") is not None or event.get("inbound") is not None
                found[event["name"]] += bool(is_about_one or submits or inbound)
    return found


def aired(events: Iterable[Event]) -> dict[str, Counter[int]]:
    """Per recipient, how often each part was on the air."""
    parts: dict[str, Counter[int]] = defaultdict(Counter)
    for event in events:
        if event["event"] == "air":
            parts[event["to"]][event["seq"]] += 1
    return parts


def faults_of_outbound(parts: Mapping[str, Counter[int]], expected: Mapping[str, int], flagged: set[str]) -> list[str]:
    """Sentences about what was lost or sent twice without a flag; `expected` is parts per recipient."""
    problems = []
    for recipient, total in expected.items():
        missing = [sequence for sequence in range(1, total + 1) if not parts.get(recipient, Counter())[sequence]]
        if missing:
            problems.append(f"lost: {recipient} part {missing}")
        again = {sequence: count for sequence, count in parts.get(recipient, Counter()).items() if count > 1}
        if again and recipient not in flagged:
            problems.append(f"twice, unflagged: {recipient} {again}")
    strangers = set(parts) - set(expected)
    if strangers:
        problems.append(f"sent to strangers: {sorted(strangers)}")
    return problems


def faults_of_sims(events: Iterable[Event], expected: Mapping[str, int]) -> list[str]:
    """Sentences about what went by the other SIM of the modem; `expected` is the place of the SIM per recipient."""
    slot, wrong = 0, []
    for event in events:
        if event["event"] == "slot":
            slot = event["slot"]
        elif event["event"] == "air" and expected.get(event["to"]) != slot:
            wrong.append(event["to"])
    return [f"by the wrong SIM: {wrong}"] if wrong else []


def faults_of_inbound(texts: Iterable[str], expected: Iterable[str]) -> list[str]:
    """Sentences about what was lost, came twice, or was never sent."""
    found, wanted = Counter(texts), Counter(expected)
    lost, strange = wanted - found, found - wanted
    problems = [f"inbound lost: {lost.total()}, e.g. {_first(lost)}"] if lost else []
    problems += [f"inbound twice or strange: {strange.total()}, e.g. {_first(strange)}"] if strange else []
    return problems


def _first(texts: Counter[str]) -> str:
    return repr(next(iter(texts))[:20])
