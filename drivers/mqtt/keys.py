"""Configuration keys that both ends of the road share: how a broker is named, and what may stand in a topic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol
from urllib.parse import urlsplit

from drivers.mqtt import topics
from drivers.mqtt.topics import NotALevel
from drivers.settings import Check, Secret, existing_file

PLAIN_PORT, TLS_PORT = 1883, 8883
_SCHEMES = {"mqtt": PLAIN_PORT, "mqtts": TLS_PORT}


def _address(value: str) -> str:
    try:
        parts = urlsplit(value.strip())
        is_usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError(f'"{value}" is no broker; write "mqtt://host:1883", or "mqtts://host:8883" for TLS')
    if parts.username or parts.password:
        raise ValueError("give user name and password by username and password_file, not in the address")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("give only host and port; the first level of the topics is topic_prefix")
    return value.strip().rstrip("/")


def _level(value: str) -> str:
    try:
        return topics.level(value)
    except NotALevel as error:
        raise ValueError(str(error)) from error


def _levels(value: str) -> str:
    try:
        return topics.path(value)
    except NotALevel as error:
        raise ValueError(str(error)) from error


def _readable_file(value: Path) -> Path:
    return existing_file(value, "one in PEM form")


BrokerUrl = Annotated[str, Check(_address)]
Level = Annotated[str, Check(_level)]
Levels = Annotated[str, Check(_levels)]
PemFile = Annotated[Path | None, Check(_readable_file)]


class BrokerKeys(Protocol):
    """The keys by which a driver or an upstream is let in by a broker."""

    @property
    def url(self) -> str: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> Secret | None: ...
    @property
    def password_file(self) -> Path | None: ...
    @property
    def ca_file(self) -> Path | None: ...
    @property
    def cert_file(self) -> Path | None: ...
    @property
    def key_file(self) -> Path | None: ...


def check_security(keys: BrokerKeys) -> None:
    """Whether the keys of one broker that are given fit together. Raises: ValueError with what to change."""
    if keys.key_file is not None and keys.cert_file is None:
        raise ValueError("key_file is the key of a certificate; give that as cert_file")
    if (keys.ca_file is not None or keys.cert_file is not None) and not is_tls(keys.url):
        raise ValueError('ca_file and cert_file are for TLS; begin url with "mqtts://"')
    if (keys.password is not None or keys.password_file is not None) and keys.username is None:
        raise ValueError("a password needs a username beside it")


def is_tls(url: str) -> bool:
    """Whether the connection to this address is encrypted."""
    return urlsplit(url).scheme == "mqtts"


def host_and_port(url: str) -> tuple[str, int]:
    """Of an address that was checked."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _SCHEMES[parts.scheme]
