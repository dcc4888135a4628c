"""Accounts in the MobSMS dialect: keys, the account's figures, settings and webhooks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agent.accounts import Account, Caller
from agent.journal.listing import Filter
from agent.model import MessageState
from agent.upstreams.local import answers, credit
from agent.upstreams.local.context import Local
from agent.upstreams.local.mobsms import documents, words
from agent.upstreams.local.mobsms.access import account_of, caller_of
from agent.upstreams.local.mobsms.bodies import CreateToken, Settings, Webhooks
from agent.upstreams.local.mobsms.premium import need_premium, offer, plan
from agent.upstreams.local.mobsms.words import Row
from agent.upstreams.local.routing import Router

_LONGEST_TOKEN_DIGITS = 15
_CONFIGURED = "This key stands in the gateway's configuration and cannot be logged out; change it there."


def add(router: Router, local: Local) -> None:
    """What needs a key."""
    _add_user(router, local)
    _add_tokens(router, local)
    _add_settings(router, local)


def _add_user(router: Router, local: Local) -> None:
    @router.post("/logout", response_model=documents.Done, tags=["Authentication"], summary="Logout user")
    async def logout(request: Request) -> Response:
        caller = caller_of(request)
        if caller.token is None:
            return answers.refusal(_CONFIGURED)
        await local.accounts.revoke(caller.account, caller.token)
        return answers.success(message="Logout successful")

    @router.get(
        "/user",
        response_model=documents.Data[documents.UserWithPlan],
        tags=["Authentication"],
        summary="Get authenticated user",
    )
    async def user(request: Request) -> Response:
        account = await account_of(local, caller_of(request))
        found = plan(local, account)
        return answers.success({**_user(account), **{key: found[key] for key in ("plan", "premium_expires_at")}})

    for path in ("/account", "/balance"):

        @router.get(
            path,
            response_model=documents.Data[documents.Overview],
            tags=["Account"],
            summary="Display the authenticated user's account overview.",
        )
        async def overview(request: Request) -> Response:
            return answers.success(await _overview(local, caller_of(request)))


def _add_tokens(router: Router, local: Local) -> None:
    @router.get(
        "/tokens",
        response_model=documents.Data[list[documents.Token]],
        tags=["API Keys"],
        summary="List the user's API keys.",
    )
    async def list_tokens(request: Request) -> Response:
        found = await local.accounts.tokens(caller_of(request).account)
        return answers.success(
            [
                {
                    "id": token.id,
                    "name": token.name,
                    "abilities": list(token.abilities),
                    "last_used_at": words.time(last_used_ms),
                    "created_at": words.time(token.created_ms),
                }
                for token, last_used_ms in found
            ]
        )

    @router.post(
        "/tokens",
        response_model=documents.Said[documents.NewToken],
        status_code=201,
        tags=["API Keys"],
        summary="Create a new API key.",
    )
    async def create_token(body: CreateToken, request: Request) -> Response:
        caller = caller_of(request)
        abilities = tuple(body.abilities or ("*",))
        if not all(caller.may(ability) for ability in abilities):
            return answers.invalid({"abilities": ["A key cannot make one that can do more than itself."]})
        made = await local.accounts.create_token(caller.account, body.name, abilities)
        data = {
            "id": made.token.id,
            "name": made.token.name,
            "token": made.plaintext,
            "created_at": words.time(made.token.created_ms),
        }
        return answers.success(data, "API key created. Copy it now — it will not be shown again.", 201)

    @router.delete(
        "/tokens/{id}",
        response_model=documents.Done,
        responses=documents.MISSING,
        tags=["API Keys"],
        summary="Revoke (delete) an API key the user owns.",
    )
    async def revoke_token(id: str, request: Request) -> Response:
        is_number = id.isascii() and id.isdigit() and len(id) <= _LONGEST_TOKEN_DIGITS
        if not is_number or not await local.accounts.revoke(caller_of(request).account, int(id)):
            return answers.missing("PersonalAccessToken")
        return answers.success(message="API key revoked")


def _add_settings(router: Router, local: Local) -> None:
    @router.get(
        "/settings",
        response_model=documents.Data[documents.Settings],
        tags=["Settings"],
        summary="Show the authenticated user's settings.",
    )
    async def settings(request: Request) -> Response:
        account = await account_of(local, caller_of(request))
        return answers.success({"keep_inbound": account.keep_inbound})

    @router.put(
        "/settings",
        response_model=documents.Said[documents.Settings],
        tags=["Settings"],
        summary="Update the authenticated user's settings.",
    )
    async def update_settings(request: Request, body: Settings | None = None) -> Response:
        account = await account_of(local, caller_of(request))
        if body is not None and body.keep_inbound is not None:
            account = await local.accounts.change(account.id, {"keep_inbound": body.keep_inbound})
        return answers.success({"keep_inbound": account.keep_inbound}, "Settings updated successfully")

    @router.get(
        "/webhooks",
        response_model=documents.Data[documents.Webhooks],
        tags=["Webhooks"],
        summary="Display the authenticated user's webhook URLs.",
    )
    async def webhooks(request: Request) -> Response:
        return answers.success(_webhooks(await account_of(local, caller_of(request))))

    @router.put(
        "/webhooks",
        response_model=documents.Said[documents.Webhooks],
        tags=["Webhooks"],
        summary="Update the authenticated user's webhook URLs.",
    )
    async def update_webhooks(request: Request, body: Webhooks | None = None) -> Response:
        account = await account_of(local, caller_of(request))
        columns = {"webhook_url_incoming": "webhook_incoming", "webhook_url_status": "webhook_status"}
        given = {} if body is None else body.model_dump(exclude_unset=True)
        if any(given.values()):
            await need_premium(local, account.id)
        if given:
            account = await local.accounts.change(account.id, {columns[name]: url for name, url in given.items()})
        return answers.success(_webhooks(account), "Webhooks updated successfully")


# --- pieces -----------------------------------------------------------------------------------------


def _user(account: Account) -> Row:
    return {"id": account.id, "name": account.name, "email": account.email}


def _webhooks(account: Account) -> Row:
    return {"webhook_url_incoming": account.webhook_incoming, "webhook_url_status": account.webhook_status}


async def _overview(local: Local, caller: Caller) -> Row:
    account = await account_of(local, caller)
    devices = await local.devices.visible(caller)
    now_ms = local.gateway.clock.utc_ms()
    month_ms = now_ms - _ms_of_month(now_ms)
    usage: dict[str, Any] = {}
    for name, from_ms in (("total", 0), ("today", now_ms), ("month", month_ms)):
        count, amount = await _accepted(local, caller, from_ms, now_ms)
        usage |= {f"{name}_sms": count, f"{name}_spent": words.number(amount)}
    shown = ("sent", "delivered", "failed", "pending", "received")
    counts = {word: await _count(local, caller, word) for word in shown}
    return {
        "user": _user(account),
        "balance": words.number(await credit.left(local, account.id, credit.USER) / credit.MICRO),
        "sms_rate": words.number(local.settings.sms_rate),
        "usage": usage,
        "stats": {
            "total_sent": counts["sent"] + counts["delivered"],
            "total_delivered": counts["delivered"],
            "total_failed": counts["failed"],
            "total_pending": counts["pending"],
            "total_received": counts["received"],
            "devices": len(devices),
            "active_devices": sum(device.is_active for device in devices),
        },
        "subscription": offer(local, account),
    }


async def _accepted(local: Local, caller: Caller, from_ms: int, to_ms: int) -> tuple[int, float]:
    count, amount = 0, 0.0
    # What belongs to nobody is the owner's, and counted under 0.
    for account in (caller.account, 0) if caller.is_owner else (caller.account,):
        sums = await local.gateway.figures(account, from_ms, to_ms)
        count, amount = count + sums.accepted, amount + sums.amount
    return count, amount


async def _count(local: Local, caller: Caller, word: str) -> int:
    direction = "inbound" if word == words.status(MessageState.RECEIVED) else "outbound"
    return await local.gateway.total(
        Filter(account=caller.account, with_unowned=caller.is_owner, direction=direction, states=words.states(word))
    )


def _ms_of_month(now_ms: int) -> int:
    """How long ago the day of today was the first of the month, UTC."""
    return (datetime.fromtimestamp(now_ms / 1000, UTC).day - 1) * 86_400_000
