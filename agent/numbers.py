"""Which numbers can be dialled, and national ones in E.164. Pure."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\s().\-/\u00a0]+")
_DIALABLE = re.compile(r"\+?[0-9]{3,15}")
_SHORT_CODE_DIGITS = 6
# 15 digits of E.164 behind the prefix for international calls that a region has, e.g. 011.
_NATIONAL = re.compile(r"[0-9]{3,18}")


class NotDialable(ValueError):
    """No number that a network would take. `str()` is one sentence."""


def dialable(given: str, region: str | None) -> str:
    """The number as it goes on the air: 3 to 15 digits, optional +.

    With a region (ISO 3166 alpha-2), a national number becomes E.164; a short code, and what the region's
    numbering plan does not know, stays as it is. 00… is the international prefix only where the region says so.
    Raises: NotDialable.
    """
    number = _SEPARATORS.sub("", given.strip())
    if region is not None and _NATIONAL.fullmatch(number) and len(number) > _SHORT_CODE_DIGITS:
        number = _national_to_e164(number, region)
    if not _DIALABLE.fullmatch(number):
        shown = given.strip()[:20]
        raise NotDialable(
            f'"{shown}" is not a phone number: 3 to 15 digits with an optional + are'
            if shown
            else "there is no recipient"
        )
    return number


def _national_to_e164(number: str, region: str) -> str:
    # Imported here: the metadata costs memory that only who configured a region should pay.
    import phonenumbers  # noqa: PLC0415

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return number
    if not phonenumbers.is_possible_number(parsed):
        return number
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
