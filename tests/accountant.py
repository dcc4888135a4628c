"""Counts what really happened, from the modem simulator's log and the MobSMS server's dump or log alone.

It must not know the gateway: neither its code nor its journal. `python -m tests.accountant --help`.

A part is one TPDU that was on the air; parts join to a message by modem, recipient and concatenation
reference. Instants are CLOCK_MONOTONIC seconds (`_s`) or UTC milliseconds (`_ms`), as both logs write them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.mobsms_server.dump import content_of, handed_in, read_server, same_number
from tests.mobsms_server.record import read_lines
from tests.on_air import AirMessage, Modem, Part, gaps, join, parts_on_air

_RANK = {"pending": 0, "sent": 1, "failed": 2, "delivered": 3}  # a late delivery after a failure is right
FINAL = ("delivered", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Doubled:
    """A part that went out more often than messages asked for it; `repeats` are the parts beyond that."""

    recipient: str
    sequence: int
    total: int
    text: str
    allowed: int
    repeats: tuple[Part, ...]
    was_reported_before: bool  # the modem held a report of an earlier copy when a repeat began


@dataclass(slots=True)
class Inbound:
    """How often each received text reached the server. Numbers are messages, not parts."""

    expected: int = 0
    arrived: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)
    doubled: list[tuple[str, str]] = field(default_factory=list)  # under a second message_id
    unexpected: list[tuple[str, str]] = field(default_factory=list)
    repeated: int = 0  # sent again under the same message_id, after the server had answered 2xx
    changed: list[str] = field(default_factory=list)  # message_ids that came with two different contents


@dataclass(slots=True)
class Account:
    """All counts of one run. `is_clean` is what a run without faults must be."""

    parts: int = 0
    messages: int = 0
    per_modem: dict[str, int] = field(default_factory=dict)
    lost: list[tuple[str, str]] = field(default_factory=list)
    doubled: list[Doubled] = field(default_factory=list)
    incomplete: list[tuple[str, str]] = field(default_factory=list)
    unexpected: list[tuple[str, str]] = field(default_factory=list)
    unreported: list[int] = field(default_factory=list)
    wrong_order: list[int] = field(default_factory=list)  # ids whose reports went backwards
    premature: list[int] = field(default_factory=list)  # ids reported sent before the last part was out
    repeated_reports: int = 0
    without_sent: int = 0  # delivered straight from pending: merged, not wrong
    statuses: dict[str, int] = field(default_factory=dict)
    out_of_turn: int = 0  # neighbours on one modem that went out against the server's order
    interleaved: int = 0  # parts of one message that another message came between
    shortest_gap_s: float | None = None
    inbound: Inbound = field(default_factory=Inbound)
    violations: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        return not self.faults()

    def faults(self) -> dict[str, Any]:
        """By name, what a run without faults has none of."""
        outward = (
            "lost",
            "doubled",
            "incomplete",
            "unexpected",
            "unreported",
            "wrong_order",
            "premature",
            "violations",
        )
        inward = ("missing", "doubled", "unexpected", "changed")
        found = {name: getattr(self, name) for name in outward}
        found |= {f"inbound {name}": getattr(self.inbound, name) for name in inward}
        return {name: value for name, value in found.items() if value}


def find_lost(owed: Iterable[dict[str, Any]], air: Iterable[AirMessage]) -> list[tuple[str, str]]:
    """(recipient, text) of messages that should be on the air and are not, once for each missing."""
    wanted = Counter(content_of(row) for row in owed)
    copies: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    totals: dict[tuple[str, str], int] = {}
    for message in air:
        if message.is_complete:
            content = (message.recipient, message.text)
            totals[content] = message.total
            copies[content].update(part.sequence for part in message.parts)
    lost = []
    for content, count in wanted.items():
        places = range(1, totals.get(content, 0) + 1)
        whole = min((copies[content][place] for place in places), default=0)
        lost += [content] * max(0, count - whole)
    return lost


def find_doubled(rows: Iterable[dict[str, Any]], parts: Iterable[Part]) -> list[Doubled]:
    """Parts on the air more often than the server's messages call for, whatever their reference."""
    wanted: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        recipient, text = content_of(row)
        wanted[recipient][text] += 1
    groups: dict[tuple[str, int, int, str], list[Part]] = defaultdict(list)
    for part in sorted(parts, key=lambda part: part.air_s):
        groups[part.key].append(part)
    doubled = []
    for group in groups.values():
        first = group[0]
        allowed = max(1, sum(n for text, n in wanted[first.recipient].items() if _holds(text, first)))
        if len(group) > allowed:
            repeats = tuple(group[allowed:])
            was_reported = any(
                earlier.reported_s is not None and earlier.reported_s < repeat.began_s
                for repeat in repeats
                for earlier in group
                if earlier.air_s < repeat.air_s
            )
            doubled.append(
                Doubled(first.recipient, first.sequence, first.total, first.text, allowed, repeats, was_reported)
            )
    return doubled


def count_out_of_turn(rows: Sequence[dict[str, Any]], air: Iterable[AirMessage]) -> int:
    """Neighbours on one modem whose rows the server holds in the other order (by creation, then id)."""
    ordered = sorted(rows, key=lambda row: (row["created_at"], row["id"]))
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, row in enumerate(ordered):
        places[content_of(row)].append(place)
    per_modem: dict[Modem, list[int]] = defaultdict(list)
    for message in sorted(air, key=lambda message: message.first_s):
        known = places.get((message.recipient, message.text))
        if known:  # a repeat of the last one that is known keeps its place
            place = known.pop(0) if len(known) > 1 else known[0]
            per_modem[message.modem].append(place)
    return sum(later < earlier for turn in per_modem.values() for earlier, later in pairwise(turn))


def count_interleaved(parts: Iterable[Part]) -> int:
    """Parts of a multi-part message that did not directly follow their forerunner on the same modem."""
    last: dict[Modem, Part] = {}
    seen: set[tuple[Modem, str, int | None, int]] = set()
    count = 0
    for part in sorted(parts, key=lambda part: part.air_s):
        key = (part.modem, part.recipient, part.reference, part.total)
        before = last.get(part.modem)
        if part.total > 1 and key in seen and before is not None:
            count += (before.recipient, before.reference, before.total) != key[1:]
        seen.add(key)
        last[part.modem] = part
    return count


def is_wrong_order(reports: Sequence[dict[str, Any]]) -> bool:
    """Whether a message's reported states go backwards, such as sent after delivered."""
    ranks = [_RANK[report["status"]] for report in reports if report["status"] in _RANK]
    return any(later < earlier for earlier, later in pairwise(ranks))


def count_inbound(logs: Iterable[Iterable[dict[str, Any]]], server: dict[str, Any]) -> Inbound:
    """What the network sent (`inbound` lines) against what the server was given, by webhook or as a row."""
    expected = sum((_inbound_of_log(records) for records in logs), Counter[tuple[str, str]]())
    contents: dict[str, tuple[str, str]] = {}
    answered: set[str] = set()
    result = Inbound(expected=sum(expected.values()))
    for message_id, content, was_answered in handed_in(server):
        result.repeated += message_id in answered
        if contents.setdefault(message_id, content) != content:
            result.changed.append(message_id)
        if was_answered:
            answered.add(message_id)
    arrived = Counter(contents.values())
    result.arrived = sum(arrived.values())
    result.missing = list((expected - arrived).elements())
    for content in (arrived - expected).elements():
        (result.doubled if content in expected else result.unexpected).append(content)
    return result


def take_account(
    logs: dict[str, list[dict[str, Any]]], server: dict[str, Any], *, final: Sequence[str] = FINAL
) -> Account:
    """All counts. `final`: the states in which a message counts as reported to its end."""
    parts = [part for name, records in logs.items() for part in parts_on_air(records, name)]
    records = [record for lines in logs.values() for record in lines]
    air = join(parts)
    rows = [row for row in server["messages"] if row["direction"] == "outbound"]
    owed = [row for row in rows if not row["deleted"] and row["status"] not in ("failed", "cancelled")]
    known = {content_of(row) for row in rows}
    account = Account(parts=len(parts), messages=len(air))
    account.per_modem = dict(Counter(f"{name}#{number}" for name, number in (m.modem for m in air)))
    account.lost = find_lost(owed, air)
    account.doubled = find_doubled(rows, parts)
    account.incomplete = [(m.recipient, m.text) for m in air if not m.is_complete]
    account.unexpected = [(m.recipient, m.text) for m in air if m.is_complete and (m.recipient, m.text) not in known]
    account.unreported = [row["id"] for row in rows if not row["deleted"] and row["status"] not in final]
    account.statuses = dict(Counter(row["status"] for row in rows if not row["deleted"]))
    _count_reports(account, rows, air)
    account.out_of_turn = count_out_of_turn(rows, air)
    account.interleaved = count_interleaved(parts)
    account.shortest_gap_s = min(gaps(air), default=None)
    account.inbound = count_inbound(logs.values(), server)
    account.violations = dict(Counter(r["kind"] for r in records if r["event"] == "violation"))
    return account


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; 1 where the account is not clean, 0 where it is."""
    parser = argparse.ArgumentParser("tests.accountant", description="Counts what was sent, from outside.")
    parser.add_argument("--air", nargs="+", type=Path, required=True, help="logs of the modem simulator")
    parser.add_argument("--server", type=Path, required=True, help="the MobSMS server's dump, or its log")
    parser.add_argument("--final", nargs="+", default=FINAL, help="states that end a message")
    parser.add_argument("--json", action="store_true", help="everything, as one JSON document")
    given = parser.parse_args(arguments)
    logs = {str(path): list(read_lines(path)) for path in given.air}
    account = take_account(logs, read_server(given.server), final=given.final)
    if given.json:
        print(json.dumps({**asdict(account), "is_clean": account.is_clean}, ensure_ascii=False, indent=1))
    else:
        for name, value in table(account):
            print(f"{name:<26}{value}")
    return 0 if account.is_clean else 1


def table(account: Account) -> list[tuple[str, str]]:
    """The counts as rows of a name and a figure, with up to three examples of what is wrong."""
    rows = []
    for name, value in {**_named(account), **_named(account.inbound, "inbound ")}.items():
        if isinstance(value, list):
            shown = "; ".join(str(item)[:70] for item in value[:3])
            rows.append((name, f"{len(value)}  {shown}".rstrip()))
        elif isinstance(value, dict):
            rows.append((name, ", ".join(f"{key} {count}" for key, count in value.items()) or "0"))
        elif not isinstance(value, Inbound):
            rows.append((name, f"{value:.3f}" if isinstance(value, float) else str(value)))
    return rows


def _count_reports(account: Account, rows: list[dict[str, Any]], air: list[AirMessage]) -> None:
    contents = Counter(content_of(row) for row in rows)
    on_air: dict[tuple[str, str], int] = {}
    for message in air:
        if message.is_complete:
            # Of repeated parts the first copy counts: it was then that the message was out.
            firsts = {part.sequence: part.air_ms for part in reversed(message.parts)}
            on_air.setdefault((message.recipient, message.text), max(firsts.values()))
    for row in rows:
        reports = row["reports"]
        states = [report["status"] for report in reports]
        if is_wrong_order(reports):
            account.wrong_order.append(row["id"])
        account.repeated_reports += sum(a == b for a, b in pairwise(states))
        account.without_sent += "delivered" in states and "sent" not in states
        sent_ms = next((r["at"] for r in reports if r["status"] in ("sent", "delivered")), None)
        # Equal messages cannot be told apart here, so only unique ones are judged.
        if sent_ms is not None and contents[content_of(row)] == 1:
            aired_ms = on_air.get(content_of(row))
            if aired_ms is None or sent_ms < aired_ms:
                account.premature.append(row["id"])


def _named(record: Account | Inbound, prefix: str = "") -> dict[str, Any]:
    return {prefix + f.name.replace("_", " "): getattr(record, f.name) for f in fields(record)}


def _holds(text: str, part: Part) -> bool:
    """Whether the part can be that part of that text."""
    if part.total == 1:
        return text == part.text
    if part.sequence == 1:
        return text.startswith(part.text)
    return text.endswith(part.text) if part.sequence == part.total else part.text in text


def _inbound_of_log(records: Iterable[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """Messages that the network sent; equal TPDUs are copies of one, parts join by sender and reference."""
    whole: Counter[tuple[str, str]] = Counter()
    seen: set[tuple[int, str]] = set()
    open_parts: dict[tuple[int, str, int | None, int], dict[int, str]] = {}
    for record in records:
        if record["event"] != "inbound" or (record["modem"], record["tpdu"]) in seen:
            continue
        seen.add((record["modem"], record["tpdu"]))
        sender, total = same_number(record["sender"]), record["total"]
        key = (record["modem"], sender, record["ref"], total)
        pieces = open_parts.setdefault(key, {})
        pieces[record["seq"]] = record["text"] or ""
        if len(pieces) == total:
            whole[sender, "".join(pieces[n] for n in sorted(pieces))] += 1
            del open_parts[key]
    return whole


if __name__ == "__main__":
    sys.exit(main())
