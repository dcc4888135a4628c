"""Faults that strike when a command arrives, whatever the command: one table, asked once per command line.

Each is limited to one command name by its parameter `command`, so that any point of a dialogue can be hit.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from drivers.simulator.command_line import Command, Operation
from drivers.simulator.device import Device
from drivers.simulator.faults import Fault


class Power(Protocol):
    """What a fault can do to the whole modem."""

    def reboot(self, reason: str, *, is_silent: bool = False) -> None:
        """Restarts the modem; silently: it is back at once, and says nothing."""

    def unplug(self, plug_after_s: float) -> None:
        """Pulls the plug; puts it back after so many seconds, 0 for never."""

    def hang(self, seconds: float) -> None:
        """Falls silent for so many seconds, 0 for until a reboot."""

    def lose_registration(self, seconds: float) -> None:
        """The network is gone for so long, 0 for until it is set again."""


def strike(device: Device, power: Power, command: str) -> bool:
    """Lets every armed fault of this point happen; True when the command is not heard any more."""
    is_lost = False
    for name, happen in _STRIKES.items():
        if name == "hang":
            fault = device.faults.take(name, point=command, command=command, at="command")
        else:
            fault = device.faults.take(name, point=command, command=command)
        if fault is not None:
            is_lost = happen(device, power, fault) or is_lost
    return is_lost


def strike_switch(device: Device, power: Power, command: Command) -> bool:
    """Lets the modem fail over the command that chooses a SIM; True when it is not heard any more."""
    row = next((row for row in device.personality.sim_switches if row.command == command.name), None)
    if row is None or command.operation is not Operation.SET:
        return False
    if (command.numbers or (None,))[0] == device.slot + row.first:
        return False
    for how, happen in _SWITCH_STRIKES.items():
        fault = device.faults.take("sim_switch", point=command.name, how=how)
        if fault is None:
            continue
        if fault.is_set("done"):
            device.choose_slot(1 - device.slot)
        return happen(device, power, fault)
    return False


def _hang(_: Device, power: Power, fault: Fault) -> bool:
    power.hang(fault.number("seconds"))
    return True


def _reboot(_: Device, power: Power, fault: Fault) -> bool:
    power.reboot("fault", is_silent=fault.is_set("silent"))
    return True


def _reboot_loudly(_: Device, power: Power, __: Fault) -> bool:
    power.reboot("fault")
    return True


def _unplug(_: Device, power: Power, fault: Fault) -> bool:
    power.unplug(fault.number("seconds"))
    return True


def _lock(device: Device, _: Power, fault: Fault) -> bool:
    sim = device.inserted
    sim.pin = sim.pin or fault.text("pin")
    sim.is_unlocked = False
    if fault.is_set("puk"):
        sim.pin_attempts = 0
    device.surroundings.state_changed()
    device.surroundings.urc(f"+CPIN: {sim.state.value}")
    return False


def _lose_registration(_: Device, power: Power, fault: Fault) -> bool:
    power.lose_registration(fault.number("seconds"))
    return False


def _lose_smsc(device: Device, _: Power, __: Fault) -> bool:
    device.inserted.smsc = ""
    return False


def _change_to_text_mode(device: Device, _: Power, __: Fault) -> bool:
    device.settings.is_text_mode = True
    return False


_STRIKES: Mapping[str, Callable[[Device, Power, Fault], bool]] = {
    "registration_lost": _lose_registration,
    "sim_locked": _lock,
    "smsc_lost": _lose_smsc,
    "text_mode": _change_to_text_mode,
    "hang": _hang,
    "reboot": _reboot,
    "unplug": _unplug,
}

_SWITCH_STRIKES: Mapping[str, Callable[[Device, Power, Fault], bool]] = {
    "hang": _hang,
    "reboot": _reboot_loudly,
    "unplug": _unplug,
}
