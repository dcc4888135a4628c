"""`phonebridge decode`: what stands in a PDU. Needs no daemon."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agent.cli import output
from agent.cli.exits import Exit, Fault
from agent.cli.options import AsJson
from agent.plan_view import tables
from drivers import sms


def decode(
    pdu: Annotated[str, typer.Argument(metavar="PDU", help="Hexadecimal, with or without the SMSC address.")],
    incoming: Annotated[bool, typer.Option("--incoming", help="It came in (MT).")] = False,
    outgoing: Annotated[bool, typer.Option("--outgoing", help="It goes out (MO).")] = False,
    as_json: AsJson = False,
) -> int:
    """Decode an SMS-SUBMIT, SMS-DELIVER or SMS-STATUS-REPORT."""
    if incoming and outgoing:
        raise Fault("give --incoming or --outgoing, not both", Exit.USAGE)
    direction = sms.Direction.INCOMING if incoming else sms.Direction.OUTGOING if outgoing else None
    try:
        decoded = sms.decode_any(sms.parse_hex("".join(pdu.split())), direction)
    except sms.DecodeError as error:
        raise Fault(f"this is no PDU that phonebridge knows: {error}") from error
    shown = _fields(decoded)
    if as_json:
        output.as_json(shown)
    else:
        output.pairs([(name, _words(value)) for name, value in shown.items()])
    return Exit.OK


_TYPES: dict[type, str] = {
    sms.Submit: "SMS-SUBMIT",
    sms.Deliver: "SMS-DELIVER",
    sms.StatusReport: "SMS-STATUS-REPORT",
}


def _fields(decoded: sms.DecodedPdu) -> dict[str, Any]:
    message = decoded.message
    head = {
        "type": _TYPES[type(message)],
        "smsc": None if decoded.smsc is None else decoded.smsc.number,
        "tpdu_octets": sms.tpdu_octets(decoded.tpdu),
    }
    if isinstance(message, sms.Submit):
        return {**head, **_submit(message)}
    if isinstance(message, sms.Deliver):
        return {**head, **_deliver(message)}
    return {**head, **_report(message)}


def _submit(message: sms.Submit) -> dict[str, Any]:
    return {
        "recipient": message.recipient,
        "tp_mr": message.reference,
        "status_report": message.status_report,
        "validity_s": message.validity_s,
        "valid_until": None if message.valid_until is None else _instant(message.valid_until),
        "reject_duplicates": message.reject_duplicates,
        **_body(message, message.pid),
    }


def _deliver(message: sms.Deliver) -> dict[str, Any]:
    return {
        "sender": message.originator.number,
        "type_of_number": message.originator.ton.name.lower(),
        "scts": _instant(message.scts),
        "more_messages": message.more_messages,
        "reply_path": message.reply_path,
        "header_fault": message.header_fault,
        **_body(message, message.pid),
    }


def _body(message: sms.Submit | sms.Deliver, pid: int) -> dict[str, Any]:
    parts = message.concatenation
    ports = sms.find_ports(message.elements)
    return {
        "tp_pid": f"0x{pid:02X}",
        "purpose": _purpose(message),
        "alphabet": message.alphabet.value,
        "tables": tables(message.elements),
        "message_class": message.message_class,
        "ports": None if ports is None else {"destination": ports.destination, "originator": ports.originator},
        "part": "1 of 1" if parts is None else f"{parts.sequence} of {parts.total}",
        "concatenation": None
        if parts is None
        else {"reference": parts.reference, "sequence": parts.sequence, "total": parts.total, "wide": parts.wide},
        "elements": [
            {"iei": f"0x{ie.identifier:02X}", "data": ie.data.hex(), "name": _ELEMENTS.get(ie.identifier, "")}
            for ie in message.elements
        ],
        "header_octets": _header_octets(message),
        "text": message.text,
        "data": message.body.hex() if message.alphabet is sms.Alphabet.OCTETS else None,
    }


_ELEMENTS = {
    0x00: "concatenation",
    0x01: "message waiting",
    0x04: "8-bit ports",
    0x05: "16-bit ports",
    0x08: "concatenation",
    sms.IE_NATIONAL_SINGLE_SHIFT: "single shift table",
    sms.IE_NATIONAL_LOCKING_SHIFT: "locking shift table",
}


def _header_octets(message: sms.Submit | sms.Deliver) -> int:
    parts = message.concatenation
    return sms.header_octets((*(() if parts is None else (parts.element(),)), *message.elements))


def _purpose(message: sms.Submit | sms.Deliver) -> str | None:
    """What it is for, where it is not just a text."""
    if isinstance(message, sms.Deliver):
        if message.is_type_0:
            return "silent (type 0)"
        if message.replace_type is not None:
            return f"replaces the last of its sender and type {message.replace_type}"
        if message.waiting:
            kept = "" if message.is_waiting_only else ", with a text to keep"
            told = ", ".join(_waiting(item) for item in message.waiting)
            return f"message waiting: {told}{kept}"
    ports = sms.find_ports(message.elements)
    if ports is not None and ports.destination in sms.WAP_PUSH_PORTS:
        return _push(message)
    if ports is not None or message.alphabet is sms.Alphabet.OCTETS:
        return "data"
    return "flash" if message.message_class == 0 else None


def _waiting(item: sms.MessageWaiting) -> str:
    if not item.is_active:
        return f"no {item.kind.name.lower()}"
    return item.kind.name.lower() if not item.count else f"{item.count} {item.kind.name.lower()}"


def _push(message: sms.Submit | sms.Deliver) -> str:
    if message.concatenation is not None:
        return "WAP push, in part"
    try:
        push = sms.decode_push(message.body)
    except sms.DecodeError as error:
        return f"WAP push, damaged: {error}"
    if push.mms is None:
        return f"WAP push: {push.content_type}"
    return f"MMS notification: {push.mms.location}"


def _report(message: sms.StatusReport) -> dict[str, Any]:
    meaning = sms.meaning(message.status)
    return {
        "recipient": message.recipient.number,
        "tp_mr": message.tp_mr,
        "scts": _instant(message.scts),
        "discharged": _instant(message.discharge),
        "tp_st": f"0x{message.status:02X}",
        "outcome": meaning.outcome.value,
        "meaning": meaning.sentence,
    }


def _instant(timestamp: sms.Timestamp) -> str:
    return f"garbled ({timestamp.raw.hex()})" if timestamp.at is None else timestamp.at.isoformat()


def _words(value: Any) -> Any:
    """A value on one line for a person; what says nothing is left out."""
    if value is False or value == []:
        return None
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items() if item is not False)
    if isinstance(value, list):
        return "; ".join(" ".join(filter(None, item.values())) for item in value)
    return "yes" if value is True else value
