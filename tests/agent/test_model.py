"""The transition table and the state of a message."""

from __future__ import annotations

from itertools import combinations

import pytest

from agent.model import PART_MOVES, MessageState, PartState, is_ended, message_state

P = PartState


@pytest.mark.parametrize(
    ("parts", "state"),
    [
        ([P.QUEUED], "queued"),
        ([P.QUEUED, P.QUEUED], "queued"),
        ([P.SENT, P.QUEUED], "sending"),
        ([P.SENDING, P.QUEUED], "sending"),
        ([P.SENT, P.SENT], "sent"),
        ([P.DELIVERED, P.SENT], "sent"),
        ([P.DELIVERED, P.DELIVERED], "delivered"),
        ([P.UNKNOWN, P.QUEUED], "unknown"),
        ([P.SENT, P.UNKNOWN], "unknown"),
        ([P.FAILED, P.CANCELLED], "failed"),
        ([P.DELIVERED, P.UNDELIVERED], "failed"),
        ([P.DELIVERED, P.CANCELLED], "failed"),
        ([P.CANCELLED, P.CANCELLED], "cancelled"),
        ([P.EXPIRED, P.CANCELLED], "failed"),
        ([P.EXPIRED], "expired"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else value,
)
def test_state_of_a_message_follows_from_its_parts(parts: list[PartState], state: str) -> None:
    assert message_state(parts) == state


def test_every_combination_of_part_states_has_a_message_state() -> None:
    for size in (1, 2, 3):
        for parts in combinations(PartState, size):
            assert message_state(parts) in MessageState


def test_what_arrived_stays_and_every_target_is_a_state() -> None:
    assert PART_MOVES[P.DELIVERED] == frozenset()
    assert set(PART_MOVES) == set(PartState)
    assert P.SENDING not in PART_MOVES[P.UNKNOWN]
    assert all(
        is_ended(state) == (state not in {"held", "queued", "sending", "unknown", "sent"}) for state in MessageState
    )
