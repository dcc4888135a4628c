"""What tshark's gsm_sms dissector reads in TPDUs: a judge of the codec that shares no line with it.

One tshark process takes a whole list; its start costs far more than a thousand TPDUs.
"""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LINKTYPE_WIRESHARK_UPPER_PDU = 252
# Tags of Wireshark's exported PDUs (epan/exported_pdu.h)
_TAG_END = 0
_TAG_DISSECTOR_NAME = 12
_TAG_P2P_DIRECTION = 35
_SENT, _RECEIVED = 0, 1  # as the SC sees it

_FIELDS = {
    "message_type": "gsm_sms.tp-mti",
    "originator": "gsm_sms.tp-oa",
    "destination": "gsm_sms.tp-da",
    "recipient": "gsm_sms.tp-ra",
    "type_of_number": "gsm_sms.dis_field_addr.num_type",
    "reference": "gsm_sms.tp-mr",
    "pid": "gsm_sms.tp-pid",
    "dcs": "gsm_sms.tp-dcs",
    "user_data_length": "gsm_sms.tp.user_data_length",
    "status_report_request": "gsm_sms.tp-srr",
    "reject_duplicates": "gsm_sms.tp-rd",
    "validity_octet": "gsm_sms.vp.validity_period",
    "message_id": "gsm_sms.udh.mm.msg_id",
    "message_parts": "gsm_sms.udh.mm.msg_parts",
    "message_part": "gsm_sms.udh.mm.msg_part",
    "single_shift": "gsm_sms.dis_iei_lang.single_shift",
    "locking_shift": "gsm_sms.dis_iei_lang.locking_shift",
    "destination_port": "gsm_sms.destination_port",
    "originator_port": "gsm_sms.originator_port",
    "header_length": "gsm_sms.dis_field_udh.user_data_header_length",
    "body": "gsm_sms.sms_body",
    "text": "gsm_sms.sms_text",
    "malformed": "_ws.malformed",
}


@dataclass(frozen=True, slots=True)
class Dissection:
    """One TPDU as tshark reads it, the first value of each field as it prints it; absent fields are None."""

    fields: Mapping[str, str]

    def __getattr__(self, name: str) -> str | None:
        if name not in _FIELDS:
            raise AttributeError(name)
        return self.fields.get(name)

    def number(self, name: str) -> int | None:
        value = self.fields.get(name)
        return None if value is None else int(value, 0)

    def flag(self, name: str) -> bool:
        return self.fields.get(name) in ("1", "True", "true")


def dissect(tpdus: Sequence[str], *, outgoing: bool = False) -> list[Dissection]:
    """Dissects TPDUs given in hexadecimal, without SMSC address; `outgoing`: they are SMS-SUBMITs.

    Parts of long messages are read one by one, not joined.
    """
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "tpdus.pcap"
        capture.write_bytes(_pcap([bytes.fromhex(tpdu) for tpdu in tpdus], outgoing=outgoing))
        command = ["tshark", "-n", "-r", str(capture), "-T", "json", "-o", "gsm_sms.reassemble:FALSE"]
        for field in _FIELDS.values():
            command += ("-e", field)
        finished = subprocess.run(command, capture_output=True, check=True, timeout=60)
    packets = json.loads(finished.stdout)
    if len(packets) != len(tpdus):
        raise RuntimeError(f"tshark read {len(packets)} of {len(tpdus)} TPDUs: {finished.stderr.decode()}")
    return [_dissection(packet["_source"]["layers"]) for packet in packets]


def _dissection(layers: Mapping[str, Sequence[str]]) -> Dissection:
    return Dissection({name: layers[field][0] for name, field in _FIELDS.items() if field in layers})


def _pcap(tpdus: Sequence[bytes], *, outgoing: bool) -> bytes:
    header = _tag(_TAG_DISSECTOR_NAME, b"gsm_sms")
    header += _tag(_TAG_P2P_DIRECTION, struct.pack(">I", _RECEIVED if outgoing else _SENT))
    header += _tag(_TAG_END, b"")
    capture = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, _LINKTYPE_WIRESHARK_UPPER_PDU)
    for tpdu in tpdus:
        frame = header + tpdu
        capture += struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
    return capture


def _tag(number: int, value: bytes) -> bytes:
    return struct.pack(">HH", number, len(value)) + value
