"""A pulled message as jobs, one per recipient: decrypted, its SIM chosen, its times counted.

What cannot be sent becomes jobs all the same, refused with a sentence, so that the server is told.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
from collections.abc import Sequence

from agent import e2e
from agent.clock import Clock
from agent.model import Job
from agent.upstreams.smsgate import snapshot
from agent.upstreams.smsgate.preferences import SimSelection
from agent.upstreams.smsgate.rows import Listed
from drivers.values import dataclass

_DATA_OCTETS = 133
"""One SMS with a port in its header; the app sends no longer data either."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is to be sent, in clear: numbers in the order of the message's own."""

    numbers: tuple[str, ...]
    text: str
    data: bytes | None
    problem: str | None


class SlotChooser:
    """Which slot takes a message that names none, among those of one device. None: any route of the gateway."""

    def __init__(self) -> None:
        self._next = 0

    def choose(self, mode: SimSelection, slots: Sequence[int], *, is_only_device: bool) -> int | None:
        """`slots` are the device's that have a SIM."""
        if not slots or (mode is SimSelection.OS_DEFAULT and is_only_device):
            return None
        if mode is SimSelection.RANDOM:
            return random.choice(list(slots))
        # A device of several leaves the others' SIMs to them.
        self._next += 1
        return slots[self._next % len(slots)]


def bundle_of(device_id: str, message_id: str) -> str:
    """The journal's name of a server's message: ids are unique per device only."""
    return f"{device_id}:{message_id}"


def parts_of(bundle: str) -> tuple[str, str]:
    """Device id and the server's own id. A device id has no colon."""
    device_id, _, message_id = bundle.partition(":")
    return device_id, message_id


def remote_ids(device_id: str, listed: Listed) -> list[str]:
    """The journal's id of each recipient."""
    return [f"{bundle_of(device_id, listed.id)}:{index}" for index in range(len(listed.numbers))]


async def opened(listed: Listed, passphrase: str | None) -> Opened:
    """Decrypt in a thread what is encrypted: deriving the keys takes long."""
    if listed.problem is not None or not listed.is_encrypted:
        data = listed.data if isinstance(listed.data, bytes) else None
        return Opened(listed.numbers, listed.text, data, listed.problem or _too_long(data))
    if passphrase is None:
        return _closed(listed, "it is encrypted, and this upstream has no passphrase")
    if not e2e.is_available():
        return _closed(listed, "it is encrypted, and phonebridge[e2e] is not installed on the gateway")
    try:
        return await asyncio.to_thread(_decrypted, listed, passphrase)
    except e2e.E2eError as error:
        return _closed(listed, f"it is encrypted, and {error}")


def jobs(device_id: str, listed: Listed, content: Opened, slot: int | None, clock: Clock) -> list[Job]:
    """One job per recipient."""
    return [
        Job(
            number,
            "" if content.data is not None else content.text,
            remote_id=remote_id,
            sim_slot=slot,
            priority=max(-128, min(127, listed.priority)),
            valid_for_s=_valid_for_s(listed, clock),
            created_ms=listed.created_ms,
            attributes=snapshot.attributes_of(given),
            port=listed.port if content.data is not None else None,
            data=content.data,
            starts_ms=listed.starts_ms,
            wants_report=listed.wants_report,
            bundle=bundle_of(device_id, listed.id),
            refusal=content.problem,
        )
        for remote_id, given, number in zip(remote_ids(device_id, listed), listed.numbers, content.numbers, strict=True)
    ]


# --- pieces -----------------------------------------------------------------------------------------


def _decrypted(listed: Listed, passphrase: str) -> Opened:
    numbers = tuple(e2e.decrypt(number, passphrase) for number in listed.numbers)
    if not isinstance(listed.data, str):
        return Opened(numbers, e2e.decrypt(listed.text, passphrase), None, None)
    try:
        data = base64.b64decode(e2e.decrypt(listed.data, passphrase), validate=True)
    except (binascii.Error, ValueError) as error:
        raise e2e.E2eError("its data is not base64") from error
    return Opened(numbers, "", data, _too_long(data))


def _closed(listed: Listed, problem: str) -> Opened:
    # What is kept in place of a number must not look like one.
    return Opened(tuple("encrypted" for _ in listed.numbers), "", None, problem)


def _too_long(data: bytes | None) -> str | None:
    if data is not None and len(data) > _DATA_OCTETS:
        return f"its data has {len(data)} octets, one SMS takes {_DATA_OCTETS}"
    return None


def _valid_for_s(listed: Listed, clock: Clock) -> float | None:
    """`ttl` was right when the answer was made; `validUntil` is right for good, by a clock that is."""
    if listed.valid_until_ms is not None and clock.is_synchronised():
        return max(0.0, (listed.valid_until_ms - clock.utc_ms()) / 1000)
    return listed.ttl_s if listed.ttl_s is None else max(0.0, listed.ttl_s)
