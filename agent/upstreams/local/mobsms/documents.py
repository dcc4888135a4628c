"""Answers of the MobSMS dialect as its description (OpenAPI) has them.

Answers are built by `words` and checked against these by tests, not at run time. Fields behind the documented ones
are ours.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel as _BaseModel
from pydantic import ConfigDict, Field

D = TypeVar("D")


class BaseModel(_BaseModel):
    """Made ready when somebody asks for the description: few do, and it takes memory."""

    model_config = ConfigDict(defer_build=True)


Status = Literal["pending", "sent", "delivered", "failed", "cancelled", "received"]
Time = str


class Data(BaseModel, Generic[D]):
    success: Literal[True]
    data: D


class Said(BaseModel, Generic[D]):
    success: Literal[True]
    data: D
    message: str


class Done(BaseModel):
    success: Literal[True]
    message: str


class Refusal(BaseModel):
    """A rule's or the server's answer. `errors` per field where the body was at fault; `upgrade` with 403 where the
    plan lacks the feature."""

    message: str
    success: Literal[False] | None = None
    errors: dict[str, list[str]] | None = None
    upgrade: bool | None = None


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "The body cannot be read"},
    422: {"model": Refusal, "description": "A field or a rule is not met"},
    503: {"model": Refusal, "description": "The gateway cannot write at the moment, e.g. its disk is full"},
}
PRIVATE: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "No good API key"},
    403: {"model": Refusal, "description": "The key or the plan does not allow it"},
    **REFUSALS,
}
SLOWED: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "Wrong"},
    429: {"model": Refusal, "description": "Too many attempts; see Retry-After"},
}
CLOSED: dict[int | str, dict[str, Any]] = {403: {"model": Refusal, "description": "Registration is closed"}}
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Refusal, "description": "There is no such row"}}


class User(BaseModel):
    id: int
    name: str
    email: str | None


class SignedIn(BaseModel):
    token: str
    user: User
    token_type: Literal["Bearer"]


class UserWithPlan(User):
    plan: str
    premium_expires_at: Time | None


class Token(BaseModel):
    id: int
    name: str
    abilities: list[str]
    last_used_at: Time | None
    created_at: Time


class NewToken(BaseModel):
    id: int
    name: str
    token: str
    created_at: Time


class Usage(BaseModel):
    total_sms: int
    total_spent: float
    today_sms: int
    today_spent: float
    month_sms: int
    month_spent: float


class Totals(BaseModel):
    total_sent: int
    total_delivered: int
    total_failed: int
    total_pending: int
    total_received: int
    devices: int
    active_devices: int


class Prices(BaseModel):
    monthly: float
    yearly: float
    currency: str


class Subscription(BaseModel):
    plan: str
    is_premium: bool
    premium_expires_at: Time | None
    prices: Prices
    features: list[str]


class Payment(BaseModel):
    wallet_address: str
    asset: str
    network: str
    admin_telegram: str


class Subscribed(Subscription):
    payment: Payment


class Overview(BaseModel):
    user: User
    balance: float
    sms_rate: float
    usage: Usage
    stats: Totals
    subscription: Subscription


class Release(BaseModel):
    """Also the form of app_release_file."""

    version_name: str = Field(max_length=100)
    version_code: int = Field(ge=0)
    release_notes: str = Field(default="", max_length=50_000)
    mandatory: bool = False
    apk_url: str = Field(max_length=2000)
    apk_size: int = Field(ge=0)


class Latest(BaseModel):
    success: Literal[True]
    data: Release | None


class Imported(BaseModel):
    imported: int
    skipped: int


class Device(BaseModel):
    id: int
    device_id: str
    device_name: str
    phone_number: str | None
    is_active: bool
    is_default: bool
    sms_rate: float
    send_delay_seconds: float
    default_sim_slot: int | None
    is_remote: bool
    last_seen_at: Time | None
    is_online: bool
    pool: str | None


class DefaultDevice(BaseModel):
    id: int
    device_name: str
    is_default: bool


class Queued(BaseModel):
    id: int | None
    message_id: str | None
    recipient_number: str
    status: Status
    price: float
    is_charged: bool
    direction: Literal["outbound"]
    callback_url: str | None
    my_id: str | None
    error_message: str | None


class Message(BaseModel):
    id: int
    message_id: str
    recipient_number: str | None
    sender_number: str | None
    message: str
    direction: Literal["outbound", "inbound"]
    status: Status
    price: float
    is_charged: bool
    sent_at: Time | None
    delivered_at: Time | None
    created_at: Time
    error_message: str | None
    callback_url: str | None
    device_id: int | None
    my_id: str | None
    priority: int
    parts: int
    may_be_double: bool


class Claimed(Message):
    sim_slot: int | None
    valid_for_s: float | None


class Page(BaseModel):
    current_page: int
    data: list[Message]
    per_page: int
    total: int


class Outcome(BaseModel):
    id: int
    status: Status


class Rates(BaseModel):
    sent: int
    delivered: int
    failed: int
    delivery_rate: float


class Statistics(BaseModel):
    today: Rates
    this_week: Rates
    this_month: Rates


class Settings(BaseModel):
    keep_inbound: bool


class Webhooks(BaseModel):
    webhook_url_incoming: str | None
    webhook_url_status: str | None


class Released(BaseModel):
    released: list[int]


class Taken(BaseModel):
    id: int
    message_id: str
    sender_number: str
    status: Status
    direction: Literal["inbound"]
    created_at: Time


class WakeUp(BaseModel):
    """One event of the stream. `data` is JSON: {"pending": how many messages wait}."""

    event: Literal["message"]
    data: str
