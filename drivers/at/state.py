"""What is known of the modem behind one session: found out at the start, kept up to date while it lives. Data only."""

from __future__ import annotations

from dataclasses import field

from drivers.api import Link, Registration, Sim
from drivers.at.commands import Routing
from drivers.at.profiles import GENERIC, Profile, SimSwitch
from drivers.values import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Who made the modem, and its serial number."""

    manufacturer: str | None = None
    model: str | None = None
    firmware: str | None = None
    imei: str | None = None


@dataclass(slots=True)
class Storages:
    """The memories in use. `arguments` is how many of them CPMS wants at once on this modem.

    `current` is mem1, from which reading and deleting work; None where somebody may have changed it.
    """

    current: str | None = None
    second: str = ""
    inbound: str = ""
    readable: tuple[str, ...] = ()
    arguments: int = 3
    reports_total: int = 0
    used: int | None = None
    total: int | None = None

    @property
    def swept(self) -> tuple[str, ...]:
        """Where inbound may lie; MT is ME and SM in one, and not read where those are."""
        names = dict.fromkeys(name for name in (self.inbound, "SM", "ME") if name in self.readable)
        if len(names) > 1:
            names.pop("MT", None)
        return tuple(names) or ((self.inbound,) if self.inbound else ())


@dataclass(slots=True)
class Modem:
    """Everything of one session that is not a message."""

    profile: Profile = GENERIC
    identity: Identity = field(default_factory=Identity)
    sim: Sim = field(default_factory=lambda: Sim("imei:unknown"))
    storages: Storages = field(default_factory=Storages)
    routing: Routing | None = None
    """What CNMI was verified to be; None where only polling is left."""
    is_acknowledging: bool = False
    """Each +CMT and +CDS waits for our AT+CNMA."""
    domains: dict[str, Registration] = field(default_factory=dict)
    """By command: CREG, CGREG, CEREG, as far as the modem knows them."""
    signal_dbm: int | None = None
    operator: str | None = None
    slot: int | None = None
    """Which SIM of the modem this is, where it is one of two."""
    slot_switch: SimSwitch | None = None
    iccid_command: str = ""
    """The command that knew the ICCID, for noticing another SIM."""
    has_extended_signal: bool = True
    """AT+CESQ has not been refused yet."""

    @property
    def registration(self) -> Registration:
        """The best of the domains: LTE modems are often denied in CREG and registered in CEREG."""
        order = (Registration.HOME, Registration.ROAMING, Registration.DENIED, Registration.SEARCHING)
        return next((best for best in order if best in self.domains.values()), Registration.UNKNOWN)

    @property
    def link(self) -> Link:
        return Link(
            registration=self.registration,
            signal_dbm=self.signal_dbm,
            operator=self.operator,
            manufacturer=self.identity.manufacturer,
            model=self.identity.model,
            firmware=self.identity.firmware,
            imei=self.identity.imei,
            storage_used=self.storages.used,
            storage_total=self.storages.total,
            indications=describe_routing(self.routing),
        )


def describe_routing(routing: Routing | None) -> str:
    """Return in words how this modem tells of messages and reports, for `status`."""
    if routing is None:
        return "polling"
    inbound = {1: "stored", 2: "direct", 3: "direct"}.get(routing.mt, "polling")
    reports = {1: "direct", 2: "stored"}.get(routing.ds, "none")
    return f"{inbound}, reports {reports}"
