"""The modem as its commands see it: SIM, memories, settings, registration, signal.

Knows nothing of the pty, of bytes or of time. What it has to say unasked goes to its surroundings; what
happened goes to the log.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from drivers.simulator import tpdu
from drivers.simulator.faults import Faults
from drivers.simulator.log import EventLog
from drivers.simulator.personalities import PERSONALITIES
from drivers.simulator.personality import Personality
from drivers.simulator.reply import Reply, cme, cms
from drivers.simulator.settings import Cnmi, Options, Settings
from drivers.simulator.sim import Sim, SimState
from drivers.simulator.storage import Memory, Union

REGISTERED_STATES = frozenset({1, 5, 6, 7, 9, 10})  # 27.007 §7.2: the states in which SMS can be sent
_FULL_FUNCTIONALITY = 1


@dataclass(slots=True)
class Radio:
    """What the network tells: <stat> per domain, signal in +CSQ steps, operator."""

    states: dict[str, int]
    rssi: int = 20
    operator: str = "Simulated"
    operator_code: str = "26299"


class Surroundings(Protocol):
    """What stands around the device: the line to the client and the network."""

    def urc(self, *lines: str) -> None:
        """Says something unasked, as one block."""

    def answer_ussd(self, line: str) -> None:
        """The network's answer to a USSD request comes a little later."""

    def space_freed(self) -> None:
        """A memory may have room for what the network holds."""

    def state_changed(self) -> None:
        """PIN, power or registration changed."""

    def routing_changed(self) -> None:
        """+CNMI was set."""

    def acknowledge(self, *, is_positive: bool) -> bool:
        """+CNMA: False where nothing waits for one."""

    def sim_changed(self) -> None:
        """Another SIM is in use, which gets ready in its time."""

    def hang_up(self) -> None:
        """The incoming call is refused."""


class Device:
    """One modem's state."""

    def __init__(
        self, number: int, options: Options, faults: Faults, log: EventLog, surroundings: Surroundings
    ) -> None:
        self.number = number
        self.options = options
        self.faults = faults
        self.log = log
        self.personality = _adapted(options)
        self.imei = f"35696800000{number:03d}0"
        self.me = Memory("ME", self.personality.me_capacity)
        self.bm = Memory("BM", 20)
        self.sr = Memory("SR", self.personality.sr_capacity)
        self.inserted = _new_sim(number, 0, options, self.personality)
        self.has_sim = options.has_sim
        self.is_sim_busy = False
        self.is_store_busy = False
        self.is_noisy = True
        self.slot = 0
        self.keys_given: set[str] = set()
        self.ussd = options.ussd
        self.ussd_mode = 0
        self._other_slot: Sim | None = None
        self.radio = Radio(dict.fromkeys(("+CREG", "+CGREG", "+CEREG"), options.registration))
        self.functionality = _FULL_FUNCTIONALITY
        self.settings = self.fresh_settings()
        self.surroundings = surroundings
        self.is_listening = True
        self._announced: dict[str, int] = {}
        self._sims = {self.inserted.iccid: self.inserted}
        if options.has_second_sim:
            self._other_slot = _new_sim(number, 1, options, self.personality)
            self._sims[self._other_slot.iccid] = self._other_slot
        self._slots_filled = [self.has_sim, options.has_second_sim]

    @property
    def sim(self) -> Sim | None:
        """The SIM in the slot."""
        return self.inserted if self.has_sim else None

    def fresh_settings(self) -> Settings:
        """Settings after power-up; only +CMGF can be chosen on the command line."""
        return Settings(
            is_text_mode=self.options.is_text_mode_default,
            memories=list(self.personality.memories),
            character_set=self.personality.character_set,
        )

    def power_up(self) -> None:
        """Forgets what is volatile and locks the SIM's PIN."""
        self.settings = self.fresh_settings()
        self.functionality = _FULL_FUNCTIONALITY
        self.inserted.power_up()
        if self._other_slot is not None:
            self._other_slot.power_up()
        self.is_noisy = True
        self.keys_given.clear()
        self._announced = {}
        if self.personality.forgets_slot and self.slot:
            self._swap_slots(0)

    def insert_sim(self, iccid: str | None) -> bool:
        """Puts a SIM into the slot: an earlier one by ICCID, or a new one. False if unknown."""
        if iccid is not None and iccid not in self._sims:
            return False
        if iccid is None:
            self.inserted = _new_sim(self.number, len(self._sims), self.options, self.personality)
            self._sims[self.inserted.iccid] = self.inserted
        else:
            self.inserted = self._sims[iccid]
        self.inserted.power_up()
        self.has_sim = True
        return True

    def card(self, iccid: str) -> Sim | None:
        """A SIM that is or was in this modem, in use or not."""
        return self._sims.get(iccid)

    def choose_slot(self, slot: int) -> None:
        """Switches to SIM slot 0 or 1: what was set for the other SIM is forgotten, as after a power-up."""
        if slot == self.slot:
            return
        self._swap_slots(slot)
        self.settings.cnmi = Cnmi()
        self.settings.memories = list(self.personality.memories)
        self.surroundings.sim_changed()

    def _swap_slots(self, slot: int) -> None:
        self._slots_filled[self.slot] = self.has_sim
        if self._other_slot is not None:
            self.inserted, self._other_slot = self._other_slot, self.inserted
        self.slot = slot
        self.has_sim = self._slots_filled[slot]
        self.inserted.power_up()
        self.log.write(self.number, "slot", slot=slot, iccid=self.inserted.iccid if self.has_sim else None)

    def memory(self, name: str) -> Memory | Union | None:
        """The memory of that name, None where there is none."""
        if name == "SM":
            return self.inserted.memory if self.has_sim else None
        if name == "MT":
            return Union("MT", self.me, self.inserted.memory) if self.has_sim else None
        return {"ME": self.me, "SR": self.sr, "BM": self.bm}.get(name)

    def registration(self, domain: str) -> int:
        """<stat> of +CREG, +CGREG or +CEREG as the modem would show it now."""
        if self.functionality != _FULL_FUNCTIONALITY or self.is_sim_busy:
            return 0
        if self.sim is None or self.sim.state is not SimState.READY:
            return 0
        return self.radio.states[domain]

    @property
    def is_registered(self) -> bool:
        """Whether any domain carries SMS now; never without a ready SIM."""
        if self.sim is None or self.sim.state is not SimState.READY or self.is_sim_busy:
            return False
        return any(self.registration(domain) in REGISTERED_STATES for domain in self.radio.states)

    def announce(self) -> None:
        """Sends the registration URCs that are switched on and whose value changed."""
        for domain, level in self.settings.registration_reports.items():
            state = self.registration(domain)
            if level and self._announced.get(domain) not in (None, state):
                self.surroundings.urc(f"{domain}: {registration_text(state, level)}")
            self._announced[domain] = state

    def sim_missing(self, *, is_sms: bool) -> Reply | None:
        """The refusal of a command that needs the SIM, None when the SIM is ready."""
        if self.sim is None:
            return cms(310) if is_sms else cme(10)
        if self.is_sim_busy or (is_sms and self.is_store_busy):
            return cms(self.personality.busy_code) if is_sms else cme(14)
        state = self.sim.state
        if state is SimState.PIN:
            return cms(311) if is_sms else cme(11)
        if state is SimState.PUK:
            return cms(316) if is_sms else cme(12)
        return None

    def service_centre(self) -> str:
        """+CSCA, empty where none is known."""
        return self.inserted.smsc if self.has_sim else ""

    def with_smsc(self, octets: bytes) -> bytes:
        """A TPDU with the SMSC field that received PDUs carry."""
        return tpdu.write_smsc(self.service_centre() or self.options.smsc) + octets

    def shown(self, text: str) -> str:
        """A string in the character set of +CSCS."""
        return text.encode("utf-16-be").hex().upper() if self.settings.character_set == "UCS2" else text

    def understood(self, text: str) -> str:
        """A string argument, read in the character set of +CSCS; unreadable UCS2 stays as it is."""
        if self.settings.character_set != "UCS2":
            return text
        try:
            return bytes.fromhex(text).decode("utf-16-be")
        except (ValueError, UnicodeDecodeError):
            return text

    def setting(self, name: str, value: str | int) -> None:
        """Notes a changed setting in the log."""
        self.log.write(self.number, "setting", name=name, value=value)


def registration_text(state: int, level: int) -> str:
    """What follows the prefix of a registration URC: with location from level 2 on."""
    return f'{state},"1A2B","00C0FFEE"' if level >= 2 and state in REGISTERED_STATES else str(state)


def _adapted(options: Options) -> Personality:
    row = PERSONALITIES[options.personality]
    row = replace(
        row,
        me_capacity=row.me_capacity if options.me_capacity is None else options.me_capacity,
        sm_capacity=row.sm_capacity if options.sm_capacity is None else options.sm_capacity,
        sr_capacity=row.sr_capacity if options.sr_capacity is None else options.sr_capacity,
    )
    row = replace(row, has_false_sr=row.has_false_sr or options.has_false_sr)
    if row.sr_capacity == 0 and row.report_memory == "SR" and not row.has_false_sr:
        # Without room for reports a modem that tells the truth does not offer to store them.
        without_stored = tuple(value for value in row.cnmi.ds if value != 2)
        row = replace(row, cnmi=replace(row.cnmi, ds=without_stored))
    return row


def _new_sim(number: int, place: int, options: Options, personality: Personality) -> Sim:
    serial = number * 100 + place
    return Sim(
        iccid=f"8949000000000{serial:06d}",
        imsi=f"262990000{serial:06d}",
        number=f"+4917100{serial:06d}",
        smsc=options.smsc,
        memory=Memory("SM", personality.sm_capacity),
        pin=options.pin,
    )
