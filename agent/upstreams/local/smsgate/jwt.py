"""JSON Web Tokens signed with HMAC-SHA256 (RFC 7519, RFC 7515 §3.1, "HS256"), and no other kind. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

_LONGEST_CHARACTERS = 4096
_HEADER = {"alg": "HS256", "typ": "JWT"}


def signed(claims: dict[str, Any], key: bytes) -> str:
    body = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (_HEADER, claims))
    return f"{body}.{_encoded(_signature(body, key))}"


def claims(token: str, key: bytes, now_s: float) -> dict[str, Any] | None:
    """What a token says, None where it is none of ours, was changed, or has ended. Compares in constant time."""
    pieces = token.split(".")
    if len(pieces) != 3 or len(token) > _LONGEST_CHARACTERS:
        return None
    try:
        signature = _decoded(pieces[2])
        # Before anything of it is read: only what is signed is ours, and what is ours is HS256.
        if not hmac.compare_digest(signature, _signature(f"{pieces[0]}.{pieces[1]}", key)):
            return None
        found = json.loads(_decoded(pieces[1]))
    except ValueError:
        return None
    return found if found["exp"] > now_s else None


def _signature(body: str, key: bytes) -> bytes:
    return hmac.new(key, body.encode(), hashlib.sha256).digest()


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Raises: ValueError."""
    if not text.isascii():
        raise ValueError("not ASCII")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
