"""The gateways of one pool as they announce themselves: who is there, with what room. No I/O; times are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from drivers.mqtt import payloads, topics
from drivers.mqtt.assignment import Load, choose
from drivers.mqtt.payloads import Capacity
from drivers.values import dataclass

# One whose topic the broker refuses to us, or that a person must look at, is left alone for so long.
_BARRED_S = 60.0


@dataclass(slots=True)
class Member:
    """One gateway. `away_since` is by the caller's clock, None while it can send."""

    device: str
    capacity: Capacity | None = None
    is_online: bool | None = None
    foreign: int = 0
    instance: str | None = None
    away_since: float | None = None
    barred_until: float = 0.0

    @property
    def can_send(self) -> bool:
        """Whether it is there, with a line that can send. A capacity may outlive its gateway at the broker."""
        return self.is_online is True and self.capacity is not None and bool(self.capacity.routes)


@dataclass(frozen=True, slots=True)
class News:
    """What a word of a gateway changed. `is_back`: it can send, and could not before."""

    is_back: bool
    has_lost_its_journal: bool


class Members:
    """Of one pool. `untried(device)` tells how many jobs of ours wait there."""

    def __init__(self, pool: str, prefix: str, untried: Callable[[str], int]) -> None:
        self._pool = pool
        self._prefix = prefix
        self._untried = untried
        self._members: dict[str, Member] = {}

    def __iter__(self) -> Iterator[Member]:
        """Those that belong to the pool."""
        return (member for member in self._members.values() if self.is_ours(member.device))

    def get(self, device: str) -> Member:
        """A gateway, as far as is known of it."""
        return self._members.setdefault(device, Member(device))

    def is_ours(self, device: str) -> bool:
        """Whether it said so."""
        member = self._members.get(device)
        return member is not None and member.capacity is not None and member.capacity.pool == self._pool

    def topics(self, device: str) -> topics.Topics:
        return topics.Topics(self._prefix, device)

    def hear(self, device: str, topic: str, payload: bytes, now: float) -> News:
        """Take `…/capacity` or `…/availability` in.

        Raises: BadJob for what is no capacity.
        """
        own = self.topics(device)
        member = self.get(device)
        could, before = member.can_send, member.instance
        if topic == own.availability:
            member.is_online = payload == topics.ONLINE
        elif topic == own.capacity:
            if not payload:
                member.capacity = None  # it was taken back: the gateway is no member any more
            else:
                member.capacity = payloads.capacity(payload)
                member.foreign = max(0, member.capacity.queued - self._untried(device))
                member.instance = member.capacity.instance
        if member.can_send:
            member.away_since = None
        elif could or member.away_since is None:
            member.away_since = now
        return News(member.can_send and not could, before is not None and member.instance != before)

    def away_s(self, device: str, now: float) -> float:
        """For how long it could not send, as far as we have watched it."""
        member = self.get(device)
        if member.can_send:
            return 0.0
        if member.away_since is None:
            member.away_since = now
        return now - member.away_since

    def bar(self, device: str, now: float) -> None:
        """Give it nothing for a while."""
        self.get(device).barred_until = now + _BARRED_S

    def choose(self, ahead_s: float, now: float) -> str | None:
        """Who gets the next job; None where nobody has room."""
        return choose(self._loads(now), ahead_s)

    def counts(self) -> tuple[int, int, int]:
        """How many gateways there are, how many can send, and by how many lines."""
        ours = list(self)
        able = [member for member in ours if member.can_send]
        return len(ours), len(able), sum(len(member.capacity.routes) for member in able if member.capacity is not None)

    def _loads(self, now: float) -> Iterator[Load]:
        for member in self:
            capacity = member.capacity
            if capacity is None or not member.can_send or member.barred_until > now:
                continue
            yield Load(
                device=member.device,
                lines=len(capacity.routes),
                room=capacity.room,
                per_minute=capacity.per_minute,
                ours=self._untried(member.device),
                foreign=member.foreign,
            )
