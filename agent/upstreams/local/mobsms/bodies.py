"""Bodies of MobSMS requests, and what is allowed in them.

Laravel turns an empty string into null before it validates; so does `Body`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from agent.hooks import problem_of
from agent.model import MAX_PRIORITY, MIN_PRIORITY
from agent.upstreams.local.devices import ACTIVE

LONGEST_TEXT = 1600
MOST_RECIPIENTS = 5000
_LARGEST_AMOUNT = 1e9
# TS 23.040 §9.2.3.12.1: the longest relative validity period, 63 weeks.
_LONGEST_VALIDITY_S = 63 * 7 * 86_400
_LARGEST_NUMBER = 2**53
_DIGITS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_EMAIL = r"^[^@\s]+@[^@\s]+$"


def _whole(value: object) -> object:
    """JSON has one kind of number: 5.0 is whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _amount(value: object) -> object:
    """Laravel takes numbers as texts, too."""
    return float(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


def _truth(value: object) -> object:
    """Laravel's "boolean" takes these and no others."""
    if isinstance(value, str):
        return {"0": False, "1": True}.get(value, value)
    return bool(value) if value in (0, 1) else value


def _number_as_text(value: object) -> object:
    """Devices have a number and a string, and applications send either."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_recipient(value: object) -> object:
    return {"number": value} if isinstance(value, str) else value


def _callable(value: str) -> str:
    if (problem := problem_of(value)) is not None:
        raise ValueError(f"must be a valid URL: {problem}")
    return value


def _chosen(value: str) -> str:
    if value == ACTIVE or value.startswith("route:") or value.isdecimal():
        raise ValueError('must not be a number, "active" or begin with "route:"')
    return value


_Reference = Annotated[str, Field(max_length=255)] | int
_Amount = Annotated[float, Field(ge=0, le=_LARGEST_AMOUNT)] | Annotated[str, Field(pattern="^[0-9]{1,9}$")]
_Truth = Literal[True, False, 0, 1, "0", "1"]
DeviceReference = Annotated[
    Annotated[str, Field(max_length=255)], BeforeValidator(_number_as_text, json_schema_input_type=_Reference)
]
Url = Annotated[str, AfterValidator(_callable), WithJsonSchema({"type": "string", "format": "uri", "maxLength": 2000})]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Email = Annotated[str, Field(max_length=255, pattern=_EMAIL), AfterValidator(str.lower)]
Slot = Annotated[int, Field(ge=0, le=63, strict=True), BeforeValidator(_whole)]
Amount = Annotated[
    Annotated[float, Field(ge=0, le=_LARGEST_AMOUNT, allow_inf_nan=False, strict=True)],
    BeforeValidator(_amount, json_schema_input_type=_Amount),
]
Truth = Annotated[Annotated[bool, Field(strict=True)], BeforeValidator(_truth, json_schema_input_type=_Truth)]


Priority = Annotated[int, Field(ge=MIN_PRIORITY, le=MAX_PRIORITY, strict=True), BeforeValidator(_whole)]


class Body(BaseModel):
    """Unknown fields are ignored, as in Laravel."""

    # Made ready when the first of its kind comes: most gateways see few kinds.
    model_config = ConfigDict(extra="ignore", defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        for field in handler.resolve_ref_schema(found).get("properties", {}).values():
            if {"type": "null"} in field.get("anyOf", ()):
                field["anyOf"].append({"const": ""})
        return found

    @model_validator(mode="before")
    @classmethod
    def _empty_is_null(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: None if field == "" else field for name, field in value.items()}


class Sending(Body):
    """What both ways of sending share."""

    message: str = Field(min_length=1, max_length=LONGEST_TEXT)
    device_id: DeviceReference | None = None
    price: Amount | None = None
    my_id: str | None = Field(default=None, max_length=255)
    sim_slot: Slot | None = None
    priority: Priority = 0
    valid_for_s: float | None = Field(default=None, ge=1, le=_LONGEST_VALIDITY_S, allow_inf_nan=False, strict=True)
    callback_url: Url | None = None


class SendSms(Sending):
    """POST /api/sms."""

    recipient_number: str = Field(
        min_length=1,
        max_length=64,
        validation_alias=AliasChoices("recipient_number", "phone"),
        # Described only: `numbers` says better what is wrong.
        json_schema_extra={"pattern": r"^[ ().\-/]*\+?([ ().\-/]*[0-9]){3,15}[ ().\-/]*$"},
    )


class Recipient(BaseModel):
    """One of many."""

    number: str = Field(max_length=64)
    name: str | None = Field(default=None, max_length=255)


_AnyRecipient = Annotated[str, Field(max_length=64)] | Recipient


class SendBulk(Sending):
    """POST /api/sms/bulk."""

    recipients: list[Annotated[Recipient, BeforeValidator(_as_recipient, json_schema_input_type=_AnyRecipient)]] = (
        Field(min_length=1, max_length=MOST_RECIPIENTS)
    )


class UpdateSms(Body):
    """PUT /api/sms/{id}."""

    status: Literal["pending", "sent", "delivered", "failed", "received"] | None = None
    error_message: str | None = Field(default=None, max_length=1000)


class CreateToken(Body):
    """POST /api/tokens."""

    name: Name
    abilities: list[Annotated[str, Field(min_length=1, max_length=100)]] | None = Field(default=None, max_length=50)


class GoogleSignIn(Body):
    """POST /api/auth/google."""

    id_token: str = Field(min_length=1, max_length=8000)


class RedeemPromo(Body):
    """POST /api/subscriptions/redeem-promo."""

    code: str = Field(min_length=1, max_length=255)


class ContactRow(Body):
    """One of many. Without a number it is skipped and counted."""

    name: str | None = Field(default=None, max_length=255)
    phone_number: str | None = Field(default=None, max_length=32)
    email: str | None = Field(default=None, max_length=255)
    notes: str | None = Field(default=None, max_length=1000)


class ImportContacts(Body):
    """POST /api/contacts/import."""

    contacts: list[ContactRow] = Field(max_length=MOST_RECIPIENTS)
    group_id: Annotated[int, Field(ge=1, le=_LARGEST_NUMBER, strict=True), BeforeValidator(_whole)] | None = None


class Login(Body):
    """POST /api/login."""

    email: str = Field(min_length=1, max_length=255)
    password: str = Field(min_length=1, max_length=1000)


class Register(Body):
    """POST /api/register."""

    name: Name
    email: Email
    password: str = Field(min_length=6, max_length=1000)
    password_confirmation: str = Field(max_length=1000)

    @field_validator("password_confirmation")
    @classmethod
    def _is_repeated(cls, value: str, info: ValidationInfo) -> str:
        if value != info.data.get("password", value):
            raise ValueError("does not match the password")
        return value


class Settings(Body):
    """PUT /api/settings."""

    keep_inbound: Truth | None = None


class Webhooks(Body):
    """PUT /api/webhooks. A field that is absent stays as it is; null removes."""

    webhook_url_incoming: Url | None = None
    webhook_url_status: Url | None = None


class DefaultDevice(Body):
    """POST /api/devices/default-device."""

    device_id: DeviceReference


class RegisterDevice(Body):
    """POST /api/devices, ours."""

    # The pattern is described only: `_chosen` says better what is wrong.
    device_id: Annotated[
        str,
        Field(min_length=1, max_length=255, json_schema_extra={"pattern": r"^(?!route:|active$|[0-9]+$)"}),
        AfterValidator(_chosen),
    ]
    device_name: Name
    phone_number: str | None = Field(default=None, max_length=32)
    pool: str | None = Field(default=None, max_length=64)


class UpdateDevice(Body):
    """PUT /api/devices/{id}, ours. A field that is absent stays as it is."""

    device_name: Name | None = None
    phone_number: str | None = Field(default=None, max_length=32)
    is_active: Truth | None = None
    sms_rate: Amount | None = None
    send_delay_seconds: float | None = Field(default=None, ge=0, le=86_400, allow_inf_nan=False, strict=True)
    default_sim_slot: Slot | None = None
    pool: str | None = Field(default=None, max_length=64)


class Claim(Body):
    """POST /api/devices/{id}/claim, ours."""

    limit: Annotated[int, Field(ge=0, le=1000, strict=True), BeforeValidator(_whole)] = 50


class Release(Body):
    """POST /api/devices/{id}/release, ours."""

    ids: list[Annotated[int, Field(ge=1, le=_LARGEST_NUMBER, strict=True), BeforeValidator(_whole)]] = Field(
        max_length=1000
    )


class InboundSms(Body):
    """POST /api/sms/inbound, ours. `message_id` is the fixed id by which it is taken once."""

    message_id: str = Field(min_length=1, max_length=64)
    sender_number: str = Field(min_length=1, max_length=64)
    message: str | None = Field(default=None, max_length=50_000)
    received_at: Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})] | None = None
    sim_slot: Slot | None = None
    device_id: DeviceReference | None = None
