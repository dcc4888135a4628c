"""GSM 7-bit, national tables and UCS2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sms import (
    Alphabet,
    DecodeError,
    EncodeError,
    decode_gsm7,
    decode_text,
    decode_ucs2,
    encode_gsm7,
    encode_ucs2,
    is_gsm7,
    pack_septets,
    unpack_septets,
)
from drivers.sms.national import DEFAULT, DEFAULT_EXTENSION, LOCKING, SINGLE

GSM7_CHARACTERS = sorted(set(DEFAULT + DEFAULT_EXTENSION))
gsm7_texts = st.text(st.sampled_from(GSM7_CHARACTERS))
septets = st.binary(max_size=200).map(lambda octets: bytes(octet & 0x7F for octet in octets))


@pytest.mark.parametrize(
    ("text", "septets"),
    [
        pytest.param("@£$¥", "00010203", id="first row, TS 23.038 §6.2.1"),
        pytest.param("äöñüà", "7b7c7d7e7f", id="last row, TS 23.038 §6.2.1"),
        pytest.param("Δ_ΦΓΛΩΠΨΣΘΞ", "101112131415161718191a", id="Greek capitals, TS 23.038 §6.2.1"),
        pytest.param("\f^{}\\[~]|€", "1b0a1b141b281b291b2f1b3c1b3d1b3e1b401b65", id="extension, §6.2.1.1"),
        pytest.param("a\r\nb", "610d0a62", id="line ends"),
        pytest.param("", "", id="empty"),
    ],
)
def test_gsm7_both_ways(text: str, septets: str) -> None:
    assert encode_gsm7(text).hex() == septets
    assert decode_gsm7(bytes.fromhex(septets)) == text


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        pytest.param("411b42", "AB", id="not in the extension table: the character of the alphabet, §6.2.1.1"),
        pytest.param("411b1b42", "A B", id="escape to another extension table: a space, §6.2.1.1"),
        pytest.param("411b", "A ", id="escape at the end: a space"),
        pytest.param("1b1b1b65", " €", id="the pair of escapes ends before a third"),
        pytest.param("c1", "A", id="the eighth bit is ignored"),
    ],
)
def test_gsm7_decodes_what_nobody_should_send(septets: str, text: str) -> None:
    assert decode_gsm7(bytes.fromhex(septets)) == text


@pytest.mark.parametrize(
    ("septets", "locking", "single", "text"),
    [
        pytest.param("547e726b1b6365", 0, 0, "Türkce", id="Turkish without its table, annex C.2"),
        pytest.param("547e726b1b6365", 0, 1, "Türkçe", id="Turkish single shift, annex C.2"),
        pytest.param("1c1d40606965", 1, 0, "Şşİçie", id="Turkish locking shift, A.3.1"),
        pytest.param("1b09e1", 2, 2, "ça", id="Spanish has a single shift table only"),
        pytest.param("0b0c1b65", 3, 3, "Ôô€", id="Portuguese, A.3.3"),
        pytest.param("03041b1c", 6, 6, "अआ\u0966", id="Hindi, A.2.6 and A.3.6"),
        pytest.param("000102", 13, 13, "اآب", id="Urdu, A.3.13"),
        pytest.param("411b65", 14, 200, "A€", id="unknown languages: the default tables"),
        pytest.param("1b42", 3, 3, "B", id="falls back to the locking table in use, §6.2.1.1"),
        pytest.param("0c", 4, 0, " ", id="no character there: a space"),
    ],
)
def test_national_tables(septets: str, locking: int, single: int, text: str) -> None:
    assert decode_gsm7(bytes.fromhex(septets), locking=locking, single=single) == text


@pytest.mark.parametrize("table", [*LOCKING.values(), *SINGLE.values()])
def test_every_table_has_128_single_characters(table: str) -> None:
    assert len(table) == 128
    assert table[0x1B] == " "


def test_every_locking_table_keeps_digits_and_letters() -> None:
    for language, table in LOCKING.items():
        assert table[0x30:0x3A] == "0123456789", language
        assert table[0x61:0x7B] == "abcdefghijklmnopqrstuvwxyz", language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("hello {€}", True, id="extension"),
        pytest.param("Ç", True, id="capital c cedilla is in, TS 23.038 §6.2.1"),
        pytest.param("ç", False, id="small c cedilla is not"),
        pytest.param("ş", False, id="Turkish"),
        pytest.param("\x1b", False, id="the escape is no character"),
        pytest.param("\u00a0", False, id="no-break space"),
        pytest.param("😀", False, id="emoji"),
        pytest.param("", True, id="empty"),
    ],
)
def test_is_gsm7(text: str, expected: bool) -> None:
    assert is_gsm7(text) is expected


def test_encode_names_the_character_it_cannot_encode() -> None:
    with pytest.raises(EncodeError, match=r"'ş' \(U\+015F\)"):
        encode_gsm7("beş ş")


@pytest.mark.parametrize(
    ("text", "packed", "fill_bits"),
    [
        pytest.param("hellohello", "e8329bfd4697d9ec37", 0, id="PDU format tutorial, L. Pettersson"),
        pytest.param("Test", "d4f29c0e", 0, id="AOSP GsmSmsTest.testAddressing"),
        pytest.param("AAAAAAAA", "c16030180c0683", 0, id="eight septets fill seven octets"),
        pytest.param("A", "82", 1, id="one fill bit after a six-octet header"),
    ],
)
def test_packing(text: str, packed: str, fill_bits: int) -> None:
    octets = pack_septets(encode_gsm7(text), fill_bits)
    assert octets.hex() == packed
    assert decode_gsm7(unpack_septets(octets, len(text), fill_bits)) == text


def test_unpacking_more_than_there_is_fails() -> None:
    with pytest.raises(DecodeError, match="septets at octet 1: 2 septets need 2 octets"):
        unpack_septets(b"\0", 2)


@given(septets, st.integers(0, 6))
def test_unpack_undoes_pack(septets: bytes, fill_bits: int) -> None:
    assert unpack_septets(pack_septets(septets, fill_bits), len(septets), fill_bits) == septets


@given(gsm7_texts)
def test_gsm7_round_trip(text: str) -> None:
    assert is_gsm7(text)
    assert decode_gsm7(encode_gsm7(text)) == text


@given(st.binary(), st.integers(0, 255), st.integers(0, 255))
def test_gsm7_decodes_anything(octets: bytes, locking: int, single: int) -> None:
    text = decode_gsm7(octets, locking=locking, single=single)
    assert len(text) <= len(octets)
    assert "\x1b" not in text


@given(st.text())
def test_ucs2_round_trip(text: str) -> None:
    assert decode_ucs2(encode_ucs2(text)) == text


@given(st.binary(), st.sampled_from(Alphabet))
def test_any_body_gives_text_that_can_be_stored(body: bytes, alphabet: Alphabet) -> None:
    decode_text(alphabet, body).encode("utf-8")


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        pytest.param("d83dde00", "😀", id="a pair"),
        pytest.param("d83d", "\ufffd", id="first half alone"),
        pytest.param("de000041", "\ufffdA", id="second half alone"),
        pytest.param("d83d0041", "\ufffdA", id="first half before a letter"),
        pytest.param("004100", "A\ufffd", id="odd octet"),
    ],
)
def test_ucs2_halves(octets: str, text: str) -> None:
    assert decode_ucs2(bytes.fromhex(octets)) == text


def test_a_pair_cut_in_two_is_whole_after_joining() -> None:
    first, second = bytes.fromhex("0041d83d"), bytes.fromhex("de000042")
    assert decode_text(Alphabet.UCS2, first + second) == "A😀B"


def test_half_a_pair_cannot_be_sent() -> None:
    with pytest.raises(EncodeError, match="D83D is half of a surrogate pair"):
        encode_ucs2("a\ud83d")
