"""Webhooks as their owner looks after them, ours: the delivery log, a call again, a test, and the key that signs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from agent.clock import iso_utc
from agent.hooks import Delivery
from agent.upstreams.local import answers
from agent.upstreams.local.context import Local
from agent.upstreams.local.mobsms import bodies, documents, words
from agent.upstreams.local.mobsms.access import caller_of
from agent.upstreams.local.mobsms.words import Row
from agent.upstreams.local.routing import Query, Router
from agent.upstreams.local.telling import test_body

_PER_PAGE = 50
_TAGS: list[str] = ["Webhooks"]
_LARGEST_ID = 2**53
_PageNumber = Annotated[int, Query(ge=1, le=1_000_000, description="Page number.")]
_State = Annotated[Literal["waiting", "done", "given_up"] | None, Query(description="Filter by state.")]
_MessageId = Annotated[int | None, Query(ge=1, le=_LARGEST_ID, description="Filter by message.")]


class Document(BaseModel):
    """One call. `sms_id` is the message's `id`, null for a test."""

    id: int
    sms_id: int | None
    url: str
    state: Literal["waiting", "done", "given_up"]
    tries: int
    next_try_at: documents.Time | None
    last_status: int | None
    last_error: str | None
    last_answer: str | None
    took_ms: int | None
    tried_at: documents.Time | None
    created_at: documents.Time
    done_at: documents.Time | None
    body: str


class Page(BaseModel):
    current_page: int
    data: list[Document]
    per_page: int
    total: int


class Secret(BaseModel):
    secret: str


class Test(bodies.Body):
    """POST /api/webhooks/test. Without an address the account's own for that event is called."""

    event: Literal["incoming", "status"] = "status"
    url: bodies.Url | None = Field(default=None)


def add(router: Router, local: Local) -> None:
    """Everything under /api/webhooks/."""
    hooks = local.gateway.hooks

    @router.get(
        "/webhooks/deliveries", response_model=documents.Data[Page], tags=list(_TAGS),
        summary="Delivery log, newest first (extension)",
    )  # fmt: skip
    async def deliveries(
        request: Request, state: _State = None, sms_id: _MessageId = None, page: _PageNumber = 1
    ) -> Response:
        found = await hooks.deliveries(
            caller_of(request).account, state=state, message_id=sms_id, page=page, per_page=_PER_PAGE
        )
        data = {
            "current_page": page, "data": [row(one) for one in found.deliveries], "per_page": _PER_PAGE,
            "total": found.total,
        }  # fmt: skip
        return answers.success(data)

    @router.get(
        "/webhooks/deliveries/{id}", response_model=documents.Data[Document], responses=documents.MISSING,
        tags=list(_TAGS), summary="One call (extension)",
    )  # fmt: skip
    async def delivery(id: str, request: Request) -> Response:
        found = None if (number := _number(id)) is None else await hooks.delivery(caller_of(request).account, number)
        return answers.missing("WebhookDelivery") if found is None else answers.success(row(found))

    @router.post(
        "/webhooks/deliveries/{id}/replay", response_model=documents.Said[Document], responses=documents.MISSING,
        tags=list(_TAGS), summary="Make a call again (extension)",
    )  # fmt: skip
    async def replay(id: str, request: Request) -> Response:
        found = None if (number := _number(id)) is None else await hooks.replay(caller_of(request).account, number)
        if found is None:
            return answers.missing("WebhookDelivery")
        return answers.success(row(found), "It is called again")

    @router.post(
        "/webhooks/test", response_model=documents.Said[Document], tags=list(_TAGS),
        summary="Call an address now, once (extension)",
    )  # fmt: skip
    async def test(request: Request, body: Test | None = None) -> Response:
        given = body or Test()
        caller = caller_of(request)
        url = given.url
        if url is None:
            account = await local.accounts.account(caller.account)
            own = account and (account.webhook_incoming if given.event == "incoming" else account.webhook_status)
            if not own:
                return answers.invalid({"url": ["The url field is required where no webhook is set."]})
            url = own
        done = await hooks.test(caller.account, url, test_body(given.event, local.gateway.clock.utc_ms()))
        sentence = "It was taken" if done.state == "done" else f"It was not taken: {done.last_error}"
        return answers.success(row(done), sentence)

    @router.get(
        "/webhooks/secret", response_model=documents.Data[Secret], tags=list(_TAGS),
        summary="The key that signs the calls (extension)",
    )  # fmt: skip
    async def secret(request: Request) -> Response:
        return answers.success({"secret": await hooks.secret(caller_of(request).account)})

    @router.post(
        "/webhooks/secret", response_model=documents.Said[Secret], tags=list(_TAGS),
        summary="A new key to sign with (extension)",
    )  # fmt: skip
    async def rotate(request: Request) -> Response:
        fresh = await hooks.rotate_secret(caller_of(request).account)
        return answers.success({"secret": fresh}, "Every call is signed with it from now on")


def row(found: Delivery) -> Row:
    document: dict[str, Any] = {
        "id": found.id,
        "sms_id": found.message_id,
        "url": found.url,
        "state": found.state,
        "tries": found.tries,
        "next_try_at": words.time(found.due_ms),
        "last_status": found.last_status,
        "last_error": found.last_error,
        "last_answer": found.last_answer,
        "took_ms": found.took_ms,
        "tried_at": words.time(found.tried_ms),
        "created_at": iso_utc(found.created_ms),
        "done_at": words.time(found.done_ms),
        "body": found.body,
    }
    return document


def _number(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdigit() and len(key) <= 15 else None
