"""The SMS codec: alphabets, addresses, headers, TPDUs, segmenting and the meanings of TP-ST.

Pure functions of bytes and values: no I/O, no clock, no logging, and no knowledge of routes or modems.
"""

from .address import Address, TypeOfNumber, decode_address, decode_smsc, encode_address
from .alphabet import Alphabet, decode_text, encode_text
from .choice import NationalTables, simplified
from .coding import CodingGroup, DataCoding, MessageWaiting, WaitingKind, decode_coding
from .deliver import Deliver, join_text
from .errors import DecodeError, EncodeError, SmsError
from .gsm7 import decode_gsm7, encode_gsm7, is_gsm7, pack_septets, unpack_septets
from .national import LANGUAGES
from .segment import MAX_PARTS, Segment, count_parts, header_octets, room, segment, segment_octets
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
from .udh import (
    IE_NATIONAL_LOCKING_SHIFT,
    IE_NATIONAL_SINGLE_SHIFT,
    Concatenation,
    InformationElement,
    Ports,
    decode_header,
    encode_elements,
    find_language,
    find_ports,
)
from .validity import decode_validity, encode_validity
from .wap_push import PORTS as WAP_PUSH_PORTS
from .wap_push import MmsNotification, WapPush, decode_push

__all__ = [
    "IE_NATIONAL_LOCKING_SHIFT",
    "IE_NATIONAL_SINGLE_SHIFT",
    "LANGUAGES",
    "MAX_PARTS",
    "WAP_PUSH_PORTS",
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
    "MmsNotification",
    "NationalTables",
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
    "WapPush",
    "count_parts",
    "decode_address",
    "decode_any",
    "decode_coding",
    "decode_gsm7",
    "decode_header",
    "decode_incoming",
    "decode_push",
    "decode_smsc",
    "decode_text",
    "decode_timestamp",
    "decode_ucs2",
    "decode_validity",
    "encode_address",
    "encode_elements",
    "encode_gsm7",
    "encode_text",
    "encode_timestamp",
    "encode_ucs2",
    "encode_validity",
    "find_language",
    "find_ports",
    "header_octets",
    "is_gsm7",
    "join_text",
    "meaning",
    "pack_septets",
    "parse_hex",
    "pdu_hex",
    "room",
    "segment",
    "segment_octets",
    "simplified",
    "tpdu_octets",
    "unpack_septets",
]
