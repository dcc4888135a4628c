"""The commercial parts of the MobSMS API as they make sense at home: plans, promo codes, the app's releases.

Without promo codes in the configuration everybody is premium; with them, an account is while its code lasts, and
the owner always.
"""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path

import structlog
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from agent.accounts import Account
from agent.clock import iso_utc
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.mobsms import documents, words
from agent.upstreams.local.mobsms.access import account_of, caller_of
from agent.upstreams.local.mobsms.bodies import RedeemPromo
from agent.upstreams.local.mobsms.words import Row
from agent.upstreams.local.routing import Router

_log = structlog.get_logger("local")

_DAY_MS = 86_400_000
# The API has no word for "for ever", and its applications compare this date.
_FOR_EVER = "2099-12-31T00:00:00.000000Z"
_FEATURES = ["api", "webhooks", "bulk"]
_FREE_FEATURES = ["api"]
_LARGEST_RELEASE_BYTES = 64 * 1024


def add_public(router: Router, local: Local) -> None:
    """What needs no key."""

    @router.get("/app/latest", response_model=documents.Latest, tags=["App"], summary="Latest gateway-app release.")
    async def latest() -> Response:
        file = local.settings.app_release_file
        return answers.success(None if file is None else await asyncio.to_thread(_release, file))


def add(router: Router, local: Local) -> None:
    """What needs a key."""

    @router.get(
        "/subscription",
        response_model=documents.Data[documents.Subscribed],
        tags=["Subscription"],
        summary="Get the authenticated user's subscription status, pricing and payment info.",
    )
    async def subscription(request: Request) -> Response:
        account = await account_of(local, caller_of(request))
        settings = local.settings
        payment = {
            "wallet_address": settings.payment_wallet_address,
            "asset": settings.payment_asset,
            "network": settings.payment_network,
            "admin_telegram": settings.payment_admin_telegram,
        }
        return answers.success({**offer(local, account), "payment": payment})

    @router.post(
        "/subscriptions/redeem-promo",
        response_model=documents.Said[documents.Subscription],
        tags=["Subscription"],
        summary="Redeem a promo code to unlock Premium for free.",
    )
    async def redeem(body: RedeemPromo, request: Request) -> Response:
        account = await account_of(local, caller_of(request))
        given = body.code.strip().casefold().encode()
        # All are compared, each in constant time.
        fits = [hmac.compare_digest(code.casefold().encode(), given) for code in local.settings.promo_codes]
        now_ms = local.gateway.clock.utc_ms()
        if not any(fits):
            raise Refused(answers.refusal("This promo code is invalid or no longer available."))
        until_ms = now_ms + local.settings.promo_days * _DAY_MS
        if account.premium_until_ms is None or account.premium_until_ms < until_ms:
            account = await local.accounts.change(account.id, {"premium_until_ms": until_ms})
        return answers.success(offer(local, account), "Promo code redeemed — Premium activated.")


def plan(local: Local, account: Account) -> Row:
    """An account's plan now."""
    if not local.settings.promo_codes or account.is_owner:
        return {"plan": "premium", "is_premium": True, "premium_expires_at": _FOR_EVER}
    until_ms = account.premium_until_ms
    is_premium = until_ms is not None and until_ms > local.gateway.clock.utc_ms()
    return {
        "plan": "premium" if is_premium else "free",
        "is_premium": is_premium,
        "premium_expires_at": None if until_ms is None else iso_utc(until_ms),
    }


def offer(local: Local, account: Account) -> Row:
    """An account's plan, what it costs and what it has."""
    found = plan(local, account)
    prices = {
        "monthly": words.number(local.settings.premium_monthly),
        "yearly": words.number(local.settings.premium_yearly),
        "currency": local.settings.currency,
    }
    return {**found, "prices": prices, "features": _FEATURES if found["is_premium"] else _FREE_FEATURES}


async def need_premium(local: Local, account_id: int) -> None:
    """Raises: Refused, 403 with `upgrade`, where the account's plan lacks the feature."""
    if not local.settings.promo_codes:
        return
    account = await local.accounts.account(account_id)
    if account is None or not plan(local, account)["is_premium"]:
        sentence = "This feature is part of Premium."
        raise Refused(answers.Json({"success": False, "message": sentence, "upgrade": True}, 403))


def _release(file: Path) -> Row | None:
    """What the owner publishes; a file that cannot be used publishes nothing, and is named in the log."""
    try:
        with file.open("rb") as opened:
            return documents.Release.model_validate_json(opened.read(_LARGEST_RELEASE_BYTES)).model_dump()
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        _log.warning("app_release_unusable", file=str(file), problem=type(error).__name__)
        return None
