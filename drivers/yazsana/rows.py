"""What the service's answers say. Pure: no I/O, no clock. Fields are those of the Customer API 1.2.0.

What comes from outside is looked at field by field; an answer of another form raises `Malformed`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from drivers.values import dataclass

LONGEST_TEXT_CHARACTERS = 160
_SHORTEST_NUMBER_DIGITS, _LONGEST_NUMBER_DIGITS = 8, 15
_LONGEST_ID_CHARACTERS = 64
_LONGEST_SHOWN_CHARACTERS = 120
_PRICE = re.compile(r"\d{1,12}(\.\d{1,12})?")


class Malformed(ValueError):
    """The answer is not what the API documents. `str()` continues "the answer …"."""


@dataclass(frozen=True, slots=True)
class Service:
    """What can be sent by. `unit_price` is a decimal string, as the service gives it."""

    id: str
    name: str
    unit_price: str
    currency: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """Whose credit may be used; `credit` is a decimal string."""

    id: str
    name: str
    credit: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A sending in the list. `sample` is the beginning of its text, at least."""

    id: str
    sample: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Item:
    """One recipient of a sending."""

    to: str
    message: str
    status: str
    is_refunded: bool


def number(recipient: str) -> str | None:
    """A dialable number as the service writes it ("905…", no plus); None for one without country code."""
    digits = recipient.removeprefix("+")
    if recipient.startswith("00"):
        digits = recipient[2:]
    if digits.startswith("0") or not digits.isdecimal():
        return None
    return digits if _SHORTEST_NUMBER_DIGITS <= len(digits) <= _LONGEST_NUMBER_DIGITS else None


def characters(text: str) -> int:
    """How long a text is for the service: in UTF-16 units, the larger of what such servers count."""
    return len(text.encode("utf-16-le")) // 2


def user_id(data: object) -> str:
    """Raises: Malformed."""
    return _id(_row(data, "user"), "user")


def services(data: object) -> tuple[Service, ...]:
    """Raises: Malformed."""
    found = []
    for row in _rows(data, "services"):
        if row.get("type", "sms") == "sms":
            price = str(row.get("unitPrice", ""))
            shown = price if _PRICE.fullmatch(price) else "?"
            found.append(Service(_id(row, "service"), quoted(row.get("name")), shown, quoted(row.get("currency"))))
    return tuple(found)


def organisations(data: object) -> tuple[Organisation, ...]:
    """Raises: Malformed."""
    return tuple(
        Organisation(_id(row, "organisation"), quoted(row.get("name")), quoted(row.get("memberCredit")) or "?")
        for row in _rows(data, "organisations")
    )


def choose(found: Sequence[Service], wanted: str | None) -> Service | None:
    """By id, else by name without regard to case; without a wish the only one. None where that is not one."""
    if wanted is None:
        return found[0] if len(found) == 1 else None
    for service in found:
        if service.id == wanted:
            return service
    named = [service for service in found if service.name.casefold() == wanted.casefold()]
    return named[0] if len(named) == 1 else None


def sending_id(data: object) -> str:
    """The answer to a send. Raises: Malformed."""
    if not isinstance(data, str) or not 0 < len(data) <= _LONGEST_ID_CHARACTERS or not _is_plain(data):
        raise Malformed("names no sending")
    return data


def sendings(data: object) -> tuple[tuple[Listed, ...], int]:
    """One page of the list, and how many pages there are. Raises: Malformed."""
    page = _row(data, "sendings")
    found = []
    for row in _rows(page.get("items"), "sendings"):
        created = time_ms(row.get("createdAt"))
        if created is not None:
            found.append(Listed(_id(row, "sending"), str(row.get("sampleMessageText") or ""), created))
    pages = page.get("totalPages")
    return tuple(found), pages if isinstance(pages, int) and not isinstance(pages, bool) else 1


def items(data: object) -> tuple[Item, ...]:
    """Raises: Malformed."""
    page = _row(data, "items")
    return tuple(
        Item(
            to=str(row.get("to") or "").removeprefix("+"),
            message=str(row.get("message") or ""),
            status=str(row.get("status") or ""),
            is_refunded=row.get("refunded") is True,
        )
        for row in _rows(page.get("items"), "items")
    )


def time_ms(value: object) -> int | None:
    """An ISO 8601 time in UTC ms, None where it is none."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if at is None:
        return None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def quoted(value: object) -> str:
    """Foreign words, short and printable."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return "".join(character for character in text if character.isprintable())[:_LONGEST_SHOWN_CHARACTERS]


def _row(data: object, what: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise Malformed(f"holds no {what}")
    return data


def _rows(data: object, what: str) -> list[Mapping[str, Any]]:
    if not isinstance(data, list):
        raise Malformed(f"holds no list of {what}")
    return [row for row in data if isinstance(row, dict)]


def _id(row: Mapping[str, Any], what: str) -> str:
    found = row.get("id")
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_ID_CHARACTERS or not _is_plain(found):
        raise Malformed(f"has a {what} without an id")
    return found


def _is_plain(value: str) -> bool:
    """Whether it can stand in a path as it is."""
    return all(character.isascii() and (character.isalnum() or character in "-_") for character in value)
