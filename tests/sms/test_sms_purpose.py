"""What is not just a text: message waiting, WAP push and the MMS it announces."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sms import (
    Address,
    Alphabet,
    DecodeError,
    Deliver,
    InformationElement,
    MessageWaiting,
    MmsNotification,
    Ports,
    WaitingKind,
    decode_coding,
    decode_push,
    encode_gsm7,
)
from drivers.sms.timestamp import Timestamp

NOW = Timestamp(bytes.fromhex("42701121436522"), None)

# WAP-230-WSP §8.2.4.1: TID, Push, headers: content type 0x3E as a short integer, then X-Wap-Application-Id 4
# (mms.ua). OMA-TS-MMS_ENC §6.2: type, transaction id, version, from, subject, class, size, expiry, location.
HEADERS = bytes.fromhex("BE AF 84")
NOTIFICATION = (
    bytes.fromhex("8C82") + b"\x98T1a2b\0" + bytes.fromhex("8D92")
    + b"\x89\x19\x80+491701234567/TYPE=PLMN\0"
    + b"\x96\x0a\xeaGr\xc3\xbc\xc3\x9fe!\0"
    + bytes.fromhex("8A80 8E02 7800 88058103 03F480")
    + b"\x83http://mmsc.example/m?1a2b\0"
)  # fmt: skip
PUSH = bytes.fromhex("2606") + bytes((len(HEADERS),)) + HEADERS + NOTIFICATION


def deliver(dcs: int, *elements: InformationElement, body: bytes = b"") -> Deliver:
    return Deliver(Address.of("+4915"), NOW, decode_coding(dcs), body, elements=elements)


def special(octet: int, count: int) -> InformationElement:
    return InformationElement(0x01, bytes((octet, count)))


VOICE, FAX, EMAIL, OTHER = WaitingKind


@pytest.mark.parametrize(
    ("message", "waiting", "is_only"),
    [
        # TS 23.038 §4: groups 1100 (discard), 1101 (store, GSM 7-bit), 1110 (store, UCS2); bit 3 active, bits 1-0 kind
        pytest.param(deliver(0xC8), [MessageWaiting(VOICE, True, False)], True, id="discard-voice"),
        pytest.param(deliver(0xC0), [MessageWaiting(VOICE, False, False)], True, id="discard-voice-gone"),
        pytest.param(deliver(0xCA), [MessageWaiting(EMAIL, True, False)], True, id="discard-email"),
        pytest.param(deliver(0xD9), [MessageWaiting(FAX, True, True)], False, id="store-fax"),
        pytest.param(deliver(0xEB), [MessageWaiting(OTHER, True, True)], False, id="store-ucs2-other"),
        # TS 23.040 §9.2.3.24.2: bit 7 stores, bits 1-0 kind, then how many
        pytest.param(deliver(0, special(0x00, 3)), [MessageWaiting(VOICE, True, False, 3)], True, id="element"),
        pytest.param(deliver(0, special(0x80, 3)), [MessageWaiting(VOICE, True, True, 3)], False, id="element-store"),
        pytest.param(deliver(0, special(0x00, 0)), [MessageWaiting(VOICE, False, False, 0)], True, id="element-none"),
        pytest.param(
            deliver(0, special(0x00, 1), special(0x02, 2)),
            [MessageWaiting(VOICE, True, False, 1), MessageWaiting(EMAIL, True, False, 2)],
            True,
            id="two-elements",
        ),
        # Stored when either of the two says so; the element has the number.
        pytest.param(deliver(0xD8, special(0x00, 3)), [MessageWaiting(VOICE, True, False, 3)], False, id="both"),
        pytest.param(
            deliver(0xC8, special(0x01, 2)),
            [MessageWaiting(VOICE, True, False), MessageWaiting(FAX, True, False, 2)],
            True,
            id="one-each",
        ),
        pytest.param(deliver(0x00), [], False, id="text"),
        pytest.param(deliver(0, InformationElement(0x01, b"\0")), [], False, id="element-of-wrong-length"),
    ],
)
def test_message_waiting(message: Deliver, waiting: list[MessageWaiting], is_only: bool) -> None:
    found = Deliver.decode(message.encode())
    assert (list(found.waiting), found.is_waiting_only) == (waiting, is_only)


def test_an_mms_notification() -> None:
    push = decode_push(PUSH)
    assert push.content_type == "application/vnd.wap.mms-message"
    assert push.mms == MmsNotification(
        transaction_id="T1a2b",
        location="http://mmsc.example/m?1a2b",
        sender="+491701234567",
        subject="Grüße!",
        size_octets=0x7800,
        expires_in_s=0x03F480,
    )


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        pytest.param("AE", "application/vnd.wap.sic", id="short-integer"),
        pytest.param("02AE81", "application/vnd.wap.sic", id="with-parameter"),
        pytest.param("02013E", "application/vnd.wap.mms-message", id="long-integer"),
        pytest.param("1F02AE81", "application/vnd.wap.sic", id="long-length"),
        pytest.param(b"Text/X\0".hex(), "text/x", id="text"),
        pytest.param((b"\x08text/x\0\x81").hex(), "text/x", id="text-with-parameter"),
        pytest.param("FF", "0x7F", id="unknown"),
    ],
)
def test_content_types(headers: str, content_type: str) -> None:
    octets = bytes.fromhex(headers)
    push = decode_push(b"\x01\x06" + bytes((len(octets),)) + octets + b"\x8c\x82")
    assert (push.content_type, push.content) == (content_type, b"\x8c\x82")


def test_another_message_of_mms_is_no_notification() -> None:
    push = decode_push(b"\x01\x06\x01\xbe" + bytes.fromhex("8C868D92"))
    assert (push.content_type, push.mms) == ("application/vnd.wap.mms-message", None)


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        pytest.param(b"plain\0", "plain", id="text"),
        pytest.param(b"\x7f\xc3\xa4\0", "ä", id="quoted"),
        pytest.param(b"\x05\x84\xe4\xf6\xfc\0", "äöü", id="latin-1"),
        pytest.param(b"\x09\x02\x03\xe8\0\xe4\0!\0\0", "ä!", id="ucs2"),
    ],
)
def test_subjects(subject: bytes, text: str) -> None:
    push = decode_push(b"\x01\x06\x01\xbe" + b"\x8c\x82\x96" + subject + b"\x83x\0")
    assert push.mms is not None
    assert (push.mms.subject, push.mms.location, push.mms.sender) == (text, "x", None)


@given(st.binary(max_size=60))
def test_any_push_decodes_or_is_a_decode_error(octets: bytes) -> None:
    for push in (octets, b"\x01\x06\x01\xbe" + octets, b"\x01\x06" + octets):
        try:
            decode_push(push)
        except DecodeError as error:
            assert 0 <= error.octet <= len(push)


@given(st.integers(0, len(PUSH) - 1), st.integers(0, 255), st.integers(0, len(PUSH)))
def test_a_damaged_notification_decodes_or_is_a_decode_error(at: int, octet: int, end: int) -> None:
    octets = bytearray(PUSH)
    octets[at] = octet
    with suppress(DecodeError):
        decode_push(bytes(octets[:end]))


@pytest.mark.parametrize("wide", [True, False])
def test_ports_both_ways(wide: bool) -> None:
    ports = Ports(200, 100, wide)
    message = deliver(0x04, ports.element(), body=b"\x01\x02")
    found = Deliver.decode(message.encode())
    assert (found.ports, found.alphabet, found.body) == (ports, Alphabet.OCTETS, b"\x01\x02")


def test_a_port_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Ports(0x10000, 0).element()
    with pytest.raises(ValueError, match="does not fit"):
        Ports(256, 0, wide=False).element()


def test_a_stored_indication_keeps_its_text() -> None:
    message = deliver(0xD8, special(0x80, 2), body=encode_gsm7("2 calls"))
    assert Deliver.decode(message.encode()).text == "2 calls"
