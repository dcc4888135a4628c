"""What all HTTP upstreams share: addresses and files of a configuration, TLS, and a server's words for people."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from drivers.settings import existing_file

_LONGEST_QUOTE_CHARACTERS = 160


def server_address(value: str, example: str) -> str:
    """An address without a slash at its end. Raises: ValueError with a sentence."""
    try:
        parts = urlsplit(value.strip())
        is_usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError(f'"{value}" is not a server address; write it as "{example}"')
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("give only the server's address, without user, password or anything after ? or #")
    return value.strip().rstrip("/")


def certificate_file(value: Path) -> Path:
    """Raises: ValueError with a sentence."""
    return existing_file(value, "the CA's certificate in PEM form")


def check_certificates(ca_file: Path | None) -> None:
    """Whether a private CA can be used at all. Raises: OSError or ssl.SSLError where not."""
    if ca_file is not None:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca_file)


@cache
def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """The system's CAs and, where given, a private one. Made once: each costs over a megabyte.

    Raises: OSError or ssl.SSLError where the file cannot be used.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def quoted(said: object) -> str:
    """A server's words as they may stand in a sentence and in a log: short, one line, printable."""
    if not isinstance(said, str):
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in said[: 4 * _LONGEST_QUOTE_CHARACTERS]).split())
    return line if len(line) <= _LONGEST_QUOTE_CHARACTERS else f"{line[:_LONGEST_QUOTE_CHARACTERS]}…"


def storable(text: str) -> str:
    """JSON may carry half a surrogate pair, which no database and no connection takes: it becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def cause(error: Exception) -> str:
    """A foreign error as part of a sentence."""
    return quoted(str(error)) or type(error).__name__
