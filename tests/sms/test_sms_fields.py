"""Time stamps, validity periods, data coding schemes, TP-ST and user data headers."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sms import (
    Alphabet,
    CodingGroup,
    Concatenation,
    DataCoding,
    DecodeError,
    EncodeError,
    InformationElement,
    MessageWaiting,
    Ports,
    ReportOutcome,
    WaitingKind,
    decode_coding,
    decode_timestamp,
    decode_validity,
    encode_timestamp,
    encode_validity,
    meaning,
)
from drivers.sms.udh import decode_header, encode_header, find_ports, take_concatenation

HOUR, DAY, WEEK = 3600, 86400, 604800


@pytest.mark.parametrize(
    ("octets", "at", "offset_minutes"),
    [
        pytest.param("99309251619580", "1999-03-29T15:16:59+02:00", 120, id="L. Pettersson"),
        pytest.param("6060605130308a", "2006-06-06T15:03:03-07:00", -420, id="AOSP GsmSmsTest, bit 3 is the sign"),
        pytest.param("4220920000004a", "2024-02-29T00:00:00-06:00", -360, id="leap day, -24 quarters"),
        pytest.param("42701121436522", "2024-07-11T12:34:56+05:30", 330, id="half an hour"),
        pytest.param("42701121436532", "2024-07-11T12:34:56+05:45", 345, id="three quarters"),
        pytest.param("00101000000000", "2000-01-01T00:00:00+00:00", 0, id="the century turns"),
    ],
)
def test_timestamps(octets: str, at: str, offset_minutes: int) -> None:
    stamp = decode_timestamp(bytes.fromhex(octets))
    assert stamp.at is not None
    assert stamp.at.isoformat() == at
    assert stamp.offset_minutes == offset_minutes
    assert stamp.utc_ms == int(datetime.fromisoformat(at).timestamp()) * 1000
    assert encode_timestamp(stamp.at).hex() == octets


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("00000000000000", id="zeros"),
        pytest.param("ffffffffffffff", id="ones"),
        pytest.param("42209300000000", id="30 February"),
        pytest.param("4a701121436500", id="a digit that is none"),
        pytest.param("427011214365f0", id="a zone digit that is none"),
        pytest.param("42701142436500", id="24 o'clock"),
    ],
)
def test_what_is_no_time_is_kept_raw(octets: str) -> None:
    stamp = decode_timestamp(bytes.fromhex(octets))
    assert (stamp.at, stamp.offset_minutes, stamp.utc_ms) == (None, None, None)
    assert stamp.raw.hex() == octets


@given(st.integers(0, 3_155_673_599), st.integers(-79, 79))
def test_timestamp_round_trip(seconds: int, quarters: int) -> None:
    zone = timezone(timedelta(minutes=15 * quarters))
    aware = datetime(1990, 1, 1, tzinfo=zone) + timedelta(seconds=seconds)
    assert decode_timestamp(encode_timestamp(aware)).at == aware


@given(st.binary(min_size=7, max_size=7))
def test_any_seven_octets_are_a_timestamp(octets: bytes) -> None:
    assert decode_timestamp(octets).raw == octets


def test_timestamp_faults() -> None:
    with pytest.raises(DecodeError, match="6 octets, not 7"):
        decode_timestamp(bytes(6))
    with pytest.raises(EncodeError):
        encode_timestamp(datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None))


@pytest.mark.parametrize(
    ("seconds", "octet", "granted"),
    [
        # TS 23.040 §9.2.3.12.1
        pytest.param(1, 0, 300, id="five minutes at least"),
        pytest.param(300, 0, 300, id="five minutes"),
        pytest.param(301, 1, 600, id="rounded up"),
        pytest.param(12 * HOUR, 143, 12 * HOUR, id="12 hours"),
        pytest.param(12 * HOUR + 1, 144, 12 * HOUR + 1800, id="12.5 hours"),
        pytest.param(DAY, 167, DAY, id="24 hours"),
        pytest.param(DAY + 1, 168, 2 * DAY, id="2 days"),
        pytest.param(4 * DAY, 170, 4 * DAY, id="4 days, 0xAA of L. Pettersson"),
        pytest.param(30 * DAY, 196, 30 * DAY, id="30 days"),
        pytest.param(30 * DAY + 1, 197, 5 * WEEK, id="5 weeks"),
        pytest.param(63 * WEEK, 255, 63 * WEEK, id="63 weeks"),
        pytest.param(100 * WEEK, 255, 63 * WEEK, id="never more than 63 weeks"),
    ],
)
def test_validity(seconds: int, octet: int, granted: int) -> None:
    assert encode_validity(seconds) == octet
    assert decode_validity(octet) == granted


def test_every_validity_octet_is_its_own_shortest_cover() -> None:
    for octet in range(256):
        assert encode_validity(decode_validity(octet)) == octet


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_validity(seconds: float) -> None:
    with pytest.raises(EncodeError):
        encode_validity(seconds)


WAITING = CodingGroup.WAITING_STORE
GSM7, UCS2, OCTETS = Alphabet.GSM7, Alphabet.UCS2, Alphabet.OCTETS


@pytest.mark.parametrize(
    ("octet", "expected"),
    [
        # TS 23.038 §4
        pytest.param(0x00, DataCoding(0x00, CodingGroup.GENERAL, GSM7), id="default"),
        pytest.param(0x01, DataCoding(0x01, CodingGroup.GENERAL, GSM7), id="class bits without meaning"),
        pytest.param(0x10, DataCoding(0x10, CodingGroup.GENERAL, GSM7, message_class=0), id="flash"),
        pytest.param(0x16, DataCoding(0x16, CodingGroup.GENERAL, OCTETS, message_class=2), id="data for the SIM"),
        pytest.param(0x08, DataCoding(0x08, CodingGroup.GENERAL, UCS2), id="UCS2"),
        pytest.param(0x0C, DataCoding(0x0C, CodingGroup.RESERVED, GSM7), id="reserved character set"),
        pytest.param(0x28, DataCoding(0x28, CodingGroup.GENERAL, UCS2, is_compressed=True), id="compressed"),
        pytest.param(0x48, DataCoding(0x48, CodingGroup.AUTOMATIC_DELETION, UCS2), id="delete after reading"),
        pytest.param(0x80, DataCoding(0x80, CodingGroup.RESERVED, GSM7), id="reserved group"),
        pytest.param(0xBF, DataCoding(0xBF, CodingGroup.RESERVED, GSM7), id="last reserved group"),
        pytest.param(0xF0, DataCoding(0xF0, CodingGroup.CODING_AND_CLASS, GSM7, message_class=0), id="F0"),
        pytest.param(0xF5, DataCoding(0xF5, CodingGroup.CODING_AND_CLASS, OCTETS, message_class=1), id="F5"),
        pytest.param(
            0xC8,
            DataCoding(
                0xC8,
                CodingGroup.WAITING_DISCARD,
                GSM7,
                waiting=MessageWaiting(WaitingKind.VOICEMAIL, is_active=True, is_stored=False),
            ),
            id="voicemail, discard",
        ),
        pytest.param(
            0xD1,
            DataCoding(0xD1, WAITING, GSM7, waiting=MessageWaiting(WaitingKind.FAX, False, True)),
            id="no fax any more, store",
        ),
        pytest.param(
            0xEA,
            DataCoding(
                0xEA,
                CodingGroup.WAITING_STORE_UCS2,
                UCS2,
                waiting=MessageWaiting(WaitingKind.EMAIL, is_active=True, is_stored=True),
            ),
            id="mail, UCS2",
        ),
    ],
)
def test_data_coding(octet: int, expected: DataCoding) -> None:
    assert decode_coding(octet) == expected


def test_every_data_coding_octet_is_kept() -> None:
    assert [decode_coding(octet).octet for octet in range(256)] == list(range(256))


@pytest.mark.parametrize("alphabet", Alphabet)
@pytest.mark.parametrize("message_class", [None, 0, 1, 2, 3])
def test_data_coding_for_sending_reads_the_same(alphabet: Alphabet, message_class: int | None) -> None:
    coding = DataCoding.of(alphabet, message_class)
    assert decode_coding(coding.octet) == coding


@pytest.mark.parametrize(
    ("statuses", "outcome", "is_final"),
    [
        # TS 23.040 §9.2.3.15
        pytest.param([0x00, 0x01, 0x02], ReportOutcome.DELIVERED, True, id="completed"),
        pytest.param(range(0x10, 0x20), ReportOutcome.DELIVERED, True, id="completed, specific to the SC"),
        pytest.param(range(0x20, 0x26), ReportOutcome.PENDING, False, id="still trying"),
        pytest.param(range(0x30, 0x40), ReportOutcome.PENDING, False, id="still trying, specific to the SC"),
        pytest.param(range(0x40, 0x4A), ReportOutcome.FAILED, True, id="permanent"),
        pytest.param(range(0x50, 0x60), ReportOutcome.FAILED, True, id="permanent, specific to the SC"),
        pytest.param(range(0x60, 0x66), ReportOutcome.FAILED, True, id="temporary, no more attempts"),
        pytest.param(range(0x70, 0x80), ReportOutcome.FAILED, True, id="the same, specific to the SC"),
    ],
)
def test_status_outcomes(statuses: list[int], outcome: ReportOutcome, is_final: bool) -> None:
    for status in statuses:
        report = meaning(status)
        assert (report.outcome, report.is_final) == (outcome, is_final), hex(status)
        assert report.sentence.endswith(".")


RESERVED_STATUSES = [
    *range(0x03, 0x10),
    *range(0x26, 0x30),
    *range(0x4A, 0x50),
    *range(0x66, 0x70),
    *range(0x80, 0x100),
]


@pytest.mark.parametrize("status", RESERVED_STATUSES)
def test_reserved_statuses_are_service_rejected(status: int) -> None:
    assert meaning(status) == meaning(0x63)


def test_named_statuses_have_sentences_of_their_own() -> None:
    named = [0, 1, 2, *range(0x20, 0x26), *range(0x40, 0x4A), *range(0x60, 0x66)]
    sentences = {meaning(status).sentence for status in named}
    assert len(sentences) == len(named)
    assert not any("code" in sentence for sentence in sentences)


IE = InformationElement


@pytest.mark.parametrize(
    ("header", "concatenation", "others"),
    [
        pytest.param("00032a0201", Concatenation(42, 2, 1), 0, id="8-bit reference, §9.2.3.24.1"),
        pytest.param("08041234ff02", Concatenation(0x1234, 255, 2, True), 0, id="16-bit, §9.2.3.24.8"),
        pytest.param("0504123456780003010202", Concatenation(1, 2, 2), 1, id="after ports"),
        pytest.param("00030102010804000a0303", Concatenation(10, 3, 3, True), 1, id="the last one counts"),
        pytest.param("00032a0001", None, 1, id="total 0 is ignored"),
        pytest.param("00032a0200", None, 1, id="sequence 0 is ignored"),
        pytest.param("00032a0203", None, 1, id="sequence above total is ignored"),
        pytest.param("00032a02010003000000", Concatenation(42, 2, 1), 1, id="an ignored one does not hide another"),
        pytest.param("00042a020100", None, 1, id="wrong length"),
        pytest.param("7000", None, 1, id="unknown and empty"),
        pytest.param("", None, 0, id="no element"),
    ],
)
def test_concatenation(header: str, concatenation: Concatenation | None, others: int) -> None:
    elements = decode_header(bytes.fromhex(header))
    found, rest = take_concatenation(elements)
    assert found == concatenation
    assert len(rest) == others
    assert encode_header(elements).hex() == (f"{len(header) // 2:02x}" + header if header else "")


@pytest.mark.parametrize(
    ("header", "at"),
    [
        pytest.param("00", 18, id="no length octet"),
        pytest.param("0003", 18, id="no data"),
        pytest.param("7000000401020300"[:-2], 20, id="second element one octet short"),
        pytest.param("700000", 20, id="one octet too many"),
    ],
)
def test_an_element_is_held_to_the_header(header: str, at: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_header(bytes.fromhex(header), "deliver.udh", 18)
    assert (caught.value.path, caught.value.octet) == ("deliver.udh.ie", at)


@pytest.mark.parametrize(
    ("header", "ports"),
    [
        pytest.param("05040b8423f0", Ports(2948, 9200, wide=True), id="WAP push, AOSP GsmSmsTest.testUdh"),
        pytest.param("0402f0e1", Ports(240, 225, wide=False), id="8-bit"),
        pytest.param("0402f0e105040b8423f0", Ports(2948, 9200, wide=True), id="the last one counts"),
        pytest.param("0403f0e100", None, id="wrong length"),
    ],
)
def test_ports(header: str, ports: Ports | None) -> None:
    assert find_ports(decode_header(bytes.fromhex(header))) == ports


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((256, 2, 1, False), id="reference above 8 bits"),
        pytest.param((65536, 2, 1, True), id="reference above 16 bits"),
        pytest.param((1, 256, 1, False), id="total above 255"),
        pytest.param((1, 2, 3, False), id="sequence above total"),
        pytest.param((1, 2, 0, False), id="sequence 0"),
    ],
)
def test_concatenation_that_cannot_be_expressed(values: tuple[int, int, int, bool]) -> None:
    with pytest.raises(EncodeError):
        Concatenation(*values)
