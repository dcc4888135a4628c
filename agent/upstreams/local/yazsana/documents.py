"""Requests and answers of the Yazsana dialect as its description (OpenAPI) has them. Field names are its own."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import ConfigDict, Field

from agent.upstreams.local.mobsms.documents import BaseModel

D = TypeVar("D")

LONGEST_TEXT = 160
MOST_RECIPIENTS = 5000
_UUID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

Status = Literal["pending", "waiting", "sent", "not_sent", "no_signal"]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]


class SendOne(BaseModel):
    """`to` is a number in international format without plus, e.g. 905550000000."""

    model_config = ConfigDict(extra="ignore")

    to: str = Field(pattern=r"^\+?[0-9]{3,15}$")
    message: Text
    serviceId: str = Field(pattern=_UUID)


class SendMany(BaseModel):
    """One that is no number is counted as invalid, and costs nothing."""

    model_config = ConfigDict(extra="ignore")

    to: list[Annotated[str, Field(max_length=40)]] = Field(min_length=1, max_length=MOST_RECIPIENTS)
    message: Text
    serviceId: str = Field(pattern=_UUID)


class Data(BaseModel, Generic[D]):
    success: Literal[True]
    data: D


class Refusal(BaseModel):
    success: Literal[False]
    message: str
    errors: dict[str, list[str]] | None = None


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "A field is not as it should be"},
    401: {"model": Refusal, "description": "No good API key"},
    403: {"model": Refusal, "description": "Not your organisation, or not what this key is for"},
    422: {"model": Refusal, "description": "A rule is not met"},
    503: {"model": Refusal, "description": "The gateway cannot write at the moment, e.g. its disk is full"},
}
NO_CREDIT: dict[int | str, dict[str, Any]] = {402: {"model": Refusal, "description": "Not enough credit"}}
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Refusal, "description": "There is no such row"}}


class User(BaseModel):
    id: str
    username: str
    email: str | None
    createdAt: str


class Organization(BaseModel):
    id: str
    name: str
    state: bool
    memberCredit: Decimal
    permissions: list[str]


class Service(BaseModel):
    id: str
    name: str
    type: Literal["sms"]
    currency: str
    unitPrice: Decimal


class Statistics(BaseModel):
    validSize: int
    invalidSize: int
    nOfPending: int
    nOfWaiting: int
    nOfCompleted: int
    nOfFailed: int
    nOfRefunded: int
    totalCost: Decimal
    totalRefunded: Decimal


class Sending(BaseModel):
    id: str
    completed: bool
    sampleMessageText: str
    createdAt: str
    stats: Statistics


class Item(BaseModel):
    id: str
    to: str
    message: str
    status: Status
    network: str
    refunded: bool
    createdAt: str


class Page(BaseModel, Generic[D]):
    items: list[D]
    total: int
    page: int
    limit: int
    totalPages: int
