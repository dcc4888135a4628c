"""Messages that gateways of the pool received, as the agent takes them. Pure."""

from __future__ import annotations

from drivers.api import InboundKind, InboundPart
from drivers.mqtt.payloads import InboxMessage

_KINDS = {"text": InboundKind.TEXT, "data": InboundKind.DATA, "wap_push": InboundKind.WAP_PUSH}
_PORT_LIMIT = 1 << 16


def part(iccid: str, device: str, message: InboxMessage) -> InboundPart:
    """One whole message. Its gateway's id stands for the TPDU: by it a repetition is known.

    An MMS notification is passed up as the sentence that the gateway made of it.
    """
    kind = _KINDS.get(message.kind, InboundKind.TEXT)
    octets = _octets(message) if kind is not InboundKind.TEXT else None
    text = message.text or ""
    return InboundPart(
        iccid=iccid,
        sender=message.sender,
        text="" if octets is not None and kind is InboundKind.WAP_PUSH else text,
        alphabet="text" if octets is None else "8bit",
        body=text.encode() if octets is None else octets,
        tpdu=f"{device} {message.id}".encode(),
        scts=message.received_at,
        kind=InboundKind.TEXT if kind is InboundKind.WAP_PUSH and octets is None else kind,
        port=_port(message.details.get("port")),
        source_port=_port(message.details.get("source_port")),
    )


def _octets(message: InboxMessage) -> bytes | None:
    data = message.details.get("data")
    try:
        return bytes.fromhex(data) if isinstance(data, str) else None
    except ValueError:
        return None


def _port(value: object) -> int | None:
    is_port = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _PORT_LIMIT
    return value if is_port and isinstance(value, int) else None
