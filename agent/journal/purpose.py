"""What an inbound SMS is for: its details, the events it makes, and what it is as a whole. Pure; no SQL in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from agent.model import MessageKind
from drivers import sms
from drivers.api import InboundKind, InboundPart, Waiting
from drivers.values import dataclass

Details = dict[str, str | int | float | bool | None]

_TABLES = "tables"
"""Of a part only: in which national tables its septets are written, as locking,single."""

_NAMES = {"voicemail": "voice mail", "fax": "fax", "email": "e-mail"}


@dataclass(frozen=True, slots=True)
class Meaning:
    """A whole message: its kind, what a person may read of it, and its details (`agent.model.Message`)."""

    kind: MessageKind
    text: str
    details: Details


def details(part: InboundPart) -> Details:
    """What one part says of its message, as far as it says something."""
    found: Details = {
        "message_class": part.message_class,
        "port": part.port,
        "source_port": part.source_port,
        "replace_type": part.replace_type,
    }
    if part.total > 1 and part.tables is not None:
        found[_TABLES] = "{},{}".format(*part.tables)
    return {name: value for name, value in found.items() if value is not None}


def of_message(found: Details) -> Details:
    """What the details of its first part say of a whole message."""
    return {name: value for name, value in found.items() if name != _TABLES}


def join(parts: Iterable[tuple[str, bytes, str, Details]]) -> str:
    """The text of a message by alphabet, body, text and details of its parts, in order.

    Neighbours of one alphabet and tables are joined before they are decoded: senders cut a surrogate pair, or an
    escape of GSM 7-bit, in two.
    """
    text = ""
    for (alphabet, tables), run in groupby(parts, key=lambda part: (part[0], part[3].get(_TABLES))):
        group = list(run)
        body = b"".join(part[1] for part in group)
        if alphabet == sms.Alphabet.UCS2:
            text += sms.decode_text(sms.Alphabet.UCS2, body)
        elif alphabet == sms.Alphabet.GSM7 and isinstance(tables, str):
            locking, single = map(int, tables.split(","))
            text += sms.decode_text(sms.Alphabet.GSM7, body, locking=locking, single=single)
        else:
            text += "".join(part[2] for part in group)
    return text


def events(part: InboundPart, *, keeps_text: bool) -> Iterator[tuple[str, str]]:
    """Kind and detail of each event that a part makes beside its message; without its text where none is kept."""
    if part.kind is InboundKind.SILENT:
        yield "silent_sms", f"type 0 from {part.sender}"
    if part.sequence == 1:
        for item in part.waiting:
            has_text = keeps_text and part.text and part.kind is InboundKind.WAITING
            text = f": {part.text}" if has_text else ""
            yield item.what if item.what in _NAMES else "waiting", f"{_told(item)} (from {part.sender}){text}"


def of_whole(kind: InboundKind, text: str, body: bytes, found: Details) -> Meaning:
    """The meaning of a message whose parts are joined; `body` are their joined user data."""
    if kind is InboundKind.TEXT:
        return Meaning(MessageKind.TEXT, text, found)
    data: Details = {**found, "data": body.hex()}
    if kind is not InboundKind.WAP_PUSH:
        # A text for a port is what it reads as; its septets are of no use to anybody.
        return Meaning(MessageKind.DATA, text, {**found, "data": text.encode().hex()} if text else data)
    try:
        push = sms.decode_push(body)
    except sms.DecodeError:
        return Meaning(MessageKind.WAP_PUSH, text, data)
    if push.mms is None:
        return Meaning(MessageKind.WAP_PUSH, text, {**data, "content_type": push.content_type})
    told: Details = {
        "mms_transaction_id": push.mms.transaction_id,
        "mms_location": push.mms.location,
        "mms_sender": push.mms.sender,
        "mms_subject": push.mms.subject,
        "mms_size_octets": push.mms.size_octets,
        "mms_expires_in_s": push.mms.expires_in_s,
    }
    told = {name: value for name, value in told.items() if value is not None}
    return Meaning(MessageKind.MMS, _mms_sentence(push.mms), {**data, **told})


def _told(item: Waiting) -> str:
    name = _NAMES.get(item.what, "something")
    if not item.is_active:
        return f"no {name} waits any more" if item.what in _NAMES else "nothing waits any more"
    return f"{name} waits" if not item.count else f"{item.count} × {name} waits"  # noqa: RUF001 - a count


def _mms_sentence(mms: sms.MmsNotification) -> str:
    size = None if mms.size_octets is None else f"{-(-mms.size_octets // 1024)} kB"
    facts = [fact for fact in (mms.subject, size, mms.location) if fact]
    return f"[MMS: {', '.join(facts)}]"
