"""Which numbers a route or the whole gateway may send to, and what a number costs: lists of prefixes. Pure.

The longest prefix that fits decides, so that an exception is a longer prefix: deny "+49900", or allow it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from drivers.values import dataclass

_PREFIX = re.compile(r"\+?[0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Lists:
    """An allow and a deny list. An empty allow list allows every number; where both fit equally long, deny wins."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def refusal(self, number: str) -> str | None:
        """The end of a sentence where the number may not be sent to: which list, and which prefix."""
        denied = longest((prefix for prefix in self.deny if _is_meant(prefix, number)), None)
        allowed = longest(self.allow, number)
        if denied is not None and (allowed is None or len(allowed) <= len(denied)):
            return f'deny_prefixes has "{denied}"'
        if self.allow and allowed is None:
            return "allow_prefixes has none that it begins with"
        return None


def longest(prefixes: Iterable[str], number: str | None) -> str | None:
    """The longest prefix that a number begins with; of all of them where the number is None."""
    fitting = [prefix for prefix in prefixes if number is None or number.startswith(prefix)]
    return max(fitting, key=len, default=None)


def cost(default: float, by_prefix: Mapping[str, float], number: str) -> float:
    """What one part to a number costs, by the longest prefix that fits."""
    prefix = longest(by_prefix, number)
    return default if prefix is None else by_prefix[prefix]


def checked(value: Iterable[str]) -> Iterable[str]:
    """The prefixes as they are. Raises: ValueError with the rest of a sentence."""
    for prefix in value:
        if not prefix or not _PREFIX.fullmatch(prefix):
            raise ValueError(f'holds beginnings of numbers, e.g. "+49900", and "{prefix}" is none')
    return value


def _is_meant(prefix: str, number: str) -> bool:
    """Whether a denied prefix covers a number, also where it is written 00… or without +: what is denied must not
    go out because it was spelled otherwise."""
    if number.startswith(prefix):
        return True
    return (
        prefix.startswith("+")
        and len(prefix) > 1
        and (number.startswith(prefix[1:]) or number.startswith("00" + prefix[1:]))
    )
