"""From a text or data to the one job of a pool, and back. Pure.

The gateway that sends it splits it, by the alphabets of its own routes; counted here it is only to refuse at once what
no gateway would take.
"""

from __future__ import annotations

from typing import Any

from drivers import sms
from drivers.api import PartToSend, PlannedPart, PlanOptions, Unplannable
from drivers.mqtt.payloads import LONGEST_TEXT_CHARACTERS

_TEXT, _DATA = "text", "8bit"
_FLASH = 0
"""Class 0: shown at once and not kept (TS 23.038 §4)."""


class NotOfAPool(ValueError):
    """A part that another kind of route planned."""


def plan(text: str, max_parts: int, options: PlanOptions) -> tuple[PlannedPart, ...]:
    """Raises: Unplannable."""
    elements = () if options.port is None else (sms.Ports(options.port, options.port).element(),)
    if not (text if options.data is None else options.data):
        raise Unplannable("The message is empty.")
    if len(text) > LONGEST_TEXT_CHARACTERS:
        raise Unplannable(f"The text has {len(text)} characters; {LONGEST_TEXT_CHARACTERS} are the most.")
    try:
        if options.data is None:
            parts = sms.segment(text, national=sms.NationalTables.OFF, is_smart=False, elements=elements)
        else:
            parts = sms.segment_octets(options.data, elements=elements)
    except sms.EncodeError as error:
        raise Unplannable(f"The message cannot be sent as SMS: {error}.") from error
    if len(parts) > max_parts:
        raise Unplannable(f"The message needs {len(parts)} parts, and {max_parts} are allowed (`max_parts`).")
    body = text.encode() if options.data is None else options.data
    alphabet = _TEXT if options.data is None else _DATA
    message_class = _FLASH if options.is_flash else None
    return (PlannedPart(alphabet, body, sms.encode_elements(elements), message_class),)


def order(part: PartToSend) -> dict[str, Any]:
    """The keys of a job that say what is sent. Raises: NotOfAPool."""
    if part.alphabet not in (_TEXT, _DATA) or part.total != 1:
        raise NotOfAPool(part.alphabet)
    found: dict[str, Any] = {}
    if part.alphabet == _TEXT:
        found["text"] = part.body.decode()
    else:
        found["data"] = part.body.hex()
    if part.header:
        ports = sms.find_ports(sms.decode_header(part.header))
        if ports is None:
            raise NotOfAPool("header")
        found["port"] = ports.destination
    if part.message_class is not None:
        found["flash"] = True
    return found
