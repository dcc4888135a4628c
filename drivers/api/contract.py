"""The protocols: what a driver and its sessions do, and what they get from the agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from drivers.api.events import Event
from drivers.api.found import Candidate, Diagnosis, Link, Sim, Ussd
from drivers.api.parts import AS_TEXT, PartToSend, PlannedPart, PlanOptions, Submitted
from drivers.values import dataclass

Emit = Callable[[Event], Awaitable[None]]
"""When it returns, the event is durable: only then delete or acknowledge. Raises when it could not be kept."""


class SimMemory(Protocol):
    """What the agent remembers of a SIM across restarts, durable when the call returns.

    `key` is the ICCID, or "imei:<IMEI>" while the SIM hides its ICCID behind a PIN.
    """

    async def recall(self, key: str, fact: str) -> str | None: ...

    async def remember(self, key: str, fact: str, value: str | None) -> None: ...


async def _no_work() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class OpenContext:
    """What a session gets from the agent.

    `leftover` says that a submit's outcome is open on this route: listen before flushing. `has_work` tells whether
    something waits that only a session of this route brings on: a message, or the outcome of an attempt. `on_unknown`
    is the owner's policy for what nobody can say of, for a session that must decide it itself.
    """

    route: str
    emit: Emit
    memory: SimMemory
    leftover: bool = False
    status_reports: bool = True
    has_work: Callable[[], Awaitable[bool]] = _no_work
    on_unknown: Literal["resend", "fail"] = "resend"


class Session(Protocol):
    """One live link, used once."""

    @property
    def sim(self) -> Sim: ...

    @property
    def link(self) -> Link: ...

    async def run(self) -> None:
        """Serve indications, sweeps and heart-beats until the link is lost.

        Raises: SessionLost when it is. `emit` errors pass through. Never returns normally.
        """

    async def submit(self, part: PartToSend, durable: Awaitable[None]) -> Submitted:
        """Send one part; one at a time.

        `durable` is awaited before the first octet of the part may leave; where it raises, the dialogue is
        abandoned with nothing sent and the error passes through.

        Raises: SubmitError, sorted by what to do.
        """

    async def terminal(self, command: str, timeout_s: float) -> list[str]:
        """Run one raw command by the channel's own rules and return all answer lines, final result last.

        Raises: SessionError; DriverError with a sentence where the driver has no terminal or the command is
        one that would break the session.
        """

    async def ussd(self, code: str, timeout_s: float) -> Ussd:
        """Ask the network by USSD and return its answer; a dialogue that expects another answer is ended.

        Raises: SessionError; DriverError with a sentence where there is no answer or no USSD.
        """

    async def close(self) -> None:
        """Release everything at once; never blocks on unsent data."""


@runtime_checkable
class Attended(Protocol):
    """What a session may offer beside, to a person who asks."""

    async def restart(self) -> None:
        """Restart the device, while no part is being sent. The session ends by it, or is ended by the caller.

        Raises: DriverError where it refuses; SessionLost where it fell silent over it.
        """

    async def ask_for_balance(self) -> None:
        """Ask for the balance now; it is told by `emit` as BalanceRead. Raises: DriverError with a sentence."""


class Looks(Protocol):
    """What a driver of things that are plugged in may offer `doctor` beside `discover` and `diagnose`."""

    def below(self, root: Path) -> Driver:
        """The same driver, which takes /sys, /dev and /proc from below `root`."""

    def unusable(self) -> Iterable[Diagnosis]:
        """Hardware of this kind that is there but in a state in which it is no candidate. Opens nothing."""

    def holder(self, device: str) -> str | None:
        """Who has a device open, e.g. "ModemManager (PID 612)"; None where that cannot be told."""


class Driver(Protocol):
    """One way to carry SMS."""

    name: ClassVar[str]
    Settings: ClassVar[type[Any]]
    """The `[[route]]` keys that belong to this driver: a dataclass as `drivers/settings.py` says."""

    def plan(self, text: str, max_parts: int, options: PlanOptions = AS_TEXT) -> tuple[PlannedPart, ...]:
        """Split a text, or data, into parts. Pure. What the options ask for and the driver cannot is Unplannable.

        Raises: Unplannable with a sentence, e.g. for too many parts.
        """

    def hardware(self, settings: Any) -> str | None:
        """Name what this route shares with others, e.g. the port of a modem with two SIMs: routes of one name are
        carried by one driver object. None where it shares nothing. Pure."""

    def clash(self, settings: Any, other: Any) -> str | None:
        """Say why two routes cannot both be configured so, as the end of "Routes A and B …"; None where they can."""

    async def open(self, settings: Any, context: OpenContext) -> Session:
        """Open and initialise a link; what shares its hardware waits for its turn.

        Raises: OpenError; whatever was acquired is released before.
        """

    async def wait_for_port(self, settings: Any) -> None:
        """Return as soon as opening is worth another try after PortAbsent; a second after the plug at most.

        May return early for no reason. Opens nothing.
        """

    def discover(self) -> Iterable[Candidate]:
        """List places worth a look; opens nothing."""

    async def diagnose(self, candidate: Candidate) -> Diagnosis:
        """Look at one candidate without sending an SMS or trying a PIN. Never raises DriverError."""
