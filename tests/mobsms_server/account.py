"""Everything documented outside `/api/sms`: accounts, keys, devices, contacts, settings, webhooks, plans."""

from __future__ import annotations

from typing import Any

from .answers import (
    Refused,
    array,
    at_least,
    boolean,
    email,
    fields,
    invalid,
    no_model,
    refusal,
    success,
    text,
    url,
)
from .cloud import Cloud, device_row
from .http1 import Request, Response
from .record import now_ms, stamp
from .store import Device, User

_PROMO_CODE = "PDAFTAR"
_PREMIUM_EXPIRES_AT = "2099-01-01T00:00:00.000000Z"


def register(cloud: Cloud, _: User | None, request: Request, __: str) -> Response:
    required = {
        "name": text(255),
        "email": email,
        "password": text(),
        "password_confirmation": text(),
    }
    values = fields(request, required, {})
    if len(values["password"]) < 6:
        raise Refused(invalid({"password": ["The password field must be at least 6 characters."]}))
    if values["password"] != values["password_confirmation"]:
        raise Refused(invalid({"password": ["The password field confirmation does not match."]}))
    if any(user.email == values["email"] for user in cloud.store.users.values()):
        raise Refused(invalid({"email": ["The email has already been taken."]}))
    user = cloud.store.add_user(values["name"], values["email"], values["password"])
    return _signed_in(cloud, user, "Registration successful", 201)


def login(cloud: Cloud, _: User | None, request: Request, __: str) -> Response:
    values = fields(request, {"email": text(), "password": text()}, {})
    for user in cloud.store.users.values():
        if (user.email, user.password) == (values["email"], values["password"]):
            return _signed_in(cloud, user, "Login successful", 200)
    return refusal(401, "Invalid credentials")


def google(_: Cloud, __: User | None, request: Request, ___: str) -> Response:
    fields(request, {"id_token": text()}, {})
    return refusal(401, "Invalid Google token")  # no Google here to verify one against


def logout(cloud: Cloud, _: User, request: Request, __: str) -> Response:
    secret = request.headers["authorization"].split(" ", 1)[1]
    for token in cloud.store.tokens.values():
        if token.secret == secret:
            token.revoked = True
            cloud.store.save(token)
    return success(message="Logout successful")


def current_user(_: Cloud, user: User, __: Request, ___: str) -> Response:
    plan = _plan(user)
    return success({**_user(user), "plan": plan["plan"], "premium_expires_at": plan["premium_expires_at"]})


def tokens(cloud: Cloud, user: User, _: Request, __: str) -> Response:
    found = [t for t in cloud.store.tokens.values() if t.user_id == user.id and not t.revoked]
    return success(
        [
            {
                "id": token.id,
                "name": token.name,
                "abilities": token.abilities,
                "last_used_at": None,
                "created_at": stamp(token.created_ms),
            }
            for token in reversed(found)
        ]
    )


def new_token(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    values = fields(request, {"name": text(255)}, {"abilities": array})
    token = cloud.store.add_token(user, values["name"], values.get("abilities") or ["*"])
    data = {
        "id": token.id,
        "name": token.name,
        "token": token.secret,
        "created_at": stamp(token.created_ms),
    }
    return success(data, "API key created. Copy it now — it will not be shown again.", 201)


def delete_token(cloud: Cloud, user: User, _: Request, reference: str) -> Response:
    for token in cloud.store.tokens.values():
        if str(token.id) == reference and token.user_id == user.id and not token.revoked:
            token.revoked = True
            cloud.store.save(token)
            return success(message="API key revoked")
    return no_model("PersonalAccessToken")


def overview(cloud: Cloud, user: User, _: Request, __: str) -> Response:
    found = cloud.store.select(user.id)
    states = [m.status for m in found if m.direction == "outbound"]
    devices = [d for d in cloud.store.devices.values() if d.user_id == user.id]
    day, month = (stamp(now_ms()) or "")[:10], (stamp(now_ms()) or "")[:7]
    prices = {
        prefix: [m.price for m in found if (stamp(m.created_ms) or "").startswith(prefix)]
        for prefix in ("", day, month)
    }
    data = {
        "user": _user(user),
        "balance": 0,
        "sms_rate": 100,
        "usage": {
            "total_sms": len(prices[""]),
            "total_spent": sum(prices[""]),
            "today_sms": len(prices[day]),
            "today_spent": sum(prices[day]),
            "month_sms": len(prices[month]),
            "month_spent": sum(prices[month]),
        },
        "stats": {
            "total_sent": sum(states.count(state) for state in ("sent", "delivered", "failed")),
            "total_delivered": states.count("delivered"),
            "total_failed": states.count("failed"),
            "total_pending": states.count("pending"),
            "total_received": len(found) - len(states),
            "devices": len(devices),
            "active_devices": sum(device.is_active for device in devices),
        },
        "subscription": _plan(user),
    }
    return success(data)


def latest_app(_: Cloud, __: User | None, ___: Request, ____: str) -> Response:
    return success(None)  # no release published


def import_contacts(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    values = fields(request, {"contacts": array}, {"group_id": at_least(1)})
    rows = [row for row in values["contacts"] if isinstance(row, dict)]
    imported = sum(1 for row in rows if row.get("phone_number"))
    user.contacts += imported
    cloud.store.save(user)
    skipped = len(values["contacts"]) - imported
    return success({"imported": imported, "skipped": skipped}, f"Imported {imported} contacts", 201)


def devices(cloud: Cloud, user: User, _: Request, __: str) -> Response:
    return success([device_row(d) for d in cloud.store.devices.values() if d.user_id == user.id])


def default_device(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    values = fields(request, {"device_id": lambda words, value: None}, {})
    chosen = cloud.store.find_device(user.id, values["device_id"])
    if chosen is None:
        raise Refused(invalid({"device_id": ["The selected device id is invalid."]}))
    make_default(cloud, chosen)
    data = {"id": chosen.id, "device_name": chosen.device_name, "is_default": True}
    return success(data, "Default device updated successfully")


def make_default(cloud: Cloud, chosen: Device) -> None:
    siblings = [d for d in cloud.store.devices.values() if d.user_id == chosen.user_id]
    for device in siblings:
        device.is_default = device is chosen
    cloud.store.save(*siblings)


def settings(_: Cloud, user: User, __: Request, ___: str) -> Response:
    return success({"keep_inbound": user.keep_inbound})


def change_settings(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    values = fields(request, {}, {"keep_inbound": boolean})
    if values.get("keep_inbound") is not None:
        user.keep_inbound = bool(values["keep_inbound"])
        cloud.store.save(user)
    return success({"keep_inbound": user.keep_inbound}, "Settings updated successfully")


def webhooks(_: Cloud, user: User, __: Request, ___: str) -> Response:
    return success(_webhooks(user))


def change_webhooks(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    values = fields(request, {}, {"webhook_url_incoming": url, "webhook_url_status": url})
    for name, value in values.items():
        setattr(user, name, value)
    cloud.store.save(user)
    return success(_webhooks(user), "Webhooks updated successfully")


def subscription(_: Cloud, user: User, __: Request, ___: str) -> Response:
    payment = {
        "wallet_address": "EXAMPLE-WALLET",
        "asset": "USDT (TON)",
        "network": "TON",
        "admin_telegram": "@example",
    }
    return success({**_plan(user), "payment": payment})


def redeem(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    values = fields(request, {"code": text()}, {})
    if values["code"].upper() != _PROMO_CODE:
        return refusal(422, "This promo code is invalid or no longer available.")
    user.premium = True
    cloud.store.save(user)
    return success(_plan(user), "Promo code redeemed — Premium activated.")


def _signed_in(cloud: Cloud, user: User, message: str, status: int) -> Response:
    token = cloud.store.add_token(user, "auth", ["*"])
    data = {"token": token.secret, "user": _user(user), "token_type": "Bearer"}
    return success(data, message, status)


def _user(user: User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "email": user.email}


def _webhooks(user: User) -> dict[str, Any]:
    return {
        "webhook_url_incoming": user.webhook_url_incoming,
        "webhook_url_status": user.webhook_url_status,
    }


def _plan(user: User) -> dict[str, Any]:
    return {
        "plan": "premium" if user.premium else "free",
        "is_premium": user.premium,
        "premium_expires_at": _PREMIUM_EXPIRES_AT if user.premium else None,
        "prices": {"monthly": 5, "yearly": 50, "currency": "USD"},
        "features": ["api", "webhooks", "bulk"],
    }
