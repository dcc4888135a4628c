"""The errors of the SMS codec, sorted by what the caller should do.

    SmsError(ValueError)
    ├── EncodeError   the message cannot be expressed: tell its sender, never retry unchanged
    └── DecodeError   the octets break the format: keep them raw, never retry

This module knows no TPDU; only the names and offsets that it is given.
"""

from __future__ import annotations


class SmsError(ValueError):
    """Anything that the codec refuses."""


class EncodeError(SmsError):
    """What is asked for has no encoding; the message says which value and why, in words for its sender."""


class DecodeError(SmsError):
    """Octets that do not follow their format.

    `path` names the field ("deliver.udh.ie"), `octet` is the 0-based offset of the octet at fault. It is
    counted from the first octet of the TPDU; under paths that begin with "pdu" or "smsc", from the first
    octet of the PDU, SMSC address included.
    """

    def __init__(self, path: str, octet: int, why: str) -> None:
        super().__init__(f"{path} at octet {octet}: {why}")
        self.path = path
        self.octet = octet
        self.why = why
