"""The contract between the gateway and a server that gives us messages and takes our reports.

An upstream is one class under the entry-point group `phonebridge.upstreams`. It sees only the gateway, the
model and this file. The gateway calls `report` and `deliver` from its feeds: in order within one message,
several messages at once. Errors are sorted by what the feed should do:

    DeliveryError
    ├── UpstreamDown     the whole server is out of reach or refuses us: pause all lanes, retry with back-off
    ├── LaneBusy         only this message cannot be told now: retry this lane later
    └── LaneRefused      the server will never take this: park the lane, show it in `status`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from agent.model import Message, Report
from drivers.settings import STRICT
from drivers.values import dataclass

if TYPE_CHECKING:
    from agent.gateway import Gateway


class DeliveryError(Exception):
    """Root of the tree above. `str()` is one plain sentence for a person."""


class UpstreamDown(DeliveryError):
    """The server as a whole. `retry_after_s` is its own wish (Retry-After), else None."""

    def __init__(self, sentence: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class LaneBusy(DeliveryError):
    """This message or inbound only."""


class LaneRefused(DeliveryError):
    """This message or inbound only, for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """Keys every `[[upstream]]` has."""

    __pydantic_config__: ClassVar = STRICT

    type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that `phonebridge doctor` asked a server. `remedy` is the next step where it is not `ok`."""

    ok: bool
    finding: str
    remedy: str | None = None


class Diagnosable(Protocol):
    """What an upstream's class may offer `doctor`, which has no gateway and no daemon."""

    @staticmethod
    async def diagnose(settings: Any, device_name: str) -> Sequence[Check]:
        """Ask the server whether it can be reached and takes our key. Changes nothing there; raises nothing of its
        own but `ConfigError`, and ends within 15 s."""


PairingAnswer = dict[str, str | None]
"""What a person is shown: secrets too, where they were asked for."""


class PairingRefused(Exception):
    """The server did not take a code or a login. `str()` is one sentence."""


class Pairing(Protocol):
    """An upstream that a person connects to an account, in `Gateway.pairings` by its name.

    Every method raises PairingRefused and UpstreamDown.
    """

    async def pair_by_code(self, code: str) -> PairingAnswer: ...
    async def pair_by_login(self, login: str, password: str) -> PairingAnswer: ...
    async def one_time_code(self) -> PairingAnswer: ...
    async def account(self) -> PairingAnswer: ...


class Upstream(Protocol):
    """One server. It may be `Diagnosable` too.

    One that also has `wants_accepted = True` is told by `report` of each new message of its own, QUEUED or HELD,
    before anything else is reported of it.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type[UpstreamSettings]]
    wants_inbound: bool

    def __init__(self, settings: UpstreamSettings, gateway: Gateway) -> None: ...

    @property
    def concurrency(self) -> int:
        """How many reports or inbound deliveries may be under way at once."""

    def identity(self) -> str:
        """Address and device in one string without secrets: another one is another upstream."""

    async def run(self) -> None:
        """Pull or serve until cancelled. Raises DeliveryError or OSError to be restarted with back-off."""

    async def report(self, report: Report) -> None:
        """Tell the server one state of one message. Returns once the server has it.

        Raises: DeliveryError.
        """

    async def deliver(self, inbound: Message) -> None:
        """Hand over one inbound message; `inbound.uid` is its fixed id. Returns once the server has it.

        `inbound.kind` may be another than TEXT: an upstream without a word for it returns at once.

        Raises: DeliveryError.
        """

    def status(self) -> dict[str, str | int | float | bool | None]:
        """Facts for `phonebridge status`; without secrets. `problem` is one sentence, or None."""

    async def refresh(self) -> None:
        """Learn what was cancelled meanwhile, and withdraw it, before a message that waited is sent.

        Must return quickly; the gateway waits 2 s at most and sends anyway. Upstreams that push
        cancellations do nothing here.
        """
