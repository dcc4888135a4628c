"""How messages are formed, stored and announced: +CSMS, +CMGF, +CPMS, +CSCA, +CNMI, +CMMS and their kin."""

from collections.abc import Mapping

from drivers.simulator.command_line import Command, Operation
from drivers.simulator.commands.handler import Handler
from drivers.simulator.device import Device
from drivers.simulator.personality import MemoryForm
from drivers.simulator.reply import ERROR, OK, Reply, cms
from drivers.simulator.settings import Cnmi

_NOT_ALLOWED = 302
_NOT_SUPPORTED = 303
_INVALID_TEXT_PARAMETER = 305


def _service(device: Device, command: Command) -> Reply:
    match command.operation:
        case Operation.READ:
            return Reply((f"+CSMS: {device.settings.service},1,1,1",))
        case Operation.TEST:
            return Reply(("+CSMS: (0,1)",))
        case Operation.SET if command.arguments in ("0", "1"):
            device.settings.service = int(command.arguments)
            device.setting("+CSMS", device.settings.service)
            return Reply(("+CSMS: 1,1,1",))
        case _:
            return cms(_NOT_SUPPORTED)


def _format(device: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply((f"+CMGF: {int(device.settings.is_text_mode)}",))
    if command.operation is Operation.TEST:
        return Reply(("+CMGF: (0,1)",))
    if command.arguments not in ("0", "1"):
        return cms(_INVALID_TEXT_PARAMETER)
    device.settings.is_text_mode = command.arguments == "1"
    device.setting("+CMGF", command.arguments)
    return OK


def _text_header(device: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply((f"+CSDH: {device.settings.text_header}",))
    if command.operation is Operation.TEST:
        return Reply(("+CSDH: (0,1)",))
    device.settings.text_header = int(command.arguments == "1")
    return OK


def _text_parameters(_: Device, command: Command) -> Reply:
    return Reply(("+CSMP: 17,167,0,0",)) if command.operation is Operation.READ else OK


def _memories(device: Device, command: Command) -> Reply:
    if missing := device.sim_missing(is_sms=True):
        return missing
    groups = device.personality.memory_groups
    match command.operation:
        case Operation.TEST:
            return Reply((f"+CPMS: {_groups(device)}",))
        case Operation.READ:
            shown = (f'"{name}",{_usage(device, name)}' for name in device.settings.memories[: len(groups)])
            return Reply((f"+CPMS: {','.join(shown)}",))
        case Operation.SET if len(command.fields) in device.personality.memory_arguments:
            pass
        case _:
            return cms(_INVALID_TEXT_PARAMETER)
    chosen = list(device.settings.memories)
    for place, name in enumerate(command.fields):
        if place >= len(groups) or name not in groups[place]:
            return cms(_NOT_ALLOWED)
        chosen[place] = name
    device.settings.memories = chosen
    device.setting("+CPMS", ",".join(chosen))
    device.surroundings.space_freed()  # another mem3 may have room for what the network holds
    return Reply((f"+CPMS: {','.join(_usage(device, name) for name in chosen[: len(groups)])}",))


def _groups(device: Device) -> str:
    row = device.personality
    quoted = [",".join(f'"{name}"' for name in group) for group in row.memory_groups]
    match row.memory_form:
        case MemoryForm.GROUPS:
            return ",".join(f"({group})" for group in quoted)
        case MemoryForm.NESTED:
            return f"({','.join(f'({group})' for group in quoted)})"
        case MemoryForm.PLAIN:
            return ",".join(quoted)
        case MemoryForm.EMPTY:
            return ""


def _usage(device: Device, name: str) -> str:
    memory = device.memory(name)
    return f"{memory.used},{memory.capacity}" if memory is not None else "0,0"


def _service_centre(device: Device, command: Command) -> Reply:
    if missing := device.sim_missing(is_sms=True):
        return missing
    if command.operation is Operation.READ:
        number = device.service_centre()
        row = device.personality
        kind = f",{145 if number.startswith('+') else 129}" if row.smsc_has_type else ""
        shown = number.encode("utf-16-be").hex().upper() if row.smsc_is_ucs2 else device.shown(number)
        return Reply((f'+CSCA: "{shown}"{kind}',))
    if command.operation is Operation.TEST:
        return OK
    if not command.fields:
        return cms(_INVALID_TEXT_PARAMETER)
    number = device.understood(command.fields[0])
    if len(command.fields) > 1 and command.fields[1] == "145" and not number.startswith("+"):
        number = f"+{number}"
    if not number.removeprefix("+").isdecimal():
        return cms(_INVALID_TEXT_PARAMETER)
    device.inserted.smsc = number
    device.setting("+CSCA", number)
    return OK


def _indications(device: Device, command: Command) -> Reply:
    allowed = device.personality.cnmi
    cnmi = device.settings.cnmi
    if command.operation is Operation.READ:
        return Reply((f"+CNMI: {cnmi.mode},{cnmi.mt},{cnmi.bm},{cnmi.ds},{cnmi.bfr}",))
    ranges = (allowed.mode, allowed.mt, allowed.bm, allowed.ds, allowed.bfr)
    if command.operation is Operation.TEST:
        return Reply((f"+CNMI: {','.join(_listed(values) for values in ranges)}",))
    return device.sim_missing(is_sms=True) or _set_indications(device, command.numbers, ranges)


def _set_indications(
    device: Device, numbers: tuple[int | None, ...] | None, ranges: tuple[tuple[int, ...], ...]
) -> Reply:
    if numbers is None or not 1 <= len(numbers) <= len(ranges):
        return cms(_INVALID_TEXT_PARAMETER)
    cnmi = device.settings.cnmi
    # An omitted value at the end is 0 where that is allowed (27.005 §3.4.1 defaults), one inside is left as it is.
    current = (cnmi.mode, cnmi.mt, cnmi.bm, cnmi.ds, cnmi.bfr)
    values = [number if number is not None else current[place] for place, number in enumerate(numbers)]
    values += [0 if 0 in choices else choices[0] for choices in ranges[len(values) :]]
    row = device.personality
    is_direct = values[1] in (2, 3) or values[3] == 1
    if values[3] in row.cnmi.lies or (row.needs_phase_2_plus and is_direct and device.settings.service == 0):
        return cms(_NOT_SUPPORTED)
    if any(value not in choices for value, choices in zip(values, ranges, strict=True)):
        return cms(_NOT_SUPPORTED)
    if device.faults.armed and (refused := device.faults.take("cnmi_refused", point="+CNMI", ds=values[3])):
        return cms(int(refused.number("code")))
    device.settings.cnmi = Cnmi(*values)
    device.setting("+CNMI", ",".join(str(value) for value in values))
    device.surroundings.routing_changed()
    return OK


def _listed(values: tuple[int, ...]) -> str:
    if len(values) > 2 and values == tuple(range(values[0], values[-1] + 1)):
        return f"({values[0]}-{values[-1]})"
    return f"({','.join(str(value) for value in values)})"


def _more_messages(device: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply((f"+CMMS: {device.settings.more_messages}",))
    if command.operation is Operation.TEST:
        return Reply(("+CMMS: (0-2)",))
    if command.arguments not in ("0", "1", "2"):
        return cms(_NOT_SUPPORTED)
    device.settings.more_messages = int(command.arguments)
    device.setting("+CMMS", command.arguments)
    return OK


def _packet_service(device: Device, command: Command) -> Reply:
    if command.operation is Operation.READ:
        return Reply((f"+CGSMS: {device.settings.sms_service}",))
    if command.operation is Operation.TEST:
        return Reply(("+CGSMS: (0-3)",))
    if command.arguments not in ("0", "1", "2", "3"):
        return ERROR
    device.settings.sms_service = int(command.arguments)
    return OK


def _broadcast(_: Device, command: Command) -> Reply:
    return Reply(('+CSCB: 0,"",""',)) if command.operation is Operation.READ else OK


TABLE: Mapping[str, Handler] = {
    "+CSMS": _service,
    "+CMGF": _format,
    "+CSDH": _text_header,
    "+CSMP": _text_parameters,
    "+CPMS": _memories,
    "+CSCA": _service_centre,
    "+CNMI": _indications,
    "+CMMS": _more_messages,
    "+CGSMS": _packet_service,
    "+CSCB": _broadcast,
}
