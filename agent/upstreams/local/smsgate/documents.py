"""Answers of the SMSGate dialect as its description (OpenAPI) has them; built by `words`, checked by tests."""

from __future__ import annotations

from typing import Any, Literal

from agent.upstreams.local.mobsms.documents import BaseModel

State = Literal["Pending", "Cancelling", "Cancelled", "Processed", "Sent", "Delivered", "Failed"]
Time = str


class Refusal(BaseModel):
    message: str


class Recipient(BaseModel):
    phoneNumber: str
    state: State
    error: str | None = None


class Text(BaseModel):
    text: str


class Data(BaseModel):
    data: str
    port: int


class Message(BaseModel):
    """A message's state. `states` says when it was first in each. Absent fields do not apply."""

    id: str
    deviceId: str
    state: State
    isHashed: bool
    isEncrypted: bool
    recipients: list[Recipient]
    states: dict[str, Time]
    createdAt: Time
    scheduleAt: Time | None = None
    validUntil: Time | None = None
    textMessage: Text | None = None
    dataMessage: Data | None = None


class Attachment(BaseModel):
    partId: int
    name: str
    size: int
    contentType: str


class Incoming(BaseModel):
    """`contentPreview` is the text, or an MMS notification in words, or data in base64."""

    id: str
    type: Literal["SMS", "DATA_SMS", "MMS"]
    sender: str
    recipient: str | None = None
    simNumber: int | None = None
    contentPreview: str
    createdAt: Time
    attachments: list[Attachment]


class SimCard(BaseModel):
    slotIndex: int
    simNumber: int
    phoneNumber: str | None = None
    carrierName: str | None = None
    iccid: str | None = None


class Device(BaseModel):
    id: str
    name: str
    createdAt: Time
    updatedAt: Time
    deletedAt: Time | None
    lastSeen: Time
    simCards: list[SimCard]


class Webhook(BaseModel):
    id: str
    url: str
    event: str
    deviceId: str | None


class LogEntry(BaseModel):
    id: int
    priority: Literal["DEBUG", "INFO", "WARN", "ERROR"]
    module: str
    message: str
    context: dict[str, Any]
    createdAt: Time


class Check(BaseModel):
    status: Literal["pass", "warn", "fail"]
    observedValue: int
    observedUnit: str
    description: str


class Health(BaseModel):
    status: Literal["pass", "warn", "fail"]
    version: str
    releaseId: int
    checks: dict[str, Check]


class Tokens(BaseModel):
    """In both spellings: SMSGate's documentation has one, its Python client the other."""

    id: str
    token_type: Literal["Bearer"]
    access_token: str
    refresh_token: str
    expires_at: Time
    tokenType: Literal["Bearer"]
    accessToken: str
    refreshToken: str
    expiresAt: Time


class Nothing(BaseModel):
    """An empty object, which every client can parse."""


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "A field or a rule is not met"},
    503: {"model": Refusal, "description": "The gateway cannot write at the moment, e.g. its disk is full"},
}
PRIVATE: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "No good key or token"},
    403: {"model": Refusal, "description": "The token's scopes or the account's plan do not allow it"},
    **REFUSALS,
}
TOKENS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "No refresh token, or one that was used before"},
    **REFUSALS,
}
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Refusal, "description": "There is no such one"}}
TAKEN: dict[int | str, dict[str, Any]] = {409: {"model": Refusal, "description": "This id is taken"}}
NOT_PENDING: dict[int | str, dict[str, Any]] = {
    409: {"model": Refusal, "description": "It is not pending any more (400 in local mode)"}
}
ILL: dict[int | str, dict[str, Any]] = {
    500: {"model": Health, "description": "It fails, asked as a phone"},
    503: {"model": Health, "description": "It fails"},
}
