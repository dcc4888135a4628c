"""SMSGate's end-to-end encryption of texts and numbers: one value in, one value out. Pure but for the salt.

A value is "$aes-256-cbc/pbkdf2-sha1$i=<iterations>$<salt>$<ciphertext>", both in base64. The key is PBKDF2-HMAC-SHA1
of the passphrase's UTF-8, 32 octets; the cipher AES-256-CBC with PKCS #7 padding and the salt as IV. There is no
MAC: a wrong passphrase shows as bad padding or bad UTF-8, and once in a while as nonsense.

Deriving a key takes long by design: call it in a thread. It needs the extra `e2e`, which is imported at first use.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from importlib.util import find_spec

from drivers.values import dataclass

ALGORITHM = "aes-256-cbc/pbkdf2-sha1"
ITERATIONS = 75_000
"""What SMSGate's own senders use."""
MOST_ITERATIONS = 5_000_000
"""More would only keep a small box busy."""
_SALT_OCTETS = _BLOCK_OCTETS = 16
_KEY_OCTETS = 32


class E2eError(ValueError):
    """A value cannot be read. `str()` is one sentence, without anything of the value."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The fields of an encrypted value."""

    iterations: int
    salt: bytes
    ciphertext: bytes


def is_available() -> bool:
    """Whether the extra `e2e` is installed."""
    return find_spec("cryptography") is not None


def parse(value: str) -> Sealed:
    """Raises: E2eError."""
    chunks = value.split("$")
    if len(chunks) < 5 or chunks[0]:
        raise E2eError("it is not an encrypted value")
    if chunks[1] != ALGORITHM:
        raise E2eError(f"it is encrypted in another way than {ALGORITHM}")
    parameters = dict(one.partition("=")[::2] for one in chunks[2].split(","))
    count = parameters.get("i", "")
    if not (count.isascii() and count.isdigit() and len(count) <= 9 and 0 < int(count) <= MOST_ITERATIONS):
        raise E2eError(f"the number of iterations is not between 1 and {MOST_ITERATIONS}")
    try:
        salt, ciphertext = (base64.b64decode(chunk, validate=True) for chunk in chunks[-2:])
    except (binascii.Error, ValueError) as error:
        raise E2eError("salt or ciphertext is not base64") from error
    if len(salt) != _SALT_OCTETS:
        raise E2eError(f"the salt has {len(salt)} octets instead of {_SALT_OCTETS}")
    if not ciphertext or len(ciphertext) % _BLOCK_OCTETS:
        raise E2eError("the ciphertext is no whole number of blocks")
    return Sealed(int(count), salt, ciphertext)


def decrypt(value: str, passphrase: str) -> str:
    """The text within. Raises: E2eError."""
    # Imported here: who encrypts nothing does not pay for it.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    sealed = parse(value)
    cipher = Cipher(algorithms.AES(_key(passphrase, sealed.salt, sealed.iterations)), modes.CBC(sealed.salt))
    decryptor = cipher.decryptor()
    padded = decryptor.update(sealed.ciphertext) + decryptor.finalize()
    count = padded[-1]
    try:
        if not 0 < count <= _BLOCK_OCTETS or padded[-count:] != bytes([count]) * count:
            raise ValueError
        return padded[:-count].decode()
    except ValueError as error:
        raise E2eError("it cannot be decrypted with the configured passphrase") from error


def encrypt(text: str, passphrase: str, *, iterations: int = ITERATIONS, salt: bytes | None = None) -> str:
    """A value that `decrypt` reads; `salt` only for published vectors."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    salt = os.urandom(_SALT_OCTETS) if salt is None else salt
    clear = text.encode()
    count = _BLOCK_OCTETS - len(clear) % _BLOCK_OCTETS
    encryptor = Cipher(algorithms.AES(_key(passphrase, salt, iterations)), modes.CBC(salt)).encryptor()
    ciphertext = encryptor.update(clear + bytes([count]) * count) + encryptor.finalize()
    octets = "$".join(base64.b64encode(one).decode() for one in (salt, ciphertext))
    return f"${ALGORITHM}$i={iterations}${octets}"


def _key(passphrase: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha1", passphrase.encode(), salt, iterations, _KEY_OCTETS)
