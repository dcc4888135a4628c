"""What was on the air, from the modem simulator's log alone: parts, and the messages that they join to.

It must not know the gateway. Instants are CLOCK_MONOTONIC seconds (`_s`) or UTC milliseconds (`_ms`), as the log writes
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from tests.mobsms_server.dump import same_number

Modem = tuple[str, int]  # the log's name and the modem's number in it


@dataclass(frozen=True, slots=True)
class Part:
    """One TPDU on the air; `began_s`: its submit was accepted, `reported_s`: the modem got a report."""

    modem: Modem
    recipient: str
    text: str
    reference: int | None
    total: int
    sequence: int
    mr: int
    air_s: float
    air_ms: int
    began_s: float
    reported_s: float | None = None

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What makes two parts the same to a receiver, whatever their reference."""
        return self.recipient, self.total, self.sequence, self.text


@dataclass(slots=True)
class AirMessage:
    """Parts of one message from one modem; a part that was repeated is in `parts` again."""

    modem: Modem
    recipient: str
    total: int
    parts: list[Part] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return {part.sequence for part in self.parts} == set(range(1, self.total + 1))

    @property
    def text(self) -> str:
        """The joined text; parts that never came are left out."""
        pieces = {part.sequence: part.text for part in self.parts}
        return "".join(pieces[sequence] for sequence in sorted(pieces))

    @property
    def first_s(self) -> float:
        return min(part.air_s for part in self.parts)

    @property
    def last_s(self) -> float:
        return max(part.air_s for part in self.parts)


def parts_on_air(records: Iterable[dict[str, Any]], log: str = "") -> list[Part]:
    """Every `air` line as a part, with its submit's beginning and its first report, in the log's order."""
    began: dict[tuple[int, int], float] = {}
    opened: dict[tuple[int, int], int] = {}
    found: list[Part] = []
    for record in records:
        event, key = record["event"], (record.get("modem") or 0, record.get("submit") or 0)
        if event == "submit_begin":
            began[key] = record["mono_s"]
        elif event == "air":
            opened[key] = len(found)
            found.append(_part(record, log, began.get(key, record["mono_s"])))
        elif event == "report" and key in opened and record["how"] not in ("lost", "dropped"):
            part = found[opened[key]]
            if part.reported_s is None:
                found[opened[key]] = replace(part, reported_s=record["mono_s"])
    return found


def join(parts: Iterable[Part]) -> list[AirMessage]:
    """The messages that a receiver would put together, in the order of their first parts.

    A part that comes again with the same text belongs to the same message; with another text, the reference
    has come round and a new message begins. Single parts are a message each.
    """
    made: list[AirMessage] = []
    latest: dict[tuple[Modem, str, int | None, int], AirMessage] = {}
    for part in sorted(parts, key=lambda part: part.air_s):
        key = (part.modem, part.recipient, part.reference, part.total)
        message = latest.get(key) if part.total > 1 else None
        if message is None or any(p.sequence == part.sequence and p.text != part.text for p in message.parts):
            message = latest[key] = AirMessage(part.modem, part.recipient, part.total)
            made.append(message)
        message.parts.append(part)
    return made


def gaps(messages: Iterable[AirMessage]) -> list[float]:
    """Seconds from the last part of a message on the air to the first of the next one, over all given."""
    ordered = sorted(messages, key=lambda message: message.first_s)
    return [later.first_s - earlier.last_s for earlier, later in pairwise(ordered)]


def _part(record: dict[str, Any], log: str, began_s: float) -> Part:
    text = record["text"] if record["text"] is not None else record.get("data") or ""
    return Part(
        (log, record["modem"]),
        same_number(record["to"]),
        text,
        record["ref"],
        record["total"],
        record["seq"],
        record["mr"],
        record["mono_s"],
        record["at_ms"],
        began_s,
    )
