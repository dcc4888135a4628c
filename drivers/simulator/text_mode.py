"""How text mode shows a stored PDU (27.005 §3.4): sender, time, text. Pure."""

from dataclasses import dataclass

from drivers.simulator import tpdu
from drivers.simulator.storage import MessageStatus, Stored

STATUS_WORDS = {
    MessageStatus.UNREAD: "REC UNREAD",
    MessageStatus.READ: "REC READ",
    MessageStatus.UNSENT: "STO UNSENT",
    MessageStatus.SENT: "STO SENT",
}


@dataclass(frozen=True, slots=True)
class TextView:
    """What stands behind <stat> in +CMGR and +CMGL, and the body line (None for a report)."""

    header: str
    body: str | None


def view(stored: Stored) -> TextView:
    """The stored PDU as text mode shows it: text that is not GSM 7-bit, and what cannot be read, as hexadecimal."""
    _, octets = tpdu.split_smsc(stored.pdu)
    try:
        return _view(stored, octets)
    except tpdu.TpduError:
        return TextView('"",,""', octets.hex().upper())


def _view(stored: Stored, octets: bytes) -> TextView:
    if stored.status in (MessageStatus.UNSENT, MessageStatus.SENT):
        submit = tpdu.read_submit(stored.pdu)
        return TextView(f'"{submit.recipient.number}",', _body(submit.user_data))
    if octets[0] & 0x03 == 0x02:
        report = tpdu.read_status_report(octets)
        return TextView(report_fields(report), None)
    deliver = tpdu.read_deliver(octets)
    return TextView(f'"{deliver.sender.number}",,"{deliver.timestamp}"', _body(deliver.user_data))


def report_fields(report: tpdu.StatusReport) -> str:
    """<fo>,<mr>,<ra>,<tora>,<scts>,<dt>,<st> of a report."""
    return (
        f'6,{report.reference},"{report.recipient.number}",{report.recipient.kind},'
        f'"{report.timestamp}","{report.discharge}",{report.status}'
    )


def _body(data: tpdu.UserData) -> str:
    return data.text if data.text is not None and data.coding is tpdu.Coding.GSM7 else data.octets.hex().upper()
