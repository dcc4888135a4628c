"""One whole modem: pty, dialogue, device and network put together, and its power.

Booting, hanging and being unplugged are here, because they touch all of them.
"""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from drivers.simulator.commands import table_for
from drivers.simulator.device import Device
from drivers.simulator.dialogue import Dialogue
from drivers.simulator.faults import FAULTS, Fault, Faults, Parameter
from drivers.simulator.log import EventLog
from drivers.simulator.output import Output
from drivers.simulator.phases import Caller, Noise, Readiness
from drivers.simulator.presence import Presence
from drivers.simulator.routing import Router
from drivers.simulator.settings import Options
from drivers.simulator.smsc import MessageCentre
from drivers.simulator.submission import Submission
from drivers.simulator.terminal import Terminal

_SEARCHING, _HOME = 2, 1  # <stat> of +CREG, 27.007 §7.2
_USSD_DELAY_S = 0.3  # a network's answer to a balance request, shortened


@dataclass(frozen=True, slots=True)
class Numbers:
    """Ids that are unique in the log: of submits, and of TPDUs towards the modems."""

    submits: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    inbounds: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class Modem:
    """One emulated modem; `plug` gives it power and a pty, and it is ready at once the first time."""

    def __init__(self, number: int, options: Options, log: EventLog, numbers: Numbers, presence: Presence) -> None:
        self.number = number
        self.options = options
        self._log = log
        self._presence = presence
        self._loop = asyncio.get_running_loop()
        self.faults = Faults(number, log)
        self.device = Device(number, options, self.faults, log, self)
        self._router = Router(self.device)
        self.centre = MessageCentre(self.device, self._router, numbers.inbounds)
        self._output = Output(self.device, self._write)
        self.submission = Submission(self.device, self._output, self, self.centre.carry, numbers.submits)
        self._dialogue = Dialogue(self.device, self._output, self.submission, self, table_for(self.device.personality))
        self._power_timer: asyncio.TimerHandle | None = None
        self._network_timer: asyncio.TimerHandle | None = None
        self._readiness = Readiness(self.device, self.urc, self.state_changed)
        self._noise = Noise(self.device, self.urc)
        self.caller = Caller(self.device, self.urc)
        self.terminal: Terminal | None = Terminal(options.links[number], self._dialogue.feed)
        self._presence.watch(self.terminal, number)
        self._log.write(number, "plug", port=str(options.links[number]))

    # What faults and the control socket do to the whole modem.

    def reboot(self, reason: str, *, is_silent: bool = False) -> None:
        """Forgets the volatile settings, is deaf for the boot time, then says its boot marks.

        Silently it is back at once and says nothing. An unplugged modem cannot reboot.
        """
        if self.terminal is None:
            return
        self._log.write(self.number, "reboot", reason=reason)
        self._lose_power("reboot")
        if is_silent:
            self.device.is_listening = True
            self._dialogue.deaf = ""
            return
        self._dialogue.deaf = "boot"
        self._power_timer = self._loop.call_later(self.options.boot_time_s, self._booted)

    def unplug(self, plug_after_s: float = 0.0) -> None:
        """Pulls the plug, or ends a plugging in that was under way; it comes back by itself where a time is given."""
        self._stop_power_timer()
        if self.terminal is not None:
            self._log.write(self.number, "unplug")
            self._lose_power("unplug")
            self._dialogue.deaf = "unplugged"
            self._presence.forget(self.terminal)
            self.terminal.close()
            self.terminal = None
        if plug_after_s > 0:
            self._power_timer = self._loop.call_later(plug_after_s, self.plug)

    def plug(self) -> None:
        """Plugs it in: a new pty appears after the boot time; a plugged modem is left alone."""
        if self.terminal is None:
            self._stop_power_timer()
            self._power_timer = self._loop.call_later(self.options.boot_time_s, self._appear)

    def hang(self, seconds: float) -> None:
        """Neither hears nor speaks for so many seconds; 0 means until a reboot."""
        self._dialogue.deaf = "hang"
        self._output.is_muted = True
        self.device.is_listening = False
        self._stop_power_timer()
        if seconds > 0:
            self._power_timer = self._loop.call_later(seconds, self._unhang)

    def lose_registration(self, seconds: float) -> None:
        """No network for so long, 0 for until it is set again."""
        states = self.device.radio.states
        lost = dict(states)
        for domain in states:
            states[domain] = _SEARCHING
        self._log.write(self.number, "registration", lost_s=seconds)
        self.state_changed()
        if seconds > 0:
            if self._network_timer is not None:
                self._network_timer.cancel()
            back = {domain: state if state != _SEARCHING else _HOME for domain, state in lost.items()}
            self._network_timer = self._loop.call_later(seconds, self._find_network, back)

    def _find_network(self, states: dict[str, int]) -> None:
        self._network_timer = None
        self.device.radio.states.update(states)
        self._log.write(self.number, "registration", lost_s=0)
        self.state_changed()

    def arm(self, name: str, times: int | None, parameters: dict[str, Parameter]) -> Fault:
        """Arms a fault; one that acts at once acts now. Raises FaultError."""
        fault = self.faults.arm(name, times, parameters)
        if FAULTS[name].is_lasting:
            self.faults.fire(fault, point="from now on")
        if fault.name == "chunk" and self.terminal is not None:
            self.terminal.chunk(int(fault.number("octets")), fault.number("gap_s"))
        if fault.name == "hang" and fault.text("at") == "now":
            self.faults.fire(fault, point="now")
            self.hang(fault.number("seconds"))
        return fault

    def clear_faults(self, name: str | None) -> int:
        """Disarms faults of that name, or all, and ends those that last."""
        if name in (None, "chunk") and self.terminal is not None:
            self.terminal.chunk(0, 0.0)
        if name in (None, "hang") and self._dialogue.deaf == "hang":
            self._stop_power_timer()
            self._unhang()
        return self.faults.clear(name)

    def close(self) -> None:
        """The program ends: the link goes away."""
        self._stop_power_timer()
        self._noise.close()
        self.caller.end("end")
        if self.terminal is not None:
            self._presence.forget(self.terminal)
            self.terminal.close()
            self.terminal = None

    # Surroundings of the device.

    def urc(self, *lines: str) -> None:
        """Says something unasked."""
        if self.device.is_listening:
            self._output.urc(*lines)

    def answer_ussd(self, line: str) -> None:
        """The network answers a USSD request."""
        self._loop.call_later(_USSD_DELAY_S, self.urc, line)

    def space_freed(self) -> None:
        """The network is told that there is room (RP-SMMA), and tries at once."""
        if self.centre.queue:
            self._loop.call_soon(self.centre.pump)

    def state_changed(self) -> None:
        """Registration may have changed: say so, and take what waits."""
        self._readiness.pin_changed()
        self.device.announce()
        self.space_freed()

    def routing_changed(self) -> None:
        """+CNMI was set."""
        self._router.routing_changed()
        self.space_freed()

    def sim_changed(self) -> None:
        """The other SIM is in use: it gets ready like after a boot, behind the answer to the command."""
        self._loop.call_soon(self._readiness.begin)

    def hang_up(self) -> None:
        """ATH or +CHUP."""
        self.caller.end("refused")

    def acknowledge(self, *, is_positive: bool) -> bool:
        """+CNMA."""
        return self.centre.acknowledge(is_positive=is_positive)

    def _write(self, data: bytes) -> None:
        if self.terminal is not None:
            self.terminal.write(data)

    def _lose_power(self, why: str) -> None:
        self._stop_power_timer()
        self.device.is_listening = False
        self._readiness.cancel()
        self.device.is_sim_busy = self.device.is_store_busy = False
        self.caller.end(why)
        self.submission.cancel(why)
        self.centre.forget_awaiting()
        self._router.reset()
        self._dialogue.reset()
        self._output.reset()
        self.device.power_up()

    def _appear(self) -> None:
        self.terminal = Terminal(self.options.links[self.number], self._dialogue.feed)
        self._presence.watch(self.terminal, self.number)
        self._log.write(self.number, "plug", port=str(self.options.links[self.number]))
        self._booted()

    def _booted(self) -> None:
        self._power_timer = None
        self._dialogue.deaf = ""
        self.device.is_listening = True
        self._log.write(self.number, "boot")
        cpin = self.device.sim.state.value if self.device.sim else "NOT INSERTED"
        for mark in self.device.personality.boot_marks:
            self._output.urc(mark.format(cpin=cpin))
        self._readiness.begin()

    def _unhang(self) -> None:
        self._power_timer = None
        self._log.write(self.number, "hang_over")
        self.submission.cancel("hang")
        self._dialogue.deaf = ""
        self._output.is_muted = False
        self.device.is_listening = True
        self.space_freed()

    def _stop_power_timer(self) -> None:
        if self._power_timer is not None:
            self._power_timer.cancel()
            self._power_timer = None
