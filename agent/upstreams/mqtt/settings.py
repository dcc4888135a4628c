"""The `[[upstream]]` keys of an MQTT broker, and the broker that they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from agent import numbers
from agent.config import ConfigError, secret
from agent.upstreams.api import UpstreamSettings
from drivers.mqtt import topics
from drivers.mqtt.link import PLAIN_PORT, TLS_PORT, Broker, Will, tls_context
from drivers.mqtt.topics import NotALevel, Topics
from drivers.settings import Check, Ge, Le, Len, Secret

_SCHEMES = {"mqtt": PLAIN_PORT, "mqtts": TLS_PORT}
_WEEK_S = 7 * 86_400


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


def _path(value: str) -> str:
    try:
        return topics.path(value)
    except NotALevel as error:
        raise ValueError(str(error)) from error


def _readable_file(value: Path) -> Path:
    if not value.is_file():
        raise ValueError(f"{value} is not a file; give one in PEM form")
    return value


def _recipients(value: dict[str, str]) -> dict[str, str]:
    for who, number in value.items():
        try:
            numbers.dialable(number, None)
        except numbers.NotDialable as error:
            raise ValueError(f"{who}: {error}") from error
    return value


_File = Annotated[Path | None, Check(_readable_file)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings(UpstreamSettings):
    """`type = "mqtt"`. `device_id` defaults to `agent.device_name`, `client_id` to "phonebridge-<device_id>"."""

    url: Annotated[str, Check(_address)]
    device_id: Annotated[str, Len(1, 100), Check(_level)] | None = None
    client_id: Annotated[str, Len(1, 200)] | None = None
    username: Annotated[str, Len(1, 500)] | None = None
    password: Secret | None = None
    password_file: Path | None = None
    ca_file: _File = None
    cert_file: _File = None
    key_file: _File = None
    topic_prefix: Annotated[str, Len(1, 200), Check(_path)] = "phonebridge"
    keepalive_s: Annotated[int, Ge(5), Le(3600)] = 30
    session_expiry_s: Annotated[int, Ge(0), Le(0xFFFFFFFE)] = _WEEK_S
    receive_maximum: Annotated[int, Ge(1), Le(1000)] = 100
    room_per_route: Annotated[int, Ge(1), Le(10_000)] = 20
    inbound: bool = True
    home_assistant: bool = False
    home_assistant_prefix: Annotated[str, Len(1, 200), Check(_path)] = "homeassistant"
    home_assistant_recipients: Annotated[dict[str, str], Check(_recipients)] = field(default_factory=dict)
    home_assistant_texts: bool = True

    def __post_init__(self) -> None:
        if (self.key_file is not None) and self.cert_file is None:
            raise ValueError("key_file is the key of a certificate; give that as cert_file")
        is_tls = urlsplit(self.url).scheme == "mqtts"
        if not is_tls and (self.ca_file is not None or self.cert_file is not None):
            raise ValueError('ca_file and cert_file are for TLS; begin url with "mqtts://"')
        if (self.password is not None or self.password_file is not None) and self.username is None:
            raise ValueError("a password needs a username beside it")

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)


def topics_of(settings: MqttSettings, device_name: str) -> Topics:
    """Raises: ConfigError where the device's name cannot stand in a topic."""
    device = settings.device_id or device_name
    try:
        return Topics(settings.topic_prefix, topics.level(device))
    except NotALevel as error:
        raise ConfigError(f"upstream[{settings.name}].device_id: {error}") from error


def broker(settings: MqttSettings, own: Topics) -> Broker:
    """Where and as whom to connect. Raises: ConfigError for a secret or a certificate that cannot be used."""
    where = f"upstream[{settings.name}]"
    parts = settings.parts
    password = secret(settings.password, settings.password_file, f"{where}.password")
    tls = None
    if parts.scheme == "mqtts":
        try:
            tls = tls_context(settings.ca_file, settings.cert_file, settings.key_file)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"{where}: ca_file, cert_file or key_file cannot be used ({error.strerror or error}); "
                "they hold certificates and an unencrypted key in PEM form"
            ) from error
    return Broker(
        host=parts.hostname or "",
        port=parts.port or _SCHEMES[parts.scheme],
        client_id=settings.client_id or f"phonebridge-{own.device}",
        tls=tls,
        username=settings.username,
        password=None if password is None else Secret(password),
        keepalive_s=settings.keepalive_s,
        session_expiry_s=settings.session_expiry_s,
        receive_maximum=settings.receive_maximum,
        will=Will(topic=own.availability, payload=topics.OFFLINE),
    )
