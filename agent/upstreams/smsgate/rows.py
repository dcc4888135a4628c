"""Documents of SMSGate's mobile API as values, and back. Pure. What is unknown in them is ignored."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.clock import parse_iso_utc
from agent.upstreams.wire import quoted, storable
from drivers.values import dataclass

SLOTS = 3
"""SIM slots of one device: the server takes no greater simNumber."""
MOST_LISTED = 100
"""Messages that one pull lists at most; more are hidden behind them."""
_SHOWN_CHARACTERS = 4
_LARGEST_NUMBER = 10**12


class Malformed(ValueError):
    """A document is not what the API describes. `str()` completes "the answer of HOST …"."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registration gave us. `password` only where a new user was made."""

    id: str
    token: str
    login: str | None
    password: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """One message of the pending list. Numbers and text as given, perhaps encrypted; times are UTC ms.

    `problem` is why it can never be sent, as a sentence.
    """

    id: str
    numbers: tuple[str, ...]
    text: str
    data: bytes | str | None
    port: int | None
    is_encrypted: bool
    sim_number: int | None
    wants_report: bool
    valid_until_ms: int | None
    ttl_s: float | None
    starts_ms: int | None
    priority: int
    is_cancelling: bool
    created_ms: int | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that the server has this device call at an event."""

    id: str
    url: str
    event: str


@dataclass(frozen=True, slots=True)
class SimCard:
    """A SIM as the server is told of it. `slot` counts within the device, from 0."""

    slot: int
    number: str | None = None
    operator: str | None = None
    iccid: str | None = None


def sim_cards(cards: Sequence[SimCard]) -> list[dict[str, Any]]:
    """As the app tells of its SIMs: what identifies them is masked."""
    found = []
    for card in cards:
        row: dict[str, Any] = {"slotIndex": card.slot, "simNumber": card.slot + 1}
        texts = {"phoneNumber": card.number, "carrierName": card.operator, "iccid": card.iccid}
        found.append(row | {key: masked(text) for key, text in texts.items() if text})
    return found


def registration(document: Any) -> Registration:
    """Raises: Malformed."""
    found = document if isinstance(document, dict) else {}
    id_, token = found.get("id"), found.get("token")
    # The token goes into a header of every request.
    is_token = isinstance(token, str) and token.isascii() and token.isprintable()
    if not isinstance(id_, str) or not isinstance(token, str) or not id_ or not token or not is_token:
        raise Malformed("to the registration has no id and token")
    return Registration(storable(id_), token, _text(found.get("login")), _text(found.get("password")))


def listed(document: Any) -> tuple[list[Listed], int]:
    """The pending list, and how many entries of it are unusable. Raises: Malformed."""
    if not isinstance(document, list):
        raise Malformed("is no list of messages")
    found, unusable = [], 0
    for row in document:
        one = _one(row)
        if one is None:
            unusable += 1
        else:
            found.append(one)
    return found, unusable


def webhooks(document: Any) -> tuple[Webhook, ...]:
    """Raises: Malformed."""
    if not isinstance(document, list):
        raise Malformed("is no list of webhooks")
    rows = [row for row in document if isinstance(row, dict)]
    return tuple(
        Webhook(storable(row["id"]), storable(row["url"]), storable(row["event"]))
        for row in rows
        if all(isinstance(row.get(key), str) for key in ("id", "url", "event"))
    )


def has_device(document: Any) -> bool:
    """Whether the answer of the self-check knows our token. Raises: Malformed."""
    if not isinstance(document, dict):
        raise Malformed("about this device is no object")
    return isinstance(document.get("device"), dict)


def masked(value: str) -> str:
    """As the app shows its SIMs to a server: all but the last characters are hidden."""
    hidden = len(value) - _SHOWN_CHARACTERS
    return "*" * _SHOWN_CHARACTERS if hidden <= 0 else "*" * hidden + value[hidden:]


def rfc3339(utc_ms: int) -> str:
    """With milliseconds and offset, as the app writes it."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).isoformat(timespec="milliseconds")


def instant_ms(value: object) -> int | None:
    """UTC ms of an RFC 3339 time, None where it is none."""
    return parse_iso_utc(value) if isinstance(value, str) else None


# --- pieces -----------------------------------------------------------------------------------------


def _one(row: Any) -> Listed | None:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]:
        return None
    numbers = tuple(storable(number) for number in _list(row.get("phoneNumbers")) if isinstance(number, str) and number)
    if not numbers:
        return None
    is_encrypted = row.get("isEncrypted") is True
    text, data, port, problem = _content(row, is_encrypted=is_encrypted)
    return Listed(
        id=storable(row["id"]),
        numbers=numbers,
        text=text,
        data=data,
        port=port,
        is_encrypted=is_encrypted,
        sim_number=_whole(row.get("simNumber")),
        wants_report=row.get("withDeliveryReport") is not False,
        valid_until_ms=instant_ms(row.get("validUntil")),
        ttl_s=_number(row.get("ttl")),
        starts_ms=instant_ms(row.get("scheduleAt")),
        priority=_whole(row.get("priority")) or 0,
        is_cancelling=row.get("state") == "Cancelling",
        created_ms=instant_ms(row.get("createdAt")),
        problem=problem,
    )


def _content(row: Mapping[str, Any], *, is_encrypted: bool) -> tuple[str, bytes | str | None, int | None, str | None]:
    """Text, data, port, and why neither can be sent."""
    data, text = row.get("dataMessage"), row.get("textMessage")
    if isinstance(data, dict):
        return "", *_data(data, is_encrypted=is_encrypted)
    if isinstance(text, dict) and isinstance(text.get("text"), str):
        return storable(text["text"]), None, None, None
    if isinstance(row.get("message"), str):
        return storable(row["message"]), None, None, None
    is_mms = row.get("mmsMessage") is not None
    return "", None, None, "this gateway cannot send an MMS" if is_mms else "it has neither text nor data"


def _data(given: Mapping[str, Any], *, is_encrypted: bool) -> tuple[bytes | str | None, int | None, str | None]:
    port, octets = _whole(given.get("port")), given.get("data")
    if port is None or not 0 < port < 65536 or not isinstance(octets, str):
        return None, None, "its data message has no data or no port"
    if is_encrypted:
        return octets, port, None
    try:
        return base64.b64decode(octets, validate=True), port, None
    except (binascii.Error, ValueError):
        return None, None, "its data is not base64"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return storable(value) if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    """None also for what no column of a database holds: JSON can write numbers without end, and its readers more."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None or number != math.floor(number) else int(number)


def said(document: Any) -> str:
    """A server's own words of an error."""
    return quoted(document.get("message")) if isinstance(document, dict) else quoted(document)
