"""The codec against tshark's gsm_sms dissector, which shares no line with it."""

import random
from dataclasses import replace
from datetime import UTC, datetime

from drivers.sms import (
    Address,
    Alphabet,
    DataCoding,
    Deliver,
    Segment,
    StatusReport,
    Submit,
    decode_text,
    encode_timestamp,
    encode_validity,
    segment,
)
from drivers.sms.national import DEFAULT, DEFAULT_EXTENSION
from drivers.sms.timestamp import Timestamp
from tests.prove import codec
from tests.tshark import dissect

MESSAGES = 300
SEED = 23040  # fixed: a failure must come back

ALPHABETS = (
    [character for character in DEFAULT if character != "\r"],
    sorted(set(DEFAULT_EXTENSION) - {" "}) * 3 + list("abc def"),
    list("Türkçe ığüşöç İŞĞ"),
    list("emoji 😀🚀👩‍👧 ü"),
    list("Привет мир"),
)


def generated_texts() -> list[str]:
    generator = random.Random(SEED)
    return [
        "".join(generator.choices(ALPHABETS[number % len(ALPHABETS)], k=generator.randint(1, 400)))
        for number in range(MESSAGES)
    ]


def test_submits_read_by_tshark() -> None:
    generator = random.Random(SEED)
    submits: list[tuple[Submit, Segment]] = []
    for number, text in enumerate(generated_texts()):
        wide = number % 3 == 0
        recipient = "+" * (number % 2) + "".join(generator.choices("0123456789", k=generator.randint(3, 15)))
        for part in segment(text, wide_reference=wide):
            submit = Submit(
                recipient,
                part.alphabet,
                part.body,
                concatenation=part.concatenation(number * 7 if wide else number & 0xFF, wide=wide),
                validity_s=generator.choice([None, 3600, 86400, 10 * 86400, 40 * 86400]),
                status_report=number % 4 == 0,
                message_class=generator.choice([None, None, 0, 1, 2, 3]),
                reject_duplicates=number % 5 == 0,
                reference=number % 256,
            )
            submits.append((submit, part))
    assert len(submits) >= 500
    seen = dissect([submit.encode().hex() for submit, _ in submits], outgoing=True)
    for (submit, part), read in zip(submits, seen, strict=True):
        assert read.text == decode_text(part.alphabet, part.body)
        assert read.malformed is None
        assert read.destination == submit.recipient.removeprefix("+")
        assert read.number("type_of_number") == submit.recipient.startswith("+")
        assert read.number("message_type") == 1
        assert read.number("reference") == submit.reference
        assert read.number("dcs") == DataCoding.of(submit.alphabet, submit.message_class).octet
        assert read.flag("status_report_request") == submit.status_report
        assert read.flag("reject_duplicates") == submit.reject_duplicates
        validity = None if submit.validity_s is None else encode_validity(submit.validity_s)
        assert read.number("validity_octet") == validity
        concatenation = submit.concatenation
        expected = concatenation and (concatenation.reference, concatenation.total, concatenation.sequence)
        found = [read.number(name) for name in ("message_id", "message_parts", "message_part")]
        assert found == list(expected or (None, None, None))


def test_delivers_read_by_tshark() -> None:
    at = datetime(2024, 7, 11, 12, 34, 56, tzinfo=UTC)
    scts = Timestamp(encode_timestamp(at), at)
    names = ["Vodafone", "Info 4", "A", "12345678901", "T-Mobile", "Bank AB"]
    delivers = [
        Deliver(Address.alphanumeric(names[number % len(names)]), scts, DataCoding.of(part.alphabet), part.body)
        for number, text in enumerate(generated_texts())
        for part in segment(text[:60])
    ]
    seen = dissect([deliver.encode().hex() for deliver in delivers])
    for deliver, read in zip(delivers, seen, strict=True):
        assert (read.text, read.originator) == (deliver.text, deliver.originator.number)


def test_reports_read_by_tshark() -> None:
    at = datetime(2024, 7, 11, 12, 34, 56, tzinfo=UTC)
    scts = Timestamp(encode_timestamp(at), at)
    reports = [StatusReport(number, Address.of(f"+49151{number}"), scts, scts, number) for number in range(256)]
    seen = dissect([report.encode().hex() for report in reports])
    for report, read in zip(reports, seen, strict=True):
        assert read.number("message_type") == 2
        assert (read.number("reference"), read.recipient) == (report.tp_mr, report.recipient.number[1:])


def test_octets_read_by_tshark() -> None:
    submit = Submit("+4915", Alphabet.OCTETS, bytes(range(100)))
    (read,) = dissect([submit.encode().hex()], outgoing=True)
    assert read.number("user_data_length") == 100
    assert read.malformed is None


def test_every_choice_of_alphabet_read_by_tshark() -> None:
    """The short form of `make prove WHAT=codec`."""
    wrong = codec.check(list(codec.messages(55, SEED)))
    assert {choice: found[:3] for choice, found in wrong.items() if found} == {}


def test_a_wrong_tpdu_is_noticed() -> None:
    (sent,) = codec.messages(1, SEED)
    read = dissect([replace(sent.submits[0], reference=1).encode().hex()], outgoing=True)[0]
    assert codec.differences(replace(sent.submits[0], reference=2), read) == ["reference: tshark 1, meant 2"]
