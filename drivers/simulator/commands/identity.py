"""Who modem and SIM are, and the SIM's PIN."""

from collections.abc import Mapping

from drivers.simulator.command_line import Command, Operation
from drivers.simulator.commands.handler import Handler
from drivers.simulator.device import Device
from drivers.simulator.personality import IccidForm, SimSwitch
from drivers.simulator.reply import ERROR, OK, Reply, cme
from drivers.simulator.sim import PinResult, SimState


def iccid_handler(prefix: str) -> Handler:
    """A handler that answers the ICCID behind `prefix`; it can be read before the PIN."""

    def iccid(device: Device, _: Command) -> Reply:
        if device.sim is None:
            return cme(10)
        return cme(14) if device.is_sim_busy else Reply((f"{prefix}{_written(device)}",))

    return iccid


def attempts_handler(lines: tuple[str, ...]) -> Handler:
    """A handler that answers the counters of PIN and PUK in the vendor's words."""

    def attempts(device: Device, _: Command) -> Reply:
        if device.sim is None:
            return cme(10)
        sim = device.sim
        shown = {"pin": sim.pin_attempts, "puk": sim.puk_attempts, "state": sim.state.value}
        return Reply(tuple(line.format(**shown) for line in lines))

    return attempts


def slot_handler(switch: SimSwitch) -> Handler:
    """A handler that shows or chooses the SIM slot, in the vendor's words."""

    def slot(device: Device, command: Command) -> Reply:
        name, first = command.name, switch.first
        if switch.key and switch.key not in device.keys_given:
            return cme(3)
        if command.operation is Operation.READ:
            return Reply((f"{name}: {switch.answer.format(slot=device.slot + first, place=device.slot + 1)}",))
        if command.operation is Operation.TEST:
            return Reply((f"{name}: ({first},{first + 1})",))
        wanted = (command.numbers or (None,))[0]
        if wanted is None or wanted - first not in (0, 1):
            return ERROR
        return _choose(device, switch, wanted - first)

    return slot


def _choose(device: Device, switch: SimSwitch, wanted: int) -> Reply:
    is_change = wanted != device.slot
    is_forbidden = switch.needs_radio_off and device.functionality == 1
    if is_forbidden or (is_change and device.faults.take("sim_switch", point=switch.command, how="refused")):
        return cme(3)
    if not is_change or not device.faults.take("sim_switch", point=switch.command, how="ignored"):
        device.choose_slot(wanted)
    return OK


def key_handler(device: Device, command: Command) -> Reply:
    """Notes a command that unlocks others until the power is gone."""
    device.keys_given.add(f"{command.name}={command.arguments}")
    return OK


def _written(device: Device) -> str:
    iccid = device.inserted.iccid
    padded = iccid if len(iccid) % 2 == 0 else f"{iccid}F"
    match device.personality.iccid_form:
        case IccidForm.PLAIN:
            return iccid
        case IccidForm.QUOTED:
            return f'"{iccid}"'
        case IccidForm.PADDED:
            return padded
        case IccidForm.SWAPPED:
            return "".join(padded[place : place + 2][::-1] for place in range(0, len(padded), 2))


def _identity(device: Device, command: Command, text: str) -> Reply:
    return Reply((f"{command.name}: {text}" if device.personality.has_identity_prefix else text,))


def _manufacturer(device: Device, command: Command) -> Reply:
    return _identity(device, command, device.personality.manufacturer)


def _model(device: Device, command: Command) -> Reply:
    return _identity(device, command, device.personality.model)


def _revision(device: Device, command: Command) -> Reply:
    return _identity(device, command, device.personality.revision)


def _serial(device: Device, command: Command) -> Reply:
    return OK if command.operation is Operation.TEST else Reply((device.imei,))


def _information(device: Device, _: Command) -> Reply:
    row = device.personality
    return Reply((row.manufacturer, row.model, f"Revision: {row.revision}", f"IMEI: {device.imei}"))


def _subscriber(device: Device, _: Command) -> Reply:
    if missing := device.sim_missing(is_sms=False):
        return missing
    return Reply((device.inserted.imsi,))


def _own_number(device: Device, _: Command) -> Reply:
    if missing := device.sim_missing(is_sms=False):
        return missing
    return Reply((f'+CNUM: "","{device.shown(device.inserted.number)}",145',))


def _pin(device: Device, command: Command) -> Reply:
    if device.sim is None:
        return cme(10)
    if command.operation is Operation.READ:
        if device.is_sim_busy:
            return cme(14)
        return Reply((f"+CPIN: {device.sim.state.value}",), has_final=device.personality.has_cpin_ok)
    if command.operation is not Operation.SET or not command.fields:
        return OK if command.operation is Operation.TEST else ERROR
    result = device.sim.enter(command.fields[0], command.fields[1] if len(command.fields) > 1 else None)
    device.log.write(
        device.number,
        "pin",
        result=result.value,
        iccid=device.sim.iccid,
        attempts_left=device.sim.pin_attempts,
    )
    if result is PinResult.ACCEPTED:
        device.surroundings.state_changed()
        return OK
    return cme({PinResult.WRONG: 16, PinResult.PUK_NEEDED: 12, PinResult.NOT_EXPECTED: 3}[result])


def _lock(device: Device, command: Command) -> Reply:
    if command.operation is Operation.TEST:
        return Reply(('+CLCK: ("SC")',))
    if device.sim is None:
        return cme(10)
    if command.fields[:2] != ("SC", "2"):
        return cme(4)
    return Reply((f"+CLCK: {int(device.sim.pin is not None and device.sim.state is not SimState.PUK)}",))


TABLE: Mapping[str, Handler] = {
    "+CGMI": _manufacturer,
    "+GMI": _manufacturer,
    "+CGMM": _model,
    "+GMM": _model,
    "+CGMR": _revision,
    "+GMR": _revision,
    "+CGSN": _serial,
    "+GSN": _serial,
    "I": _information,
    "+CIMI": _subscriber,
    "+CNUM": _own_number,
    "+CPIN": _pin,
    "+CLCK": _lock,
}
