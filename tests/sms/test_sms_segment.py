"""Cutting texts into parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sms import (
    Alphabet,
    Concatenation,
    EncodeError,
    Submit,
    count_parts,
    decode_text,
    segment,
    segment_octets,
)


@pytest.mark.parametrize(
    ("text", "wide", "sizes"),
    [
        # Sizes: TS 23.040 §9.2.3.24.1 (8-bit reference) and §9.2.3.24.8 (16-bit reference)
        pytest.param("", False, [0], id="empty"),
        pytest.param("x" * 160, False, [160], id="160 septets alone"),
        pytest.param("x" * 161, False, [153, 8], id="153 septets with a reference"),
        pytest.param("x" * 161, True, [152, 9], id="152 septets with a wide reference"),
        pytest.param("€" * 80, False, [160], id="80 escapes alone"),
        pytest.param("x" * 152 + "€" * 5, False, [152, 10], id="an escape is not cut"),
        pytest.param("x" * 151 + "€" * 5, True, [151, 10], id="an escape is not cut, wide"),
        pytest.param("ş" * 70, False, [140], id="70 units alone"),
        pytest.param("ş" * 71, False, [134, 8], id="67 units with a reference"),
        pytest.param("ş" * 71, True, [132, 10], id="66 units with a wide reference"),
        pytest.param("😀" * 35, False, [140], id="35 pairs alone"),
        pytest.param("😀" * 36, False, [132, 12], id="a pair is not cut at 67 units"),
        pytest.param("ş" + "😀" * 36, True, [130, 16], id="a pair is not cut at 66 units"),
    ],
)
def test_sizes(text: str, wide: bool, sizes: list[int]) -> None:
    parts = segment(text, wide_reference=wide)
    assert [len(part.body) for part in parts] == sizes
    assert [part.sequence for part in parts] == list(range(1, len(sizes) + 1))
    assert {part.total for part in parts} == {len(sizes)}


def test_octets_are_cut_at_134_and_133() -> None:
    assert [len(part.body) for part in segment_octets(bytes(140))] == [140]
    assert [len(part.body) for part in segment_octets(bytes(141))] == [134, 7]
    assert [len(part.body) for part in segment_octets(bytes(141), wide_reference=True)] == [133, 8]


def test_255_parts_are_the_most() -> None:
    assert count_parts("x" * 153 * 255) == 255
    with pytest.raises(EncodeError, match="needs 256 parts"):
        segment("x" * (153 * 255 + 1))


def test_only_a_part_of_many_has_a_concatenation() -> None:
    first, second = segment("x" * 161)
    assert second.concatenation(7) == Concatenation(7, 2, 2)
    assert first.concatenation(0x1234, wide=True) == Concatenation(0x1234, 2, 1, wide=True)
    assert segment("x")[0].concatenation(7) is None


@given(st.text(max_size=400), st.booleans())
def test_parts_join_to_the_text_and_each_reads_alone(text: str, wide: bool) -> None:
    parts = segment(text, wide_reference=wide)
    assert decode_text(parts[0].alphabet, b"".join(part.body for part in parts)) == text
    assert "".join(decode_text(part.alphabet, part.body) for part in parts) == text
    assert count_parts(text, wide_reference=wide) == len(parts)


@given(st.text(st.sampled_from("x€ş😀"), max_size=400), st.booleans())
def test_every_part_fits_a_tpdu(text: str, wide: bool) -> None:
    for part in segment(text, wide_reference=wide):
        submit = Submit("+4915", part.alphabet, part.body, concatenation=part.concatenation(1, wide=wide))
        assert Submit.decode(submit.encode()) == submit


def test_the_alphabet_is_gsm7_where_it_can_be() -> None:
    assert segment("hello {€}")[0].alphabet is Alphabet.GSM7
    assert segment("hello ş")[0].alphabet is Alphabet.UCS2
