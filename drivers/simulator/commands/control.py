"""V.25ter and general commands: echo, result forms, profiles, power."""

from collections.abc import Mapping

from drivers.simulator.command_line import Command, Operation
from drivers.simulator.commands.handler import Handler
from drivers.simulator.device import Device
from drivers.simulator.reply import ERROR, OK, Reboot, Reply, cme


def _echo(device: Device, command: Command) -> Reply:
    if command.arguments not in ("", "0", "1"):
        return ERROR
    device.settings.has_echo = command.arguments == "1"
    device.setting("E", command.arguments or "0")
    return OK


def _verbose(device: Device, command: Command) -> Reply:
    if command.arguments not in ("", "0", "1"):
        return ERROR
    device.settings.is_verbose = command.arguments == "1"
    return OK


def _quiet(device: Device, command: Command) -> Reply:
    if command.arguments not in ("", "0", "1"):
        return ERROR
    device.settings.is_quiet = command.arguments == "1"
    return OK


def _defaults(device: Device, _: Command) -> Reply:
    device.settings = device.fresh_settings()
    device.setting("&F", 0)
    return OK


def accepted(_: Device, __: Command) -> Reply:
    """A command that changes nothing here."""
    return OK


def reset(_: Device, command: Command) -> Reply:
    """A vendor's own command that restarts the modem."""
    return OK if command.operation is Operation.TEST else Reply(effect=Reboot())


def _hang_up(device: Device, _: Command) -> Reply:
    device.surroundings.hang_up()
    return OK


def _error_level(device: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply((f"+CMEE: {device.settings.error_level}",))
    if command.operation is Operation.TEST:
        return Reply(("+CMEE: (0-2)",))
    if command.arguments not in ("0", "1", "2"):
        return cme(50)
    device.settings.error_level = int(command.arguments)
    device.setting("+CMEE", device.settings.error_level)
    return OK


def _functionality(device: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply((f"+CFUN: {device.functionality}",))
    if command.operation is Operation.TEST:
        return Reply(("+CFUN: (0,1,4),(0,1)",))
    numbers = command.numbers
    if numbers and numbers[0] in device.personality.reset_functions:
        return Reply(effect=Reboot())
    if not numbers or numbers[0] not in (0, 1, 4):
        return cme(50)
    if len(numbers) > 1 and numbers[1] == 1:
        return Reply(effect=Reboot())
    device.functionality = numbers[0]
    device.setting("+CFUN", numbers[0])
    device.surroundings.state_changed()
    return OK


def _capabilities(_: Device, __: Command) -> Reply:
    return Reply(("+GCAP: +CGSM,+DS,+ES",))


TABLE: Mapping[str, Handler] = {
    "E": _echo,
    "V": _verbose,
    "Q": _quiet,
    "Z": _defaults,
    "&F": _defaults,
    "&C": accepted,
    "&D": accepted,
    "&K": accepted,
    "&W": accepted,
    "X": accepted,
    "H": _hang_up,
    "S0": accepted,
    "S3": accepted,
    "S4": accepted,
    "S5": accepted,
    "S7": accepted,
    "+IPR": accepted,
    "+IFC": accepted,
    "+CHUP": _hang_up,
    "+CMEE": _error_level,
    "+CFUN": _functionality,
    "+GCAP": _capabilities,
}
