"""The simulator's own TPDU reader and writer. Vectors are laid out by hand after TS 23.040 unless they name
another source."""

from __future__ import annotations

import random
import shutil

import pytest

from drivers.simulator import alphabet, segments, tpdu
from drivers.simulator.tpdu import Address, Coding, Concatenation, TpduError
from tests import tshark

AT_S = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        pytest.param("hellohello", "E8329BFD4697D9EC37", id="widely-published-tutorial"),
        pytest.param("Test", "D4F29C0E", id="four-septets"),
        pytest.param("€", "9B32", id="extension-takes-two-septets"),
        pytest.param("@£$¥", "80806000", id="low-values"),
        pytest.param("", "", id="empty"),
    ],
)
def test_gsm7_packs(text: str, packed: str) -> None:
    septets = alphabet.encode(text)
    assert alphabet.pack(septets).hex().upper() == packed
    assert alphabet.decode(alphabet.unpack(bytes.fromhex(packed), len(septets))) == text


@pytest.mark.parametrize("fill", range(7))
def test_pack_and_unpack_agree_for_every_fill(fill: int) -> None:
    septets = bytes(range(128))
    assert alphabet.unpack(alphabet.pack(septets, fill), 128, fill) == septets


def test_alphabet_has_128_distinct_characters() -> None:
    assert len(set(alphabet.BASIC)) == 128


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        pytest.param(b"\x1b\x65", "€", id="known-extension"),
        pytest.param(b"\x1b\x41", "A", id="unknown-extension-shows-the-basic-character"),
        pytest.param(b"A\x1b", "A ", id="lone-escape-at-the-end"),
        pytest.param(b"\x1b\x1b", " ", id="reserved-second-escape"),
    ],
)
def test_escapes_decode(septets: bytes, text: str) -> None:
    assert alphabet.decode(septets) == text


SUBMITS = [
    pytest.param("0011000B916407281553F80000AA0AE8329BFD4697D9EC37", "+46708251358", "hellohello", id="international"),
    pytest.param("000100058121 43F5 0000 01 41", "12345", "A", id="short-code"),
    pytest.param("00010003812143F60000" + "01" + "41", None, None, id="digits-fewer-than-octets"),
    pytest.param("0001000491 2143 0008 04 D83DDE00", "+1234", "\U0001f600", id="surrogate-pair"),
    pytest.param("0001000491 2143 0004 02 4142", "+1234", None, id="eight-bit"),
    pytest.param("0741 0001 00", None, None, id="cut-off"),
    pytest.param("0001000491 2143 0000 02 41", None, None, id="udl-longer-than-the-octets"),
    pytest.param("0001000491 2143 0000 01 4100", None, None, id="octets-left-over"),
    pytest.param("0000000491 2143 0000 01 41", None, None, id="not-a-submit"),
    pytest.param("0001000091 0000 01 41", None, None, id="no-digits"),
    pytest.param("0041000491 2143 0008 03 050003", None, None, id="udhl-beyond-the-data"),
    pytest.param("0041000491 2143 0008 06 050004010201", None, None, id="ie-longer-than-its-header"),
    pytest.param("0001000491 2143 0008 03 004100", None, None, id="odd-ucs2"),
    pytest.param("0001000411 2143 0000 01 41", None, None, id="address-without-extension-bit"),
    pytest.param("00010004912F43 0000 01 41", None, None, id="filler-inside"),
]


@pytest.mark.parametrize(("pdu", "number", "text"), SUBMITS)
def test_submit_is_read_or_refused(pdu: str, number: str | None, text: str | None) -> None:
    octets = bytes.fromhex(pdu)
    if number is None:
        with pytest.raises(TpduError):
            tpdu.read_submit(octets)
        return
    submit = tpdu.read_submit(octets)
    assert submit.recipient.number == number
    assert submit.user_data.text == text


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param("0003AA0302", Concatenation(0xAA, 3, 2, 8), id="8-bit"),
        pytest.param("0804ABCD0201", Concatenation(0xABCD, 2, 1, 16), id="16-bit"),
        pytest.param("0003AA0300", None, id="sequence-zero-is-ignored"),
        pytest.param("0003AA0203", None, id="sequence-beyond-total-is-ignored"),
        pytest.param("2501012401020003010101", Concatenation(1, 1, 1, 8), id="behind-other-elements"),
    ],
)
def test_concatenation_is_read(header: str, expected: Concatenation | None) -> None:
    udh = bytes.fromhex(header)
    data = bytes([len(udh)]) + udh + "ü".encode("utf-16-be")
    octets = bytes.fromhex("0041000491 2143 0008") + bytes([len(data)]) + data
    read = tpdu.read_submit(octets).user_data
    assert read.concatenation == expected
    assert read.text == "ü"


def test_national_tables_are_named_and_not_guessed_at() -> None:
    udh = bytes.fromhex("250101240103")
    head = bytes([len(udh)]) + udh
    octets = bytes.fromhex("0041000491 2143 0000") + bytes([8 + 1]) + head + alphabet.pack(b"A", 0)
    data = tpdu.read_submit(octets).user_data
    assert (data.locking, data.single, data.text) == (1, 3, None)


@pytest.mark.parametrize(
    ("number", "field"),
    [
        pytest.param("+46708251358", "0B916407281553F8", id="international"),
        pytest.param("12345", "05812143F5", id="short-code"),
        pytest.param("Bank", "07D0C2B07B0D", id="alphanumeric"),
    ],
)
def test_address_is_written(number: str, field: str) -> None:
    assert tpdu.write_address(tpdu.address_of(number)).hex().upper() == field


@pytest.mark.parametrize("sender", ["+491701234567", "22833", "Vodafone", "My Bank"])
@pytest.mark.parametrize("text", ["", "Hello @€ {x}", "Grüße ñ", "Привет 👍", "x" * 160, "ж" * 70])
def test_deliver_round_trip(sender: str, text: str) -> None:
    octets = tpdu.write_deliver(tpdu.address_of(sender), text, AT_S)
    read = tpdu.read_deliver(octets)
    assert (read.sender.number, read.user_data.text) == (sender, text)


@pytest.mark.parametrize("status", [0x00, 0x20, 0x46, 0x63])
def test_status_report_round_trip(status: int) -> None:
    octets = tpdu.write_status_report(200, Address("+46708251358", 0x91), AT_S, AT_S + 5, status)
    read = tpdu.read_status_report(octets)
    assert (read.reference, read.recipient.number, read.status) == (200, "+46708251358", status)
    assert read.timestamp < read.discharge


@pytest.mark.parametrize(
    ("scheme", "coding", "kind"),
    [
        pytest.param(0x00, Coding.GSM7, None, id="default"),
        pytest.param(0x04, Coding.OCTETS, None, id="8-bit"),
        pytest.param(0x08, Coding.UCS2, None, id="ucs2"),
        pytest.param(0x10, Coding.GSM7, 0, id="class-0"),
        pytest.param(0x1A, Coding.UCS2, 2, id="ucs2-class-2"),
        pytest.param(0xF2, Coding.GSM7, 2, id="group-f-class-2"),
        pytest.param(0xF5, Coding.OCTETS, 1, id="group-f-8-bit"),
        pytest.param(0xE0, Coding.UCS2, None, id="waiting-indication-ucs2"),
        pytest.param(0xC8, Coding.GSM7, None, id="waiting-indication"),
    ],
)
def test_coding_scheme(scheme: int, coding: Coding, kind: int | None) -> None:
    assert (tpdu.coding_of(scheme), tpdu.class_of(scheme)) == (coding, kind)


@pytest.mark.parametrize(
    ("text", "bits", "sizes"),
    [
        pytest.param("x" * 160, 8, [160], id="gsm7-one"),
        pytest.param("x" * 161, 8, [153, 8], id="gsm7-two"),
        pytest.param("x" * 161, 16, [152, 9], id="gsm7-16-bit-reference"),
        pytest.param("x" * 152 + "€" + "y" * 10, 8, [152, 11], id="escape-pair-stays-whole"),
        pytest.param("ж" * 71, 8, [67, 4], id="ucs2-two"),
        pytest.param("ж" * 66 + "👍" + "ж" * 10, 8, [66, 11], id="surrogate-pair-stays-whole"),
    ],
)
def test_long_texts_are_cut(text: str, bits: int, sizes: list[int]) -> None:
    parts = segments.deliver_parts("+491701234567", text, AT_S, reference=7, reference_bits=bits)
    assert [len(part.text) for part in parts] == sizes
    read = [tpdu.read_deliver(part.tpdu).user_data for part in parts]
    assert "".join(data.text or "" for data in read) == text
    if len(parts) > 1:
        assert [data.concatenation for data in read] == [
            Concatenation(7, len(parts), part.sequence, bits) for part in parts
        ]


def test_more_than_255_parts_are_refused() -> None:
    with pytest.raises(TpduError):
        segments.deliver_parts("+491701234567", "x" * (153 * 255 + 1), AT_S, reference=1)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="Debian's tshark is not installed")
def test_tshark_reads_the_same() -> None:
    chance = random.Random(3)
    letters = [letter for letter in alphabet.BASIC if letter >= " "]
    letters += [letter for letter in alphabet.EXTENSION.values() if letter != "\f"]
    parts: list[segments.Part] = []
    for number in range(120):
        choice = "жЖ漢字😀a1 äé" if number % 3 == 0 else letters
        text = "".join(chance.choice(choice) for _ in range(chance.randint(1, 400)))
        sender, bits = f"+49170{chance.randint(10**6, 10**7)}", chance.choice((8, 16))
        reference = chance.randrange(65536)
        parts += segments.deliver_parts(sender, text, AT_S, reference=reference, reference_bits=bits)
    delivered = tshark.dissect([part.tpdu.hex() for part in parts])
    assert [read.text for read in delivered] == [part.text for part in parts]
    # The same address and user data in a SUBMIT with one octet of validity instead of the time stamp.
    submits: list[bytes] = []
    for part in parts:
        head = 1 + len(tpdu.write_address(tpdu.read_deliver(part.tpdu).sender))
        first = bytes([0x31 | (part.tpdu[0] & 0x40), 0])
        submits.append(first + part.tpdu[1 : head + 2] + b"\xaa" + part.tpdu[head + 9 :])
    sent = tshark.dissect([submit.hex() for submit in submits], outgoing=True)
    for read, submit in zip(sent, submits, strict=True):
        own = tpdu.read_submit(b"\0" + submit).user_data
        assert read.text == own.text
        if own.concatenation is not None:
            place = (read.number("message_parts"), read.number("message_part"))
            assert place == (own.concatenation.total, own.concatenation.sequence)
