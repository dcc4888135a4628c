"""The `[[upstream]]` keys of an MQTT broker, and the broker that they name."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from agent import numbers
from agent.config import ConfigError, secret
from agent.upstreams.api import UpstreamSettings
from drivers.mqtt import topics
from drivers.mqtt.keys import BrokerUrl, Level, Levels, PemFile, check_security, host_and_port, is_tls
from drivers.mqtt.link import Broker, Will, tls_context
from drivers.mqtt.topics import NotALevel, Topics
from drivers.settings import Check, Ge, Le, Len, Secret
from drivers.values import dataclass

_WEEK_S = 7 * 86_400


def _recipients(value: dict[str, str]) -> dict[str, str]:
    for who, number in value.items():
        try:
            numbers.dialable(number, None)
        except numbers.NotDialable as error:
            raise ValueError(f"{who}: {error}") from error
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings(UpstreamSettings):
    """`type = "mqtt"`. `device_id` defaults to `agent.device_name`, `client_id` to "phonebridge-<device_id>"."""

    url: BrokerUrl
    device_id: Annotated[Level, Len(1, 100)] | None = None
    client_id: Annotated[str, Len(1, 200)] | None = None
    username: Annotated[str, Len(1, 500)] | None = None
    password: Secret | None = None
    password_file: Path | None = None
    ca_file: PemFile = None
    cert_file: PemFile = None
    key_file: PemFile = None
    topic_prefix: Annotated[Levels, Len(1, 200)] = "phonebridge"
    keepalive_s: Annotated[int, Ge(5), Le(3600)] = 30
    session_expiry_s: Annotated[int, Ge(0), Le(0xFFFFFFFE)] = _WEEK_S
    receive_maximum: Annotated[int, Ge(1), Le(1000)] = 100
    pool: Annotated[str, Len(1, 64)] | None = None
    room_per_route: Annotated[int, Ge(1), Le(10_000)] = 20
    inbound: bool = True
    home_assistant: bool = False
    home_assistant_prefix: Annotated[Levels, Len(1, 200)] = "homeassistant"
    home_assistant_recipients: Annotated[dict[str, str], Check(_recipients)] = field(default_factory=dict)
    home_assistant_texts: bool = True

    def __post_init__(self) -> None:
        check_security(self)


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
    host, port = host_and_port(settings.url)
    password = secret(settings.password, settings.password_file, f"{where}.password")
    tls = None
    if is_tls(settings.url):
        try:
            tls = tls_context(settings.ca_file, settings.cert_file, settings.key_file)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"{where}: ca_file, cert_file or key_file cannot be used ({error.strerror or error}); "
                "they hold certificates and an unencrypted key in PEM form"
            ) from error
    return Broker(
        host=host,
        port=port,
        client_id=settings.client_id or f"phonebridge-{own.device}",
        tls=tls,
        username=settings.username,
        password=None if password is None else Secret(password),
        keepalive_s=settings.keepalive_s,
        session_expiry_s=settings.session_expiry_s,
        receive_maximum=settings.receive_maximum,
        will=Will(topic=own.availability, payload=topics.OFFLINE),
    )
