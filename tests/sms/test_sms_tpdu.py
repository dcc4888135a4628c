"""Whole TPDUs and PDUs: fixed vectors, and faults with their place."""

import pytest

from drivers.sms import (
    Address,
    Alphabet,
    Concatenation,
    DataCoding,
    DecodeError,
    Deliver,
    Direction,
    EncodeError,
    InformationElement,
    Ports,
    ReportOutcome,
    StatusReport,
    Submit,
    TypeOfNumber,
    decode_any,
    decode_incoming,
    encode_gsm7,
    encode_ucs2,
    join_text,
    meaning,
    parse_hex,
    pdu_hex,
    tpdu_octets,
)
from drivers.sms.timestamp import Timestamp

PETTERSSON_DELIVER = "07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37"
PETTERSSON_SUBMIT = "0011000B916407281553F80000AA0AE8329BFD4697D9EC37"
AOSP_TEST = "07914151551512f2040B916105551511f100006060605130308A04D4F29C0E"
AOSP_WAP_PUSH = (  # GsmSmsTest.testUdh
    "07914140279510F6440A8111110301003BF56080207130138A8C0B05040B8423F000032A0201"
    "0106276170706C69636174696F6E2F766E642E7761702E6D6D732D6D65737361676500AF848D"
    "0185B4848C8298524E453955304A6D713551414142666C414141414D77414142365141414141"
    "41008D908918802B31353132323937373638332F545950453D504C4D4E008A808E022B918805"
    "810306977F83687474703A2F2F36"
)
GSMMODEM_REPORT = "07917248014000F506B70AA18092020000317071518590803170715185418000"  # python-gsmmodem tests
NOW = Timestamp(bytes.fromhex("42701121436522"), None)


def deliver(pdu: str) -> Deliver:
    message = decode_incoming(parse_hex(pdu)).message
    assert isinstance(message, Deliver)
    return message


@pytest.mark.parametrize(
    ("pdu", "smsc", "originator", "at", "text"),
    [
        pytest.param(
            PETTERSSON_DELIVER,
            "+27381000015",
            "27838890001",
            "1999-03-29T15:16:59+02:00",
            "hellohello",
            id="L. Pettersson",
        ),
        pytest.param(
            AOSP_TEST,
            "+14155551212",
            "+16505551111",
            "2006-06-06T15:03:03-07:00",
            "Test",
            id="AOSP GsmSmsTest.testAddressing",
        ),
        pytest.param(
            "07914151551512f2040B916105551511f100036060924180008A0DA8695DAC2E8FE9296A794E07",
            "+14155551212",
            "+16505551111",
            "2006-06-29T14:08:00-07:00",
            "(Subject)Test",
            id="AOSP GsmSmsTest.testAddressing, reserved DCS bits",
        ),
    ],
)
def test_deliver_vectors(pdu: str, smsc: str, originator: str, at: str, text: str) -> None:
    decoded = decode_incoming(parse_hex(pdu))
    message = deliver(pdu)
    assert decoded.smsc is not None
    assert decoded.smsc.number == smsc
    assert decoded.tpdu == parse_hex(pdu)[8:]
    assert message.originator.number == originator
    assert message.scts.at is not None
    assert message.scts.at.isoformat() == at
    assert message.text == text
    assert not message.more_messages
    assert message.encode() == decoded.tpdu[: len(message.encode())]


def test_wap_push_vector() -> None:
    message = deliver(AOSP_WAP_PUSH)
    assert message.originator.number == "1111301000"
    assert message.concatenation == Concatenation(42, 2, 1)
    assert message.ports == Ports(2948, 9200, wide=True)
    assert message.alphabet is Alphabet.OCTETS
    assert message.message_class == 1
    assert message.text == ""
    assert len(message.body) == 140 - 12
    assert message.body[3:33] == b"application/vnd.wap.mms-messag"


def test_status_report_vector() -> None:
    report = decode_incoming(parse_hex(GSMMODEM_REPORT)).message
    assert isinstance(report, StatusReport)
    assert (report.tp_mr, report.recipient) == (183, Address("0829200000", TypeOfNumber.NATIONAL))
    assert report.scts.at is not None
    assert report.discharge.at is not None
    assert (report.discharge.at - report.scts.at).total_seconds() == 5
    assert meaning(report.status).outcome is ReportOutcome.DELIVERED
    assert report.encode() == parse_hex(GSMMODEM_REPORT)[8:]


def test_submit_vector() -> None:
    submit = Submit("+46708251358", Alphabet.GSM7, encode_gsm7("hellohello"), validity_s=4 * 86400)
    assert pdu_hex(submit.encode()) == PETTERSSON_SUBMIT
    assert tpdu_octets(submit.encode()) == 23
    assert Submit.decode(submit.encode()) == submit


def test_an_smsc_goes_before_the_tpdu() -> None:
    assert pdu_hex(b"\x01\x02", "+27381000015") == "07917283010010F50102"
    assert pdu_hex(b"\x01\x02") == "000102"


@pytest.mark.parametrize(
    ("submit", "first"),
    [
        # TS 23.040 §9.2.2.2
        pytest.param(Submit("1", Alphabet.GSM7, b""), 0x01, id="plain"),
        pytest.param(Submit("1", Alphabet.GSM7, b"", validity_s=300), 0x11, id="relative validity"),
        pytest.param(Submit("1", Alphabet.GSM7, b"", status_report=True), 0x21, id="status report"),
        pytest.param(Submit("1", Alphabet.GSM7, b"", reject_duplicates=True), 0x05, id="reject duplicates"),
        pytest.param(
            Submit("1", Alphabet.GSM7, b"", concatenation=Concatenation(1, 2, 1)), 0x41, id="user data header"
        ),
    ],
)
def test_first_octet_of_a_submit(submit: Submit, first: int) -> None:
    assert submit.encode()[0] == first
    assert Submit.decode(submit.encode()) == submit


@pytest.mark.parametrize(
    "submit",
    [
        pytest.param(Submit("1", Alphabet.GSM7, b"x" * 161), id="161 septets"),
        pytest.param(
            Submit("1", Alphabet.GSM7, b"x" * 154, concatenation=Concatenation(1, 2, 1)),
            id="154 septets and a header",
        ),
        pytest.param(Submit("1", Alphabet.UCS2, bytes(142)), id="71 units"),
        pytest.param(Submit("1", Alphabet.GSM7, b"\x80"), id="no septet"),
        pytest.param(Submit("", Alphabet.GSM7, b""), id="no recipient"),
        pytest.param(Submit("1", Alphabet.GSM7, b"", message_class=4), id="class 4"),
        pytest.param(Submit("1", Alphabet.GSM7, b"", reference=256), id="reference 256"),
        pytest.param(Submit("1", Alphabet.GSM7, b"", validity_s=0), id="no validity"),
        pytest.param(
            Submit("1", Alphabet.OCTETS, b"", elements=(InformationElement(0x70, bytes(140)),)),
            id="long header",
        ),
    ],
)
def test_what_a_submit_cannot_express(submit: Submit) -> None:
    with pytest.raises(EncodeError):
        submit.encode()


@pytest.mark.parametrize(
    ("pdu", "fault"),
    [
        pytest.param("", "smsc at octet 0: the PDU is empty", id="empty"),
        pytest.param("00", "tpdu at octet 0: the TPDU is empty", id="no TPDU"),
        pytest.param("0791", "smsc at octet 0: 7 octets run past the end", id="SMSC cut"),
        pytest.param(
            "0001000B91", "tpdu.first at octet 0: TP-MTI 1 is of a submit, which never arrives", id="a submit"
        ),
        pytest.param("0004", "deliver.oa at octet 1: needs a length and a type of address", id="no originator"),
        pytest.param("00040491214300", "deliver.dcs at octet 6: needs 1 octets, 0 are left", id="no DCS"),
        pytest.param(
            "00040491214300004270112143", "deliver.scts at octet 7: needs 7 octets, 5 are left", id="SCTS cut"
        ),
        pytest.param(
            "0004049121430000427011214365000AE832",
            "deliver.ud at octet 15: needs 9 octets, 2 are left",
            id="TP-UD past the TPDU",
        ),
        pytest.param(
            "004404912143000442701121436500030500030a",
            "deliver.udhl at octet 15: header runs past the user data",
            id="UDHL past TP-UD",
        ),
        pytest.param(
            "0044049121430000427011214365000202000000000000",
            "deliver.udhl at octet 15: header runs past the user data",
            id="UDHL past the septets of TP-UD",
        ),
        pytest.param(
            "00440491214300004270112143650000",
            "deliver.udhl at octet 15: a header is announced, the user data is empty",
            id="no header",
        ),
        pytest.param("0006b704912143", "report.scts at octet 6: needs 7 octets, 0 are left", id="report cut"),
    ],
)
def test_faults_name_field_and_octet(pdu: str, fault: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_incoming(bytes.fromhex(pdu))
    assert str(caught.value) == fault


def test_a_header_with_a_bad_last_element_is_ignored_and_its_text_kept() -> None:
    # TS 23.040 §9.2.3.24: too few octets in the final IE. The length of the IE points into the text.
    message = deliver("00" + "4404912143000842701121436500" + "0A" + "0500040A0201" + "00480069")
    assert message.text == "Hi"
    assert (message.concatenation, message.elements) == (None, ())
    assert message.header_fault == "deliver.udh.ie at octet 16: information element runs past the header"


def test_octets_behind_the_user_data_are_ignored() -> None:
    assert deliver(AOSP_TEST + "FFFF").text == "Test"


def test_the_reserved_message_type_is_read_as_a_deliver() -> None:
    assert deliver(AOSP_TEST[:16] + "07" + AOSP_TEST[18:]).text == "Test"


@pytest.mark.parametrize(
    ("pid", "is_type_0", "replace_type"),
    [
        # TS 23.040 §9.2.3.9
        pytest.param(0x00, False, None, id="default"),
        pytest.param(0x40, True, None, id="type 0"),
        pytest.param(0x41, False, 1, id="replace type 1"),
        pytest.param(0x47, False, 7, id="replace type 7"),
        pytest.param(0x48, False, None, id="beyond"),
    ],
)
def test_protocol_identifier(pid: int, is_type_0: bool, replace_type: int | None) -> None:
    message = Deliver(Address.of("1"), NOW, DataCoding.of(Alphabet.GSM7), b"", pid=pid)
    decoded = Deliver.decode(message.encode())
    assert (decoded.is_type_0, decoded.replace_type) == (is_type_0, replace_type)


def test_compressed_text_stays_octets() -> None:
    message = deliver("00040491214300204270112143650003010203")
    assert (message.alphabet, message.body, message.text) == (Alphabet.OCTETS, b"\x01\x02\x03", "")
    assert message.dcs.is_compressed


def test_national_language_elements_choose_the_tables() -> None:
    elements = (InformationElement(0x24, b"\x01"), InformationElement(0x25, b"\x01"))
    body = bytes.fromhex("541b636b1d")
    message = Deliver(Address.of("1"), NOW, DataCoding.of(Alphabet.GSM7), body, elements=elements)
    assert Deliver.decode(message.encode()).text == "Tçkş"
    unknown = Deliver(Address.of("1"), NOW, message.dcs, b"A", elements=(InformationElement(0x25, b"\xee"),))
    assert Deliver.decode(unknown.encode()).text == "A"


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        pytest.param((Alphabet.UCS2, "0041d83d"), (Alphabet.UCS2, "de000042"), "A😀B", id="pair cut in two"),
        pytest.param((Alphabet.GSM7, "411b"), (Alphabet.GSM7, "6542"), "A€B", id="escape cut in two"),
        pytest.param((Alphabet.GSM7, "41"), (Alphabet.UCS2, "015f"), "Aş", id="two alphabets"),
    ],
)
def test_joining_parts(first: tuple[Alphabet, str], second: tuple[Alphabet, str], text: str) -> None:
    parts = [
        Deliver(Address.of("1"), NOW, DataCoding.of(alphabet), bytes.fromhex(body))
        for alphabet, body in (first, second)
    ]
    assert join_text(parts) == text


@pytest.mark.parametrize(
    ("pdu", "direction", "kind", "has_smsc"),
    [
        pytest.param(PETTERSSON_DELIVER, None, Deliver, True, id="deliver"),
        pytest.param(PETTERSSON_DELIVER[16:], None, Deliver, False, id="deliver without SMSC"),
        pytest.param(PETTERSSON_DELIVER[16:], Direction.INCOMING, Deliver, False, id="said to arrive"),
        pytest.param(PETTERSSON_SUBMIT, None, Submit, False, id="submit, SMSC length 0"),
        pytest.param(PETTERSSON_SUBMIT[2:], None, Submit, False, id="submit without SMSC"),
        pytest.param(PETTERSSON_SUBMIT[2:], Direction.OUTGOING, Submit, False, id="said to leave"),
        pytest.param("07917283010010F5" + PETTERSSON_SUBMIT[2:], None, Submit, True, id="submit with SMSC"),
        pytest.param(GSMMODEM_REPORT, None, StatusReport, True, id="report"),
        pytest.param(GSMMODEM_REPORT[16:], None, StatusReport, False, id="report without SMSC"),
        pytest.param("00" + AOSP_TEST[18:], None, Deliver, False, id="deliver that begins with 00"),
    ],
)
def test_decoding_whatever_a_person_pastes(pdu: str, direction: Direction | None, kind: type, has_smsc: bool) -> None:
    decoded = decode_any(parse_hex(pdu), direction)
    assert type(decoded.message) is kind
    assert (decoded.smsc is not None) == has_smsc


@pytest.mark.parametrize(
    ("vp", "first", "validity_s"),
    [
        # TS 23.040 §9.2.3.12.3, enhanced format
        pytest.param("01a70000000000", 0x09, 86400, id="relative"),
        pytest.param("022d0000000000", 0x09, 45, id="seconds"),
        pytest.param("03214365000000", 0x09, 12 * 3600 + 34 * 60 + 56, id="hours, minutes, seconds"),
        pytest.param("00000000000000", 0x09, None, id="none"),
        pytest.param("81a70000000000", 0x09, None, id="extended"),
    ],
)
def test_enhanced_validity_of_foreign_submits(vp: str, first: int, validity_s: int | None) -> None:
    submit = Submit.decode(bytes.fromhex(f"{first:02x}000281210000{vp}00"))
    assert (submit.validity_s, submit.valid_until) == (validity_s, None)


def test_absolute_validity_of_foreign_submits() -> None:
    submit = Submit.decode(bytes.fromhex("1900028121000042701121436522" + "00"))
    assert submit.valid_until is not None
    assert submit.valid_until.raw.hex() == "42701121436522"


@pytest.mark.parametrize(
    ("text", "octet"),
    [
        pytest.param("00zz", 1, id="no digit"),
        pytest.param("000", 1, id="half an octet"),
        pytest.param("00 11", 1, id="a space inside"),
    ],
)
def test_bad_hexadecimal(text: str, octet: int) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_hex(text)
    assert (caught.value.path, caught.value.octet) == ("pdu", octet)


def test_ucs2_text() -> None:
    message = Deliver(Address.of("+1"), NOW, DataCoding.of(Alphabet.UCS2), encode_ucs2("Grüße 😀"))
    assert Deliver.decode(message.encode()).text == "Grüße 😀"
