"""Input for fuzzing: recorded dialogues, bent. Pure but for the generator it is given."""

from __future__ import annotations

import random

_PDU = "07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07"
_REPORT = "07917248014000F506B70AA18092020000317071518590803170715185418000"
_DATA_PDU = "0791947106004034440B947106004034F500F53070711234562110" + "0B0504158A0000" + "0003CC0201" + "00AABB"

CORPUS: tuple[bytes, ...] = (
    b"AT+CSQ\r\r\n+CSQ: 20,99\r\n\r\nOK\r\n",
    b'\r\n+CREG: 2,1,"5E25","605F"\r\n\r\nOK\r\n',
    f"\r\n+CMGL: 1,1,,30\r\n{_PDU}\r\n+CMGL: 2,0,,30\r\n{_REPORT}\r\n\r\nOK\r\n".encode(),
    f"\r\n+CMGR: 1,,30\r\n{_DATA_PDU}\r\n\r\nOK\r\n".encode(),
    b"AT+CMGS=20\r\r\n> ",
    b"\r\n>\r\n\r\n+CMGS: 5\r\n\r\nOK\r\n",
    b"\r\n+CMS ERROR: 38\r\n",
    b"\r\n+CME ERROR: SIM busy\r\n",
    f"\r\n+CMT: ,23\r\n{_PDU}\r\n".encode(),
    f"\r\n+CDS: 25\r\n{_REPORT}\r\n".encode(),
    b'\r\n+CMTI: "SM",3\r\n\r\n+CDSI: "SR",8\r\n',
    b"\r\n^RSSI: 17\r\n\r\n^BOOT:12345678,0,0,0,6\r\n\r\n^DSFLOWRPT:0,0,0,0,0,0,0\r\n",
    b'\r\n+CNMI: (0,1,2),(0-3),(0,2),(0-2),(0,1)\r\n\r\nOK\r\n\r\n+CPMS: ("ME","SM"),("ME"),("SM")\r\n\r\nOK\r\n',
    b'\r\n+CPMS: "SM",3,20,"SM",3,20,"ME",0,23\r\n\r\nOK\r\n',
    b'\r\n+COPS: 0,0,"Operator",2\r\n\r\nOK\r\n\r\n+CSCA: "+491710760000",145\r\n\r\nOK\r\n',
    b'\r\n+CNUM: "",+491701234567,145\r\n\r\nOK\r\n\r\n+CCID: 8949000000000000001F\r\n\r\nOK\r\n',
    b'\r\n+CUSD: 0,"AA180C3602",15\r\n\r\nNO CARRIER\r\n',
    b'\r\nRING\r\n\r\n+CLIP: "+491701234567",145,,,,0\r\n\r\nRDY\r\n\r\n+CPIN: READY\r\n',
    b"E173\r\n^RSSI: 3\r\nOK\r\n",
)

_TOKENS: tuple[bytes, ...] = (
    b"\r", b"\n", b"\r\n", b">", b"> ", b" ", b"\x00", b"\xff", b"\x1a", b"\x1b", b"OK", b"ERROR", b":", b",", b'"',
    b"(",
    b")", b"-", b"+CMS ERROR: 1", b"+CMGL: 1,1,,9", b"+CMT: ,9", b"+CDS: 9", b'+CMTI: "SM",1', b"AABB", b"+CMGS: 3",
    b"AT+CMGL=4", b"+CREG: 0,1", b"NO CARRIER", b"CONNECT", b"99999999999999999999", b"-1", b"\xc3\xa4", b"0" * 400,
    b"A" * 2100, b"(" * 300, b'"' * 301, b"1-99999999999", _PDU.encode(), _REPORT.encode(), _DATA_PDU.encode(),
)  # fmt: skip

_MOST_OCTETS = 6000


def generate(dice: random.Random, pool: list[bytes]) -> bytes:
    """The next input: a head that chooses command and chunks, and some dialogues bent by a few mutations."""
    octets = bytearray(b"".join(dice.choice(pool) for _ in range(dice.randint(1, 4))))
    for _ in range(dice.choice((0, 1, 1, 2, 3, 5, 9))):
        _bend(dice, octets)
    return dice.randbytes(4) + bytes(octets[:_MOST_OCTETS])


def _bend(dice: random.Random, octets: bytearray) -> None:
    at = dice.randint(0, len(octets))
    span = slice(at, at + dice.choice((1, 1, 2, 4, 16, 64)))
    match dice.randrange(7):
        case 0:
            octets[at:at] = dice.choice(_TOKENS)
        case 1:
            octets[span] = b""
        case 2 if at < len(octets):
            octets[at] ^= 1 << dice.randrange(8)
        case 3 if at < len(octets):
            octets[at] = dice.randrange(256)
        case 4:
            octets[at:at] = octets[span] * dice.randint(1, 4)
        case 5:
            octets[at:at] = dice.randbytes(dice.randint(1, 8))
        case _:
            octets[span] = dice.choice(_TOKENS)
