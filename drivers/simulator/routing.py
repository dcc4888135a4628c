"""What the modem does with a TPDU from the network: store, indicate or hand through, as +CNMI and +CSMS say.

27.005 §3.4.1. Refusing keeps the TPDU at the message centre; nothing vanishes here.
"""

from dataclasses import dataclass
from enum import Enum

from drivers.simulator import text_mode, tpdu
from drivers.simulator.device import Device
from drivers.simulator.faults import Fault
from drivers.simulator.storage import Memory, MessageStatus, Stored, Union

_SIM_CLASS = 2  # TS 23.038 §4: class 2 goes to the SIM, whatever +CPMS says
_DIRECT = 2
_CLASS_3_DIRECT = 3


class Acceptance(Enum):
    """The modem's word to the network."""

    TAKEN = "taken"
    AWAITING_ACKNOWLEDGEMENT = "awaiting"
    UNREACHABLE = "unreachable"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One TPDU on its way to a SIM; `submit` is the submit that a report belongs to, if known."""

    inbound: int
    iccid: str
    octets: bytes
    is_report: bool
    submit: int | None = None


class Router:
    """Takes arrivals for one device; `space` of indications that +CNMI mode 0 holds back."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._held: list[tuple[str, ...]] = []
        self._is_full_said = False

    def accept(self, arrival: Arrival) -> Acceptance:
        """Tries to take one TPDU."""
        if not self._device.is_listening or not self._device.is_registered:
            return Acceptance.UNREACHABLE
        return self._accept_report(arrival) if arrival.is_report else self._accept_message(arrival)

    def routing_changed(self) -> None:
        """+CNMI was set: what mode 0 held is shown (bfr 0) or forgotten (bfr 1)."""
        cnmi = self._device.settings.cnmi
        if cnmi.mode == 0:
            return
        held, self._held = self._held, []
        if cnmi.bfr == 0:
            for lines in held:
                self._device.surroundings.urc(*lines)

    def reset(self) -> None:
        """A reboot: held indications are forgotten."""
        self._held.clear()

    def switch_off(self) -> None:
        """No +CNMA came: the modem stops handing through (27.005 §3.4.1)."""
        self._device.settings.cnmi.mt = self._device.settings.cnmi.ds = 0
        self._device.setting("+CNMI", "switched off")

    def _accept_message(self, arrival: Arrival) -> Acceptance:
        settings = self._device.settings
        kind = _class_of(arrival.octets)
        mt = settings.cnmi.mt
        if kind != _SIM_CLASS and (mt == _DIRECT or (mt == _CLASS_3_DIRECT and kind == _CLASS_3_DIRECT)):
            self._log(arrival, "deliver", how="cmt")
            pdu = self._device.with_smsc(arrival.octets)
            stored = Stored(pdu, len(arrival.octets), MessageStatus.UNREAD, arrival.inbound)
            if settings.is_text_mode:
                shown = text_mode.view(stored)
                self._say(f"+CMT: {shown.header}", shown.body or "")
            else:
                self._say(f"+CMT: ,{len(arrival.octets)}", pdu.hex().upper())
            return Acceptance.AWAITING_ACKNOWLEDGEMENT if settings.service == 1 else Acceptance.TAKEN
        memory = self._device.memory("SM" if kind == _SIM_CLASS else settings.memories[2])
        if self._fault("storage_full", arrival):
            memory = None
        index = self._store(memory, arrival) if memory is not None else None
        if memory is None or index is None:
            self._say_full()
            return Acceptance.FULL
        self._is_full_said = False
        self._log(arrival, "deliver", how="stored")
        self._log(arrival, "stored", memory=memory.name, index=index)
        if mt:
            self._announce(arrival, memory, index)
        if self._fault("stored_twice", arrival) and (again := self._store(memory, arrival)) is not None:
            self._log(arrival, "stored", memory=memory.name, index=again)
            if mt:
                self._say(f'+CMTI: "{memory.name}",{again}')
        return Acceptance.TAKEN

    def _announce(self, arrival: Arrival, memory: Memory | Union, index: int) -> None:
        if self._fault("indication_lost", arrival):
            return
        odd = self._fault("indication_odd", arrival)
        self._say(odd.text("line") if odd else f'+CMTI: "{memory.name}",{index}')

    def _say_full(self) -> None:
        """Once, until something was stored again."""
        if self._device.personality.full_mark and not self._is_full_said:
            self._say(self._device.personality.full_mark)
        self._is_full_said = True

    def _fault(self, name: str, arrival: Arrival) -> Fault | None:
        return self._device.faults.take(name, point="arrival", inbound=arrival.inbound)

    def _accept_report(self, arrival: Arrival) -> Acceptance:
        settings = self._device.settings
        if settings.cnmi.ds == 1:
            self._log(arrival, "report", how="cds")
            if settings.is_text_mode:
                self._say(f"+CDS: {text_mode.report_fields(tpdu.read_status_report(arrival.octets))}")
            else:
                pdu = self._device.with_smsc(arrival.octets).hex().upper()
                self._say(f"+CDS: {len(arrival.octets)}", pdu)
            return Acceptance.AWAITING_ACKNOWLEDGEMENT if settings.service == 1 else Acceptance.TAKEN
        name = self._device.personality.report_memory or settings.memories[2]
        memory = self._device.memory(name)
        is_indicated = settings.cnmi.ds == 2
        if memory is None or memory.capacity == 0:
            # A modem that offers a memory of no size indicates what nobody can read; else it is dropped.
            self._log(arrival, "report", how="lost" if is_indicated else "dropped")
            if is_indicated:
                self._say('+CDSI: "SR",8')
            return Acceptance.TAKEN
        index = self._store(memory, arrival)
        if index is None:
            return Acceptance.FULL
        self._log(arrival, "report", how="sr" if is_indicated else "sr_silent")
        self._log(arrival, "stored", memory=memory.name, index=index)
        if is_indicated:
            self._say(f'+CDSI: "{memory.name}",{index}')
        return Acceptance.TAKEN

    def _store(self, memory: Memory | Union, arrival: Arrival) -> int | None:
        pdu = self._device.with_smsc(arrival.octets)
        return memory.store(Stored(pdu, len(arrival.octets), MessageStatus.UNREAD, arrival.inbound))

    def _say(self, *lines: str) -> None:
        if self._device.settings.cnmi.mode == 0:
            self._held.append(lines)
        else:
            self._device.surroundings.urc(*lines)

    def _log(self, arrival: Arrival, event: str, **fields: str | int) -> None:
        owner: dict[str, int | None] = {"inbound": arrival.inbound}
        if arrival.is_report:
            owner["submit"] = arrival.submit
        self._device.log.write(self._device.number, event, **owner, **fields)


def _class_of(octets: bytes) -> int | None:
    """The message class of a DELIVER; none for one that cannot be read, which a modem passes on all the same."""
    try:
        return tpdu.class_of(tpdu.read_deliver(octets).coding_scheme)
    except tpdu.TpduError:
        return None
