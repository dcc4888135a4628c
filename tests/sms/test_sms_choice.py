"""How a text is encoded: national tables where they save parts, plain characters for typographic ones; and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.sms import (
    IE_NATIONAL_LOCKING_SHIFT,
    IE_NATIONAL_SINGLE_SHIFT,
    Address,
    Alphabet,
    DataCoding,
    Deliver,
    EncodeError,
    InformationElement,
    NationalTables,
    Ports,
    Segment,
    Submit,
    decode_gsm7,
    decode_header,
    encode_elements,
    encode_gsm7,
    find_language,
    join_text,
    segment,
    segment_octets,
    simplified,
)
from drivers.sms.national import DEFAULT, LOCKING, SINGLE
from drivers.sms.timestamp import Timestamp

OFF, SINGLE_SHIFT, LOCKING_SHIFT = NationalTables
TURKISH = "İstanbul'da ılık bir gün; şeker, çay, ğ ve ü. " * 8
NOW = Timestamp(bytes.fromhex("42701121436522"), None)
NATIONAL = sorted({character for table in (*LOCKING.values(), *SINGLE.values()) for character in table} - {"\x1b"})


def through_the_air(parts: tuple[Segment, ...]) -> str:
    """What a receiver joins; each part as SMS-SUBMIT and as SMS-DELIVER."""
    received = []
    for part in parts:
        concatenation = part.concatenation(200)
        submit = Submit("+4915", part.alphabet, part.body, concatenation=concatenation, elements=part.elements)
        assert Submit.decode(submit.encode()) == submit
        deliver = Deliver(
            Address.of("+4915"), NOW, DataCoding.of(part.alphabet), part.body, concatenation, elements=part.elements
        )
        received.append(Deliver.decode(deliver.encode()))
    return join_text(received)


@pytest.mark.parametrize(
    ("national", "parts", "alphabet", "header"),
    [
        pytest.param(OFF, 3, Alphabet.UCS2, "", id="off"),
        # Each special letter takes two septets of the 155 beside a header of 4 octets.
        pytest.param(SINGLE_SHIFT, 2, Alphabet.GSM7, "240101", id="single"),
        pytest.param(LOCKING_SHIFT, 1, Alphabet.GSM7, "250101", id="locking"),
    ],
)
def test_a_turkish_text_of_155_characters(
    national: NationalTables, parts: int, alphabet: Alphabet, header: str
) -> None:
    found = segment(TURKISH[:155], national=national)
    assert len(found) == parts
    for part in found:
        assert (part.alphabet, encode_elements(part.elements).hex()) == (alphabet, header)
    assert through_the_air(found) == TURKISH[:155]


@pytest.mark.parametrize(
    ("text", "national", "sizes"),
    [
        # 160 septets less 5 for a header of 4 octets; less 11 for one of 9 beside a concatenation.
        pytest.param("ş" * 155, LOCKING_SHIFT, [155], id="155-locking"),
        pytest.param("ş" * 156, LOCKING_SHIFT, [149, 7], id="156-locking"),
        # Two septets a character, and 149 is odd: no escape is cut from its character.
        pytest.param("ş" * 77, SINGLE_SHIFT, [154], id="77-single"),
        pytest.param("ş" * 140, SINGLE_SHIFT, [148, 132], id="140-single"),
    ],
)
def test_sizes_with_national_tables(text: str, national: NationalTables, sizes: list[int]) -> None:
    assert [len(part.body) for part in segment(text, national=national)] == sizes


@pytest.mark.parametrize("national", NationalTables)
def test_tables_are_never_used_where_the_plain_alphabet_does(national: NationalTables) -> None:
    assert segment("Ülkü {}[]€ " * 20, national=national) == segment("Ülkü {}[]€ " * 20)


@pytest.mark.parametrize("national", NationalTables)
def test_among_equals_every_handset_can_read_it(national: NationalTables) -> None:
    assert segment("ş" * 70, national=national)[0].alphabet is Alphabet.UCS2


def test_single_shift_goes_before_locking_where_both_take_as_many_parts() -> None:
    text = "a" * 100 + "ş"
    (part,) = segment(text, national=LOCKING_SHIFT)
    assert part.elements == (InformationElement(IE_NATIONAL_SINGLE_SHIFT, b"\x01"),)


def test_both_tables_in_one_message() -> None:
    # Hindi letters lock; Latin capitals are in the single shift table only.
    text = "नमस्ते दुनिया A " * 8
    parts = segment(text, national=LOCKING_SHIFT)
    elements = parts[0].elements
    assert find_language(elements, IE_NATIONAL_LOCKING_SHIFT) == 6
    assert find_language(elements, IE_NATIONAL_SINGLE_SHIFT) == 6
    assert len(parts) < len(segment(text))
    assert through_the_air(parts) == text


@pytest.mark.parametrize(
    ("locking", "single", "text", "septets"),
    [
        # TS 23.038 annex A.3.1, A.2.1 (Turkish), A.2.2 (Spanish), A.3.3 (Portuguese), A.2.6 and A.3.6 (Hindi)
        pytest.param(1, 0, "ışğİç", "071d0c4060", id="turkish-locking"),
        pytest.param(0, 1, "ışğİç", "1b691b731b671b491b63", id="turkish-single"),
        pytest.param(0, 2, "çáíóú", "1b091b611b691b6f1b75", id="spanish-single"),
        pytest.param(3, 0, "êçãõ", "04097b7c", id="portuguese-locking"),
        pytest.param(6, 6, "अA", "031b41", id="hindi-both"),
    ],
)
def test_national_characters(locking: int, single: int, text: str, septets: str) -> None:
    assert encode_gsm7(text, locking=locking, single=single).hex() == septets
    assert decode_gsm7(bytes.fromhex(septets), locking=locking, single=single) == text


@pytest.mark.parametrize("locking", LOCKING)
@pytest.mark.parametrize("single", SINGLE)
def test_every_character_of_two_tables_comes_back(locking: int, single: int) -> None:
    text = "".join(sorted(set(LOCKING[locking] + SINGLE[single]) - {"\x1b"}))
    assert decode_gsm7(encode_gsm7(text, locking=locking, single=single), locking=locking, single=single) == text


@given(
    st.one_of(st.text(max_size=200), st.text("abc ığüşöçİŞĞ{}€", max_size=400), st.text(NATIONAL, max_size=200)),
    st.sampled_from(NationalTables),
    st.booleans(),
)
def test_any_text_survives_every_choice(text: str, national: NationalTables, wide: bool) -> None:
    parts = segment(text, national=national, wide_reference=wide)
    assert through_the_air(parts) == text
    assert "".join(decoded_alone(part) for part in parts) == text
    assert len(parts) <= len(segment(text, wide_reference=wide))


def decoded_alone(part: Segment) -> str:
    return Submit("+4915", part.alphabet, part.body, elements=part.elements).text


@pytest.mark.parametrize("language", sorted(SINGLE)[1:])
@settings(max_examples=25)
@given(data=st.data())
def test_any_text_of_a_language_survives(language: int, data: st.DataObject) -> None:
    letters = sorted(set(LOCKING.get(language, "") + SINGLE[language] + "abc 123") - {"\x1b"})
    text = data.draw(st.text(letters, min_size=60, max_size=250))
    assert through_the_air(segment(text, national=LOCKING_SHIFT)) == text


@given(st.binary(min_size=1, max_size=600), st.integers(0, 0xFFFF), st.booleans())
def test_any_octets_survive(octets: bytes, port: int, wide: bool) -> None:
    elements = (Ports(port, port).element(),)
    parts = segment_octets(octets, wide_reference=wide, elements=elements)
    assert all(len(part.body) <= (133 if len(parts) == 1 else 127 if wide else 128) for part in parts)
    assert b"".join(part.body for part in parts) == octets
    assert through_the_air(parts) == ""
    assert all(decode_header(encode_elements(part.elements)) == elements for part in parts)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        pytest.param("“Yes” – it’s ‘fine’…", "\"Yes\" - it's 'fine'...", id="quotes-dash-dots"),
        pytest.param("10\u202f000\u00a0€", "10 000 €", id="spaces"),
        pytest.param("a\u200bb\u00adc\ufeff", "abc", id="what-shows-nothing"),
        pytest.param("cafe\u0301", "café", id="composed"),
        pytest.param("«a» `b` • c", "\"a\" 'b' * c", id="others"),
    ],
)
def test_typographic_characters_become_plain_where_that_keeps_gsm7(text: str, plain: str) -> None:
    (part,) = segment(text, is_smart=True)
    assert (part.alphabet, decode_gsm7(part.body)) == (Alphabet.GSM7, plain)
    assert segment(text)[0].alphabet is Alphabet.UCS2


@pytest.mark.parametrize("text", ["“Привет”", "emoji 😀 – yes", "“漢字”…"])
def test_a_text_that_stays_ucs2_stays_as_it_was_given(text: str) -> None:
    assert segment(text, is_smart=True) == segment(text)


def test_smart_encoding_saves_parts_together_with_tables_only() -> None:
    text = "“şeker” " * 12
    assert segment(text, is_smart=True) == segment(text)
    (part,) = segment(text, is_smart=True, national=LOCKING_SHIFT)
    assert through_the_air((part,)) == '"şeker" ' * 12
    short = "“ş”"
    assert segment(short, is_smart=True, national=LOCKING_SHIFT) == segment(short)


@given(st.text(max_size=100))
def test_simplifying_loses_no_letter(text: str) -> None:
    plain = simplified(text)
    assert simplified(plain) == plain
    if all(character in DEFAULT for character in text):
        assert segment(text, is_smart=True) == segment(text)


def test_255_parts_are_the_most_with_tables_too() -> None:
    assert len(segment("ş" * 149 * 255, national=LOCKING_SHIFT)) == 255
    with pytest.raises(EncodeError, match="256 parts"):
        segment("ş" * 149 * 256, national=LOCKING_SHIFT)
