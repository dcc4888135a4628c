"""End-to-end encryption: the published vectors, both directions with the official client, and what is no value."""

from __future__ import annotations

import pytest
from android_sms_gateway import Encryptor
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import e2e

PASSPHRASE = "passphrase"
HELLO = "$aes-256-cbc/pbkdf2-sha1$i=75000$obSTW6ittQvTtdAxonQKIw==$g3QFAC9CtBcPxoKlouqsyQ=="
NUMBER = "$aes-256-cbc/pbkdf2-sha1$i=1000$AAECAwQFBgcICQoLDA0ODw==$3lA2PIN8VBJuGrcAtVHykw=="


# The first is the official client's own test (its tests/test_encryption.py); the second was made with it.
@pytest.mark.parametrize(("value", "clear"), [(HELLO, "hello"), (NUMBER, "+19162255887")], ids=["client", "number"])
def test_vectors(value: str, clear: str) -> None:
    assert e2e.decrypt(value, PASSPHRASE) == clear
    sealed = e2e.parse(value)
    assert e2e.encrypt(clear, PASSPHRASE, iterations=sealed.iterations, salt=sealed.salt) == value


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=200), st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40))
def test_the_official_client_and_we_read_each_other(text: str, passphrase: str) -> None:
    client = Encryptor(passphrase, iterations=10)
    assert e2e.decrypt(client.encrypt(text), passphrase) == text
    assert client.decrypt(e2e.encrypt(text, passphrase, iterations=10)) == text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("+19162255887", "not an encrypted value"),
        ("x" + HELLO, "not an encrypted value"),
        (HELLO.replace("cbc", "gcm"), "another way"),
        (HELLO.replace("i=75000", "i=0"), "iterations"),
        (HELLO.replace("i=75000", "i=5000001"), "iterations"),
        (HELLO.replace("i=75000", "j=75000"), "iterations"),
        (HELLO.replace("i=75000", "i=٣"), "iterations"),
        (HELLO.replace("obST", "ob!T"), "not base64"),
        (HELLO.replace("obSTW6ittQvTtdAxonQKIw==", "obSTW6it"), "salt has 6 octets"),
        (HELLO.rpartition("$")[0] + "$", "blocks"),
        (HELLO.replace("g3QFAC9CtBcPxoKlouqsyQ==", "g3QFAC9C"), "blocks"),
    ],
    ids=lambda value: value[-24:],
)
def test_what_is_no_value_is_said(value: str, said: str) -> None:
    with pytest.raises(e2e.E2eError, match=said):
        e2e.decrypt(value, PASSPHRASE)


def test_a_wrong_passphrase_is_an_error_and_tells_nothing() -> None:
    with pytest.raises(e2e.E2eError) as caught:
        e2e.decrypt(HELLO, "another")
    assert str(caught.value) == "it cannot be decrypted with the configured passphrase"
