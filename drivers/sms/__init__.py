"""The SMS codec: alphabets, addresses, headers, TPDUs, segmenting and the meanings of TP-ST.

Pure functions of bytes and values: no I/O, no clock, no logging, and no knowledge of routes or modems.
"""

from .address import Address, TypeOfNumber, decode_address, decode_smsc, encode_address
from .alphabet import Alphabet, decode_text, encode_text
from .coding import CodingGroup, DataCoding, MessageWaiting, WaitingKind, decode_coding
from .deliver import Deliver, join_text
from .errors import DecodeError, EncodeError, SmsError
from .gsm7 import decode_gsm7, encode_gsm7, is_gsm7, pack_septets, unpack_septets
from .segment import MAX_PARTS, Segment, count_parts, segment, segment_octets
from .status import ReportOutcome, StatusMeaning, meaning
from .status_report import StatusReport
from .submit import Submit
from .timestamp import Timestamp, decode_timestamp, encode_timestamp
from .tpdu import (
    DecodedPdu,
    Direction,
    IncomingPdu,
    decode_any,
    decode_incoming,
    parse_hex,
    pdu_hex,
    tpdu_octets,
)
from .ucs2 import decode_ucs2, encode_ucs2
from .udh import Concatenation, InformationElement, Ports
from .validity import decode_validity, encode_validity

__all__ = [
    "MAX_PARTS",
    "Address",
    "Alphabet",
    "CodingGroup",
    "Concatenation",
    "DataCoding",
    "DecodeError",
    "DecodedPdu",
    "Deliver",
    "Direction",
    "EncodeError",
    "IncomingPdu",
    "InformationElement",
    "MessageWaiting",
    "Ports",
    "ReportOutcome",
    "Segment",
    "SmsError",
    "StatusMeaning",
    "StatusReport",
    "Submit",
    "Timestamp",
    "TypeOfNumber",
    "WaitingKind",
    "count_parts",
    "decode_address",
    "decode_any",
    "decode_coding",
    "decode_gsm7",
    "decode_incoming",
    "decode_smsc",
    "decode_text",
    "decode_timestamp",
    "decode_ucs2",
    "decode_validity",
    "encode_address",
    "encode_gsm7",
    "encode_text",
    "encode_timestamp",
    "encode_ucs2",
    "encode_validity",
    "is_gsm7",
    "join_text",
    "meaning",
    "pack_septets",
    "parse_hex",
    "pdu_hex",
    "segment",
    "segment_octets",
    "tpdu_octets",
    "unpack_septets",
]
