"""Addresses of TPDUs and of SMSCs."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sms import (
    Address,
    DecodeError,
    EncodeError,
    TypeOfNumber,
    decode_address,
    decode_smsc,
    encode_address,
)

UNKNOWN, INTERNATIONAL = TypeOfNumber.UNKNOWN, TypeOfNumber.INTERNATIONAL
A = TypeOfNumber.ALPHANUMERIC


@pytest.mark.parametrize(
    ("number", "octets"),
    [
        pytest.param("+46708251358", "0b916407281553f8", id="PDU format tutorial, L. Pettersson"),
        pytest.param("0708251358", "0a817080523185", id="national: the TON stays unknown"),
        pytest.param("72404", "05812704f4", id="short code"),
        pytest.param("*100#", "05811a00fb", id="star and hash, §9.1.2.3"),
        pytest.param("1abc", "0481c1ed", id="a, b, c, §9.1.2.3"),
        pytest.param("1", "0181f1", id="one digit"),
    ],
)
def test_recipients_both_ways(number: str, octets: str) -> None:
    assert encode_address(number).hex() == octets
    address, end = decode_address(bytes.fromhex(octets))
    assert (address.number, end) == (number, len(octets) // 2)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        pytest.param("0b916105551511f1", Address("+16505551111", INTERNATIONAL), id="AOSP GsmSmsTest.testAddressing"),
        pytest.param("0bc87238880900f1", Address("27838890001", TypeOfNumber.SUBSCRIBER, 8), id="L. Pettersson"),
        pytest.param(
            "05b92143f5",
            Address("12345", TypeOfNumber.NETWORK_SPECIFIC, 9),
            id="TON 3 with private plan, as operators send",
        ),
        pytest.param("0ed0d637396c7ebbcb", Address("Vodafone", A, 0), id="8 letters, 14 semi-octets"),
        pytest.param("0bd049b7f90da201", Address("Info 4", A, 0), id="6 letters, 11 semi-octets"),
        pytest.param("14d0c16030180c0683c16010", Address("A" * 11, A, 0), id="11 letters, the most"),
        pytest.param("0081", Address("", UNKNOWN), id="no digits"),
        pytest.param("0091", Address("", INTERNATIONAL), id="international without digits has no +"),
        pytest.param("0681214365f7", Address("123456", UNKNOWN), id="filler beyond the length"),
        pytest.param("088121436587", Address("12345678", UNKNOWN), id="even"),
        pytest.param("06812143f5", Address("12345", UNKNOWN), id="the end mark is counted as a digit"),
        pytest.param("04f12143", Address("1234", TypeOfNumber.RESERVED), id="reserved TON"),
    ],
)
def test_decoding(octets: str, expected: Address) -> None:
    address, _ = decode_address(bytes.fromhex(octets))
    assert address == expected


@pytest.mark.parametrize("name", ["A", "Info", "T-Mobile", "Amazon{}", "12345678901", "Bank AB"])
def test_alphanumeric_round_trip(name: str) -> None:
    address = Address.alphanumeric(name)
    assert address.is_alphanumeric
    octets = address.encode()
    assert decode_address(octets) == (address, len(octets))


@pytest.mark.parametrize(
    ("octets", "place"),
    [
        pytest.param("", "x.da at octet 0", id="empty"),
        pytest.param("0b", "x.da at octet 0", id="no type of address"),
        pytest.param("0b9164", "x.da at octet 0: 11 semi-octets run past the end", id="cut"),
    ],
)
def test_faults(octets: str, place: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_address(bytes.fromhex(octets), 0, "x.da")
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize("number", ["", "+", "12 34", "+49-151", "1" * 21, "12+3", "hello", "١٢٣", "12\n"])
def test_what_cannot_be_dialled(number: str) -> None:
    with pytest.raises(EncodeError):
        encode_address(number)


@pytest.mark.parametrize(
    ("pdu", "expected", "end"),
    [
        pytest.param("07917283010010f504", Address("+27381000015", INTERNATIONAL), 8, id="L. Pettersson"),
        pytest.param(
            "07914151551512f204",
            Address("+14155551212", INTERNATIONAL),
            8,
            id="AOSP GsmSmsTest.testAddressing",
        ),
        pytest.param("0004", None, 1, id="length 0"),
        pytest.param("019104", None, 2, id="a type of address and no digits"),
    ],
)
def test_smsc(pdu: str, expected: Address | None, end: int) -> None:
    assert decode_smsc(bytes.fromhex(pdu)) == (expected, end)
    if expected is not None:
        assert expected.encode_smsc() == bytes.fromhex(pdu)[:end]


@given(st.from_regex(r"\A\+?[0-9*#abc]{1,20}\Z"))
def test_round_trip(number: str) -> None:
    octets = encode_address(number)
    assert decode_address(b"\xff" + octets + b"\xff", 1) == (Address.of(number), 1 + len(octets))


@given(st.binary(max_size=30), st.integers(0, 30))
def test_anything_decodes_or_is_a_decode_error(octets: bytes, offset: int) -> None:
    with suppress(DecodeError):
        assert decode_address(octets, offset)[1] <= len(octets)
    with suppress(DecodeError):
        assert decode_smsc(octets)[1] <= len(octets)
