"""By which route a message goes that nobody gave one. Pure: what is known of the routes in, names in their order out.

Longest prefix first, then what can send now, then the cheapest; what is left is equal, and `choice` decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from agent import prefixes
from drivers.values import dataclass

Policy = Literal["least_busy", "round_robin", "sticky"]

ANY = ""
"""The name under which messages wait that any open route may take."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route for one number. `is_open` serves what has no prefix; `can_now` is up and not held up for long;
    `load` is how many messages wait for it."""

    name: str
    is_open: bool
    can_now: bool
    prefixes: tuple[str, ...] = ()
    cost: float = 0.0
    load: int = 0


def order(
    number: str,
    candidates: Sequence[Candidate],
    policy: Policy,
    *,
    may_be_any: bool = True,
    turn: int = 0,
    last: str | None = None,
) -> list[str]:
    """The routes that may carry a number, best first; ANY where the open routes are as good as each other and
    whichever is idle shall take it, unless not `may_be_any`. Empty where none serves such numbers.

    `turn` counts the messages before (round robin); `last` is the route by which this number was last in touch.
    """
    group, is_by_prefix = _group(number, candidates)
    if not group:
        return []
    if may_be_any and policy == "least_busy" and not is_by_prefix and len({one.cost for one in group}) == 1:
        return [ANY]
    best_first = sorted(group, key=lambda one: (not one.can_now, one.cost))
    best = [one for one in best_first if _rank(one) == _rank(best_first[0])]
    first = _pick(number, best, policy, turn, last)
    return [first, *(one.name for one in best_first if one.name != first)]


def _group(number: str, candidates: Sequence[Candidate]) -> tuple[list[Candidate], bool]:
    """Those with the longest prefix of the number, else the open ones; and whether it was by prefix."""
    lengths = {one.name: len(prefixes.longest(one.prefixes, number) or "") for one in candidates}
    most = max(lengths.values(), default=0)
    if most:
        return [one for one in candidates if lengths[one.name] == most], True
    return [one for one in candidates if one.is_open], False


def _rank(one: Candidate) -> tuple[bool, float]:
    return one.can_now, one.cost


def _pick(number: str, best: Sequence[Candidate], policy: Policy, turn: int, last: str | None) -> str:
    names = [one.name for one in best]
    if policy == "round_robin":
        return names[turn % len(names)]
    if policy == "sticky":
        # A number that is new gets the same route whenever it is asked for, and keeps it when others come or go.
        return last if last is not None and last in names else max(names, key=lambda name: _affinity(name, number))
    return min(best, key=lambda one: one.load).name


def _affinity(name: str, number: str) -> bytes:
    return hashlib.blake2b(f"{name}\0{number}".encode(), digest_size=8).digest()
