"""Sending, listing, reading, deleting and acknowledging: +CMGS, +CMGW, +CMSS, +CMGL, +CMGR, +CMGD, +CNMA."""

from collections.abc import Mapping

from drivers.simulator.command_line import Command, Operation
from drivers.simulator.commands.handler import Handler
from drivers.simulator.device import Device
from drivers.simulator.personality import EmptySlot
from drivers.simulator.reply import ERROR, OK, OpenPrompt, Reply, SendStored, cms
from drivers.simulator.storage import Memory, MessageStatus, Stored, Union
from drivers.simulator.text_mode import STATUS_WORDS, view

_INVALID_PDU = 304
_INVALID_INDEX = 321
_NO_SERVICE = 331
_NO_ACKNOWLEDGEMENT_EXPECTED = 340
_LIST_ALL = 4


def _send(device: Device, command: Command) -> Reply:
    if command.operation is Operation.TEST:
        return OK
    refusal = device.sim_missing(is_sms=True) or _pdu_refusal(device, command)
    if refusal:
        return refusal
    if not device.is_registered:
        return cms(_NO_SERVICE)
    return Reply(effect=OpenPrompt(int(command.arguments)))


def _write(device: Device, command: Command) -> Reply:
    if command.operation is Operation.TEST:
        return OK
    first = command.fields[0] if command.fields else ""
    plain = Command(command.name, command.operation, first)
    refusal = device.sim_missing(is_sms=True) or _pdu_refusal(device, plain)
    return refusal or Reply(effect=OpenPrompt(int(first), stores=True))


def _pdu_refusal(device: Device, command: Command) -> Reply | None:
    """Text mode and impossible lengths are refused before the prompt."""
    if command.operation is not Operation.SET:
        return ERROR
    if device.settings.is_text_mode or not command.arguments.isdecimal() or int(command.arguments) == 0:
        return cms(_INVALID_PDU)
    return None


def _send_stored(device: Device, command: Command) -> Reply:
    if command.operation is Operation.TEST:
        return OK
    if missing := device.sim_missing(is_sms=True):
        return missing
    memory = device.memory(device.settings.memories[1])
    stored = _slot(memory, command)
    if stored is None or stored.status not in (MessageStatus.UNSENT, MessageStatus.SENT):
        return cms(_INVALID_INDEX)
    return Reply(effect=SendStored(stored.pdu)) if device.is_registered else cms(_NO_SERVICE)


def _list(device: Device, command: Command) -> Reply:
    is_text = device.settings.is_text_mode
    if command.operation is Operation.TEST:
        words = ",".join(f'"{word}"' for word in (*STATUS_WORDS.values(), "ALL"))
        return Reply((f"+CMGL: ({words})" if is_text else "+CMGL: (0-4)",))
    if missing := device.sim_missing(is_sms=True):
        return missing
    memory = device.memory(device.settings.memories[0])
    wanted = _wanted(command, is_text=is_text)
    if memory is None or wanted is None:
        return cms(_INVALID_PDU)
    lines: list[str] = []
    for index, stored in sorted(memory.slots.items()):
        if wanted not in (_LIST_ALL, stored.status):
            continue
        if is_text:
            shown = view(stored)
            lines.append(f'+CMGL: {index},"{STATUS_WORDS[stored.status]}",{shown.header}')
            lines += [shown.body] if shown.body is not None else []
        else:
            lines += [f"+CMGL: {index},{stored.status.value},,{stored.tpdu_octets}", stored.pdu.hex().upper()]
        _read_by(device, memory, index, "CMGL")
    return Reply(tuple(lines))


def _wanted(command: Command, *, is_text: bool) -> int | None:
    """<stat> of +CMGL= as a number; without one the unread messages are meant."""
    if command.operation is Operation.EXECUTE or not command.fields:
        return MessageStatus.UNREAD
    words = {"ALL": _LIST_ALL, **{word: status.value for status, word in STATUS_WORDS.items()}}
    if is_text:
        return words.get(command.fields[0].upper())
    return int(command.fields[0]) if command.fields[0] in ("0", "1", "2", "3", "4") else None


def _read(device: Device, command: Command) -> Reply:
    if command.operation is Operation.TEST:
        return OK
    if missing := device.sim_missing(is_sms=True):
        return missing
    memory = device.memory(device.settings.memories[0])
    stored = _slot(memory, command)
    if memory is None or stored is None:
        numbers = command.numbers
        is_in_range = bool(memory and numbers and numbers[0] and numbers[0] <= memory.capacity)
        empty = device.personality.empty_slot
        if not is_in_range or empty is EmptySlot.INVALID_INDEX:
            return cms(_INVALID_INDEX)
        return OK if empty is EmptySlot.OK else Reply((empty.value,))
    index = int(command.fields[0])
    if device.settings.is_text_mode:
        shown = view(stored)
        lines = [f'+CMGR: "{STATUS_WORDS[stored.status]}",{shown.header}']
        lines += [shown.body] if shown.body is not None else []
    else:
        lines = [f"+CMGR: {stored.status.value},,{stored.tpdu_octets}", stored.pdu.hex().upper()]
    _read_by(device, memory, index, "CMGR")
    return Reply(tuple(lines))


def _delete(device: Device, command: Command) -> Reply:
    memory = device.memory(device.settings.memories[0])
    if command.operation is Operation.TEST:
        indices = ",".join(str(index) for index in sorted(memory.slots)) if memory else ""
        return Reply((f"+CMGD: ({indices}),(0-4)",))
    if missing := device.sim_missing(is_sms=True):
        return missing
    numbers = command.numbers
    if not numbers or numbers[0] is None or memory is None:
        return cms(_INVALID_INDEX)
    flag = (numbers[1] or 0) if len(numbers) > 1 else 0
    if flag > 4 or (flag == 0 and not 1 <= numbers[0] <= memory.capacity):
        return cms(_INVALID_INDEX)
    target = memory.slots.get(numbers[0])
    inbound = target.inbound if target else None
    point = f"+CMGD {numbers[0]}"
    if device.faults.armed and (fault := device.faults.take("delete_fails", point=point, inbound=inbound)):
        is_lie = fault.is_set("lie")
        _log_delete(device, memory, numbers[0], is_done=False)
        return OK if is_lie else cms(int(fault.number("code")))
    doomed = [numbers[0]] if flag == 0 else [i for i, stored in memory.slots.items() if stored.status in _DOOMED[flag]]
    for index in doomed:
        _log_delete(device, memory, index, is_done=index in memory.slots)
        memory.remove(index)
    device.surroundings.space_freed()
    return OK


# <delflag> of 27.005 §3.5.4: which messages go.
_DOOMED = {
    1: {MessageStatus.READ},
    2: {MessageStatus.READ, MessageStatus.SENT},
    3: {MessageStatus.READ, MessageStatus.SENT, MessageStatus.UNSENT},
    4: set(MessageStatus),
}


def _log_delete(device: Device, memory: Memory | Union, index: int, *, is_done: bool) -> None:
    stored = memory.slots.get(index)
    inbound = stored.inbound if stored else None
    device.log.write(device.number, "delete", memory=memory.name, index=index, inbound=inbound, done=is_done)


def _acknowledge(device: Device, command: Command) -> Reply:
    if command.operation is Operation.TEST:
        return Reply(("+CNMA: (0-2)",))
    if device.settings.service != 1 or command.arguments not in ("", "0", "1", "2"):
        return cms(303)
    is_positive = command.arguments != "2"
    return OK if device.surroundings.acknowledge(is_positive=is_positive) else cms(_NO_ACKNOWLEDGEMENT_EXPECTED)


def _slot(memory: Memory | Union | None, command: Command) -> Stored | None:
    numbers = command.numbers
    if memory is None or command.operation is not Operation.SET or not numbers or numbers[0] is None:
        return None
    return memory.slots.get(numbers[0])


def _read_by(device: Device, memory: Memory | Union, index: int, by: str) -> None:
    stored = memory.slots[index]
    device.log.write(device.number, "read", memory=memory.name, index=index, inbound=stored.inbound, by=by)
    memory.mark_read(index)


TABLE: Mapping[str, Handler] = {
    "+CMGS": _send,
    "+CMGW": _write,
    "+CMSS": _send_stored,
    "+CMGL": _list,
    "+CMGR": _read,
    "+CMGD": _delete,
    "+CNMA": _acknowledge,
}
