"""From a PDU in hexadecimal to the event that the agent understands. Pure; the only place that reads incoming TPDUs."""

from __future__ import annotations

from drivers import sms
from drivers.api import InboundKind, InboundPart, ReportOutcome, StatusReport, UndecodablePdu, Waiting


def decode(iccid: str, pdu: str) -> InboundPart | StatusReport | UndecodablePdu:
    """Return what a PDU is; never raises, since what cannot be decoded has to be kept too."""
    try:
        octets = sms.parse_hex(pdu)
    except sms.DecodeError as error:
        return UndecodablePdu(iccid, pdu.encode("latin-1", "replace"), str(error))
    try:
        incoming = sms.decode_incoming(octets)
    except sms.DecodeError as error:
        return UndecodablePdu(iccid, octets, str(error))
    message = incoming.message
    if isinstance(message, sms.StatusReport):
        return _report(iccid, message, incoming.tpdu)
    return _inbound(iccid, message, incoming.tpdu)


def _report(iccid: str, report: sms.StatusReport, tpdu: bytes) -> StatusReport:
    meaning = sms.meaning(report.status)
    return StatusReport(
        iccid=iccid,
        tp_mr=report.tp_mr,
        recipient=report.recipient.number,
        status=report.status,
        outcome=ReportOutcome(meaning.outcome.value),
        sentence=meaning.sentence,
        tpdu=tpdu,
    )


def _inbound(iccid: str, message: sms.Deliver, tpdu: bytes) -> InboundPart:
    when = message.scts.at
    part = message.concatenation
    ports = message.ports
    return InboundPart(
        iccid=iccid,
        sender=message.originator.number,
        text=message.text,
        alphabet=message.alphabet.value,
        body=message.body,
        tpdu=tpdu,
        scts=when.isoformat() if when is not None else None,
        reference=part.reference if part is not None else None,
        wide_reference=part.wide if part is not None else False,
        total=part.total if part is not None else 1,
        sequence=part.sequence if part is not None else 1,
        message_class=message.message_class,
        kind=_kind(message),
        port=ports.destination if ports is not None else None,
        source_port=ports.originator if ports is not None else None,
        replace_type=message.replace_type,
        tables=message.languages,
        waiting=tuple(Waiting(item.kind.name.lower(), item.is_active, item.count) for item in message.waiting),
    )


def _kind(message: sms.Deliver) -> InboundKind:
    if message.is_type_0:
        return InboundKind.SILENT
    if message.is_waiting_only:
        return InboundKind.WAITING
    ports = message.ports
    if ports is not None and ports.destination in sms.WAP_PUSH_PORTS:
        return InboundKind.WAP_PUSH
    if ports is not None or message.alphabet is sms.Alphabet.OCTETS:
        return InboundKind.DATA
    return InboundKind.TEXT
