"""What TP-ST of a status report means, in words for whoever sent the message.

It knows one octet; which message it is about is matched elsewhere.
"""

from __future__ import annotations

from enum import StrEnum

from drivers.values import dataclass


class ReportOutcome(StrEnum):
    """What a report says of the message: arrived, still on its way, or given up."""

    DELIVERED = "delivered"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StatusMeaning:
    """`is_final` False: the SC keeps trying and another report follows. `sentence` is for a layman."""

    outcome: ReportOutcome
    is_final: bool
    sentence: str


_SERVICE_REJECTED = 0x63

_COMPLETED = {
    0x00: "The message was delivered.",
    0x01: "The message was passed on, but the network cannot confirm that it arrived.",
    0x02: "The message was replaced by a newer one before it was delivered.",
}
# The low five bits are alike in both classes of temporary errors.
_TEMPORARY = {
    0x00: "the network is congested",
    0x01: "the recipient's phone is busy",
    0x02: "the recipient's phone does not answer; it may be off or out of coverage",
    0x03: "the network refused the service",
    0x04: "the network cannot offer the quality of service that the message asks for",
    0x05: "the recipient's phone reported an error",
}
_PERMANENT = {
    0x40: "The message was not delivered: the networks could not understand each other.",
    0x41: "The message was not delivered: the recipient's device cannot receive this kind of message.",
    0x42: "The message was not delivered: the recipient's phone rejected it.",
    0x43: "The message was not delivered: the recipient's number cannot be reached.",
    0x44: "The message was not delivered: the network cannot offer the quality of service it asks for.",
    0x45: "The message was not delivered: there is no connection to the recipient's network.",
    0x46: "The message was not delivered in time: its validity period is over.",
    0x47: "The message was deleted by its sender before it was delivered.",
    0x48: "The message was deleted by the network operator before it was delivered.",
    0x49: "The message was not delivered: the network no longer knows it.",
}


def meaning(status: int) -> StatusMeaning:
    """The meaning of a TP-ST octet (TS 23.040 §9.2.3.15).

    Reserved values count as 0x63, service rejected, as the clause demands; values that each SC defines for
    itself have the outcome of their range. Store the octet as it came.
    """
    if _is_reserved(status):
        status = _SERVICE_REJECTED
    match status >> 5 & 0x03:
        case 0:
            sentence = _COMPLETED.get(status, f"The network is done with the message (code {status}).")
            return StatusMeaning(ReportOutcome.DELIVERED, True, sentence)
        case 1:
            sentence = f"Not delivered yet: {_temporary(status)}. The network keeps trying."
            return StatusMeaning(ReportOutcome.PENDING, False, sentence)
        case 2:
            sentence = _PERMANENT.get(status, f"The message was not delivered (network code {status}).")
            return StatusMeaning(ReportOutcome.FAILED, True, sentence)
        case _:
            sentence = f"The message was not delivered: {_temporary(status)}. The network has stopped trying."
            return StatusMeaning(ReportOutcome.FAILED, True, sentence)


def _temporary(status: int) -> str:
    return _TEMPORARY.get(status & 0x1F, f"the network gives the code {status}")


def _is_reserved(status: int) -> bool:
    """Each range of 32 names a few values, reserves those up to its 16th and leaves the others to the SC."""
    named = 0x0A if status >> 5 == 2 else 0x03 if status >> 5 == 0 else 0x06
    return status >= 0x80 or named <= status & 0x1F < 0x10
