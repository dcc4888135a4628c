"""From a text or data to the parts that go on the air, by the settings of a route. Pure."""

from __future__ import annotations

from drivers import sms
from drivers.api import PlannedPart, PlanOptions, Unplannable
from drivers.at.settings import AtSettings

_FLASH = 0
"""Class 0: shown at once and not kept (TS 23.038 §4)."""


def plan(text: str, max_parts: int, options: PlanOptions) -> tuple[PlannedPart, ...]:
    """The parts of one message.

    Raises: Unplannable.
    """
    try:
        segments = _segments(text, options)
    except sms.EncodeError as error:
        raise Unplannable(f"The message cannot be sent as SMS: {error}.") from error
    if len(segments) > max_parts:
        raise Unplannable(f"The message needs {len(segments)} parts, and {max_parts} are allowed (`max_parts`).")
    message_class = _FLASH if options.is_flash else None
    return tuple(
        PlannedPart(part.alphabet.value, part.body, sms.encode_elements(part.elements), message_class)
        for part in segments
    )


def _segments(text: str, options: PlanOptions) -> tuple[sms.Segment, ...]:
    """Raises: sms.EncodeError; Unplannable for nothing to send."""
    # The other side answers to the port that it is told as the originator's; by custom both are the same.
    elements = () if options.port is None else (sms.Ports(options.port, options.port).element(),)
    if options.data is not None:
        if not options.data:
            raise Unplannable("The message is empty.")
        return sms.segment_octets(options.data, elements=elements)
    if not text:
        raise Unplannable("The message is empty.")
    settings = options.settings if isinstance(options.settings, AtSettings) else None
    return sms.segment(
        text,
        national=_national(settings, options.recipient),
        is_smart=settings is not None and settings.smart_encoding,
        elements=elements,
    )


def _national(settings: AtSettings | None, recipient: str) -> sms.NationalTables:
    """The tables for this recipient: by the longest prefix that fits, else the route's."""
    if settings is None:
        return sms.NationalTables.OFF
    fitting = [prefix for prefix in settings.national_tables_by_prefix if recipient.startswith(prefix)]
    if fitting:
        return sms.NationalTables(settings.national_tables_by_prefix[max(fitting, key=len)])
    return sms.NationalTables(settings.national_tables)
