"""One request over the control socket: its fields, checked as they are taken, and how it is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent.clock import iso_utc
from agent.endpoint import Refusal
from agent.gateway import Gateway

LONGEST_TEXT_CHARACTERS = 40_000
LONGEST_PAGE = 200

Answer = dict[str, Any]
Tell = Callable[[Answer], Awaitable[None]]


class Refused(Exception):
    """Not carried out. `str()` is one sentence for a person."""

    def __init__(self, sentence: str, kind: Refusal = Refusal.FAILED) -> None:
        super().__init__(sentence)
        self.kind = kind


class Fields:
    """The fields of one request, checked as they are taken. Every method raises Refused."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw

    def text(self, key: str, *, at_most_characters: int = 1000) -> str:
        value = self._raw.get(key)
        if not isinstance(value, str):
            raise Refused(f"{key} is missing or not a text", Refusal.USAGE)
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise Refused(f"{key} has half a surrogate pair, which is no character", Refusal.USAGE)
        if len(value) > at_most_characters:
            raise Refused(f"{key} has more than {at_most_characters} characters", Refusal.USAGE)
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self._raw.get(key) is None else self.text(key)

    def number(self, key: str, default: int | None, lowest: int, highest: int) -> int | None:
        value = self._raw.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise Refused(f"{key} is a whole number from {lowest} to {highest}", Refusal.USAGE)
        return value

    def seconds(self, key: str, default: float, highest: float) -> float:
        value = self._raw.get(key, default)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= highest:
            raise Refused(f"{key} is a number of seconds up to {highest:g}", Refusal.USAGE)
        return float(value)

    def octets(self, key: str) -> bytes | None:
        """Given in hexadecimal; None where the key is missing."""
        if self._raw.get(key) is None:
            return None
        try:
            return bytes.fromhex(self.text(key, at_most_characters=2 * LONGEST_TEXT_CHARACTERS))
        except ValueError as error:
            raise Refused(f"{key} is not hexadecimal", Refusal.USAGE) from error

    def flag(self, key: str) -> bool:
        return self._raw.get(key) is True

    def texts(self, key: str) -> list[str] | None:
        """None where the key is missing."""
        value = self._raw.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Refused(f"{key} is a list of texts", Refusal.USAGE)
        return value


Operation = Callable[[Gateway, Fields, Tell], Awaitable[Answer]]
"""What is asked, the request's fields, and how to tell something before the answer."""


def time_of(utc_ms: int | None) -> str | None:
    """ISO 8601, None where there is no time."""
    return None if utc_ms is None else iso_utc(utc_ms)
