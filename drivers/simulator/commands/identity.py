"""Who modem and SIM are, and the SIM's PIN."""

from collections.abc import Mapping

from drivers.simulator.command_line import Command, Operation
from drivers.simulator.commands.handler import Handler
from drivers.simulator.device import Device
from drivers.simulator.reply import ERROR, OK, Reply, cme
from drivers.simulator.sim import PinResult, SimState


def iccid_handler(prefix: str) -> Handler:
    """A handler that answers the ICCID behind `prefix`; it can be read before the PIN."""

    def iccid(device: Device, _: Command) -> Reply:
        return Reply((f"{prefix}{device.sim.iccid}",)) if device.sim else cme(10)

    return iccid


def _manufacturer(device: Device, _: Command) -> Reply:
    return Reply((device.personality.manufacturer,))


def _model(device: Device, _: Command) -> Reply:
    return Reply((device.personality.model,))


def _revision(device: Device, _: Command) -> Reply:
    return Reply((device.personality.revision,))


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
        return Reply((f"+CPIN: {device.sim.state.value}",))
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


def _attempts(device: Device, _: Command) -> Reply:
    if device.sim is None:
        return cme(10)
    sim = device.sim
    return Reply((f"+CPINR: SIM PIN,{sim.pin_attempts},3", f"+CPINR: SIM PUK,{sim.puk_attempts},10"))


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
    "+CPINR": _attempts,
    "+CLCK": _lock,
}
