"""What of the AT dialogue may be logged: PINs at no level, PDUs and numbers shortened, control characters gone.

Pure; the channel calls it for DEBUG only.
"""

from __future__ import annotations

import re

_MAX_CHARACTERS = 200
_PDU = re.compile(r"([0-9A-Fa-f]{12})[0-9A-Fa-f]{12,}")
_NUMBER = re.compile(r"\+?\d{3,}(?=\d{4})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PIN_COMMAND = re.compile(r"(CPIN\w*\s*=|CPWD\s*=|CLCK\s*=).*", re.IGNORECASE)


def clean(text: str, secrets: frozenset[str] = frozenset()) -> str:
    """Return a line as it may stand in a log."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _PIN_COMMAND.sub(r"\1***", _CONTROL.sub("·", text[: 4 * _MAX_CHARACTERS]))
    if (pdu := _PDU.fullmatch(text)) is not None:
        return pdu[1] + "…"
    return _NUMBER.sub("…", text)[:_MAX_CHARACTERS]
