"""Bodies of SMSGate requests, and what is allowed in them. Field names are SMSGate's.

Unknown fields are ignored, as its server does; null is absent.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from agent.clock import parse_iso_utc
from agent.hooks import problem_of
from agent.model import MAX_PRIORITY, MIN_PRIORITY
from agent.upstreams.local.smsgate.scopes import KNOWN
from agent.upstreams.local.smsgate.tokens import LONGEST_TTL_S

MOST_RECIPIENTS = 100
LONGEST_TEXT = 20_000
# An encrypted number of 15 digits takes 102 characters.
_LONGEST_NUMBER = 512
_LONGEST_VALIDITY_S = 63 * 7 * 86_400
_LONGEST_INTERVAL_S = 86_400
Event = Literal[
    "sms:received", "sms:data-received", "sms:sent", "sms:delivered", "sms:failed", "sms:cancelled", "system:ping",
    "mms:received", "mms:downloaded", "app:started", "sms:batch:received", "sms:batch:data-received",
    "mms:batch:received", "mms:batch:downloaded",
]  # fmt: skip


def _whole(value: object) -> object:
    """JSON has one kind of number: 5.0 is whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _time(value: str) -> str:
    if parse_iso_utc(value) is None:
        raise ValueError("must be a time, e.g. 2026-01-31T12:00:00Z")
    return value


def _callable(value: str) -> str:
    if (problem := problem_of(value)) is not None:
        raise ValueError(f"must be a valid URL: {problem}")
    return value


def _base64(value: str) -> str:
    # What is encrypted begins with a dollar sign and is looked at when it is opened.
    if not value.startswith("$"):
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("must be base64") from error
    return value


def instant(value: str | None) -> int | None:
    """UTC ms of a time that was checked."""
    return None if value is None else parse_iso_utc(value)


Time = Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"}), AfterValidator(_time)]
Url = Annotated[str, AfterValidator(_callable), WithJsonSchema({"type": "string", "format": "uri", "maxLength": 2000})]
_Whole = BeforeValidator(_whole)
_Interval = Annotated[int, Field(ge=1, le=_LONGEST_INTERVAL_S), _Whole]
_Count = Annotated[int, Field(ge=1, le=1_000_000), _Whole]
_Secret = Annotated[str, Field(max_length=255)]
_Hour = Annotated[str, Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Body(BaseModel):
    """Made ready at its first use: most gateways serve other dialects, and it takes memory."""

    model_config = ConfigDict(extra="ignore", strict=True, defer_build=True)


class TextMessage(Body):
    text: str = Field(min_length=1, max_length=LONGEST_TEXT)


class DataMessage(Body):
    """`data` is base64."""

    data: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_base64)]
    port: Annotated[int, Field(ge=1, le=65535), _Whole]


class SendMessage(Body):
    """POST /messages. Exactly one of `textMessage`, `dataMessage` and the older `message`; `ttl` or `validUntil`."""

    id: str | None = Field(default=None, min_length=1, max_length=36, pattern="^[^/?#]+$")
    deviceId: str | None = Field(default=None, max_length=255)
    textMessage: TextMessage | None = None
    dataMessage: DataMessage | None = None
    message: str | None = Field(default=None, max_length=LONGEST_TEXT)
    phoneNumbers: list[Annotated[str, Field(min_length=1, max_length=_LONGEST_NUMBER)]] = Field(
        min_length=1, max_length=MOST_RECIPIENTS, json_schema_extra={"uniqueItems": True}
    )
    isEncrypted: bool | None = False
    simNumber: Annotated[int, Field(ge=1, le=64), _Whole] | None = None
    withDeliveryReport: bool | None = True
    priority: Annotated[int, Field(ge=MIN_PRIORITY, le=MAX_PRIORITY), _Whole] | None = 0
    ttl: Annotated[int, Field(ge=5, le=_LONGEST_VALIDITY_S), _Whole] | None = None
    validUntil: Time | None = None
    scheduleAt: Time | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_mms(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("mmsMessage") is not None:
            raise ValueError("has an mmsMessage: this gateway sends SMS only")
        return value

    @model_validator(mode="after")
    def _rules(self) -> SendMessage:
        contents = [one for one in (self.textMessage, self.dataMessage, self.message or None) if one is not None]
        if len(contents) != 1:
            raise ValueError("must have exactly one of textMessage, dataMessage and message")
        if self.ttl is not None and self.validUntil is not None:
            raise ValueError("must not have both ttl and validUntil")
        if len(set(self.phoneNumbers)) != len(self.phoneNumbers):
            raise ValueError("must not name a number twice in phoneNumbers")
        return self

    @property
    def content(self) -> str:
        """Text, or data in base64, as it was submitted."""
        if self.dataMessage is not None:
            return self.dataMessage.data
        return self.textMessage.text if self.textMessage is not None else self.message or ""


class Refresh(Body):
    """POST /inbox/refresh, and the older /messages/inbox/export."""

    deviceId: str | None = Field(default=None, max_length=255)
    since: Time
    until: Time
    messageTypes: list[Literal["SMS", "DATA_SMS", "MMS", "MMS_DOWNLOADED"]] | None = Field(default=None, max_length=10)
    triggerWebhooks: bool | None = None
    webhookDelivery: Literal["Disabled", "Individual", "Batch"] | None = None


class NewWebhook(Body):
    """POST /webhooks. One with a known id is replaced."""

    id: str | None = Field(default=None, min_length=1, max_length=36, pattern="^[^/?#]+$")
    url: Url
    event: Event
    deviceId: str | None = Field(default=None, max_length=255)


class TokenRequest(Body):
    """POST /auth/token. `ttl` in seconds."""

    ttl: Annotated[int, Field(ge=1, le=LONGEST_TTL_S), _Whole] | None = None
    scopes: list[Annotated[str, Field(json_schema_extra={"enum": sorted(KNOWN)})]] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _known(self) -> TokenRequest:
        if unknown := [scope for scope in self.scopes if scope not in KNOWN]:
            raise ValueError(f'asks for the unknown scope "{unknown[0][:50]}"')
        return self


class Gateway(Body):
    cloud_url: str | None = Field(default=None, max_length=2000)
    private_token: _Secret | None = None
    notification_channel: Literal["AUTO", "SSE_ONLY"] | None = None


class Encryption(Body):
    passphrase: _Secret | None = None


class Messages(Body):
    send_interval_min: _Interval | None = None
    send_interval_max: _Interval | None = None
    limit_period: Literal["Disabled", "PerMinute", "Per30Minutes", "PerHour", "PerDay"] | None = None
    limit_value: _Count | None = None
    sim_selection_mode: Literal["OSDefault", "RoundRobin", "Random"] | None = None
    log_lifetime_days: _Count | None = None
    processing_order: Literal["LIFO", "FIFO"] | None = None
    work_hours_enabled: bool | None = None
    work_hours_start: _Hour | None = None
    work_hours_end: _Hour | None = None


class Ping(Body):
    interval_seconds: _Interval | None = None


class Logs(Body):
    lifetime_days: _Count | None = None


class Webhooks(Body):
    internet_required: bool | None = None
    retry_count: Annotated[int, Field(ge=1, le=100), _Whole] | None = None
    signing_key: _Secret | None = None


class Receiver(Body):
    content_provider_enabled: bool | None = None


class Settings(Body):
    """GET, PATCH and PUT /settings. A key that is absent stays in PATCH; null resets it. Secrets are never shown."""

    gateway: Gateway | None = None
    encryption: Encryption | None = None
    messages: Messages | None = None
    ping: Ping | None = None
    logs: Logs | None = None
    webhooks: Webhooks | None = None
    receiver: Receiver | None = None
