"""Whole TPDUs over generated input: round trips, and nothing but DecodeError on damaged octets."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from drivers.sms import (
    Address,
    Alphabet,
    Concatenation,
    DataCoding,
    DecodeError,
    Deliver,
    InformationElement,
    StatusReport,
    Submit,
    decode_any,
    decode_incoming,
    encode_text,
    encode_timestamp,
    join_text,
    parse_hex,
    segment,
)
from drivers.sms.timestamp import Timestamp

NOW = Timestamp(bytes.fromhex("42701121436522"), None)
PDUS = {
    "L. Pettersson, deliver": "07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37",
    "L. Pettersson, submit": "0011000B916407281553F80000AA0AE8329BFD4697D9EC37",
    "python-gsmmodem, report": "07917248014000F506B70AA18092020000317071518590803170715185418000",
    "tshark 4.0.17, part with ports": "00440491214300084270112143650010" + "0B0003070201" + "05040B8423F0" + "00480069",
}

elements = st.lists(st.builds(InformationElement, st.integers(0x70, 0x7F), st.binary(max_size=6)), max_size=3).map(
    tuple
)
concatenations = st.none() | st.builds(
    lambda reference, wide: Concatenation(reference if wide else reference & 0xFF, 3, 2, wide),
    st.integers(0, 0xFFFF),
    st.booleans(),
)
bodies = st.one_of(
    st.text("ab€ ç", max_size=40).map(encode_text),
    st.tuples(st.just(Alphabet.OCTETS), st.binary(max_size=90)),
)


@given(
    st.from_regex(r"\A\+?[0-9]{1,20}\Z"),
    bodies,
    concatenations,
    elements,
    st.booleans(),
    st.none() | st.integers(0, 3),
)
def test_submit_round_trip(
    recipient: str,
    body: tuple[Alphabet, bytes],
    concatenation: Concatenation | None,
    elements: tuple[InformationElement, ...],
    flag: bool,
    message_class: int | None,
) -> None:
    submit = Submit(
        recipient,
        *body,
        concatenation=concatenation,
        elements=elements,
        status_report=flag,
        reject_duplicates=not flag,
        message_class=message_class,
    )
    assert Submit.decode(submit.encode()) == submit


@given(bodies, concatenations, elements, st.booleans(), st.text("Abc 1", min_size=1, max_size=11))
def test_deliver_round_trip(
    body: tuple[Alphabet, bytes],
    concatenation: Concatenation | None,
    elements: tuple[InformationElement, ...],
    flag: bool,
    name: str,
) -> None:
    scts = encode_timestamp(datetime(2024, 7, 11, 12, 34, 56, tzinfo=UTC))
    message = Deliver(
        Address.alphanumeric(name),
        Timestamp(scts, datetime(2024, 7, 11, 12, 34, 56, tzinfo=UTC)),
        DataCoding.of(body[0]),
        body[1],
        concatenation=concatenation,
        elements=elements,
        more_messages=flag,
        status_report_indication=not flag,
        reply_path=flag,
    )
    assert Deliver.decode(message.encode()) == message


@given(st.text(min_size=1, max_size=300), st.booleans())
def test_a_text_survives_the_way_through_parts(text: str, wide: bool) -> None:
    parts = []
    for part in segment(text, wide_reference=wide):
        concatenation = part.concatenation(200, wide=wide)
        coding = DataCoding.of(part.alphabet)
        sent = Deliver(Address.of("+4915"), NOW, coding, part.body, concatenation=concatenation)
        decoded = decode_incoming(b"\0" + sent.encode()).message
        assert isinstance(decoded, Deliver)
        assert decoded.concatenation == concatenation
        parts.append(decoded)
    assert join_text(parts) == text


@given(st.binary(max_size=180))
def test_anything_decodes_or_is_a_decode_error(octets: bytes) -> None:
    for decode in (decode_incoming, decode_any, Submit.decode, Deliver.decode, StatusReport.decode):
        try:
            decode(octets)
        except DecodeError as error:
            assert 0 <= error.octet <= len(octets)


@given(
    st.sampled_from(sorted(PDUS.values())),
    st.integers(0, 200),
    st.integers(0, 255),
)
def test_damaged_pdus_decode_or_are_decode_errors(pdu: str, at: int, octet: int) -> None:
    octets = bytearray(parse_hex(pdu))
    octets[at % len(octets)] = octet
    try:
        message = decode_any(bytes(octets)).message
    except DecodeError:
        return
    if not isinstance(message, StatusReport):
        assert message.text.encode("utf-8") is not None
