"""The documented answers, nested. `test_description.py` holds them against the seeds, line by line.

Keys are (method, path, status); with `None` behind it where an operation has a second example for a status.
"""

from __future__ import annotations

import re
from typing import Any

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_SHORT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AMOUNT = re.compile(r"-?\d+(\.\d+)?")

# These may be null at any time: nothing was said, or it has not happened.
NULLABLE = frozenset(
    {
        "phone_number", "recipient_number", "sender_number", "sent_at", "delivered_at", "last_used_at", "callback_url",
        "error_message", "webhook_url_incoming", "webhook_url_status", "default_sim_slot",
    }
)  # fmt: skip


def differences(found: Any, example: Any, where: str = "") -> list[str]:
    """Where an answer is not as the example: a field is missing, or of another kind."""
    if isinstance(example, dict):
        if not isinstance(found, dict):
            return [f"{where}: {found!r} is no object"]
        return [
            line
            for name, value in example.items()
            for line in (
                [f"{where}.{name} is missing"]
                if name not in found
                else []
                if found[name] is None and (value is None or name in NULLABLE)
                else differences(found[name], value, f"{where}.{name}")
            )
        ]
    if isinstance(example, list):
        if not isinstance(found, list):
            return [f"{where}: {found!r} is no list"]
        return [line for one in found for line in differences(one, example[0], f"{where}[]")]
    return [] if _is_like(found, example) else [f"{where}: {found!r} is not like {example!r}"]


def _is_like(found: Any, example: Any) -> bool:
    if isinstance(example, bool) or example is None:
        return example is None or isinstance(found, bool)
    if isinstance(example, int | float):
        return isinstance(found, int | float) and not isinstance(found, bool)
    if not isinstance(found, str):
        return False
    form = next((form for form in (TIME, _SHORT_TIME, _UUID, _AMOUNT) if form.fullmatch(example)), None)
    return form is None or form.fullmatch(found) is not None


_AT = "2026-06-08T10:00:00.000000Z"
_ALI = {"id": 1, "name": "Ali", "email": "ali@example.com"}
_EXPIRY = "2027-06-08T00:00:00.000000Z"
_PLAN = {
    "plan": "premium", "is_premium": True, "premium_expires_at": _EXPIRY,
    "prices": {"monthly": 5, "yearly": 50, "currency": "USD"}, "features": ["api", "webhooks", "bulk"],
}  # fmt: skip
_OVERVIEW = {
    "success": True,
    "data": {
        "user": _ALI,
        "balance": 0,
        "sms_rate": 100,
        "usage": {
            "total_sms": 1200, "total_spent": 120000, "today_sms": 8, "today_spent": 800, "month_sms": 240,
            "month_spent": 24000,
        },
        "stats": {
            "total_sent": 1100, "total_delivered": 1050, "total_failed": 50, "total_pending": 0, "total_received": 30,
            "devices": 2, "active_devices": 1,
        },
        "subscription": _PLAN,
    },
}  # fmt: skip
_NO_DEVICE = {"success": False, "message": "No active device available"}


def _said(data: Any, message: str) -> dict[str, Any]:
    return {"success": True, "data": data, "message": message}


def _page(row: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "data": {"current_page": 1, "data": [row], "per_page": 50, "total": 1}}


def _signed_in(token: str, user: dict[str, Any], message: str) -> dict[str, Any]:
    return _said({"token": token, "user": user, "token_type": "Bearer"}, message)


EXAMPLES: dict[tuple[str, str, int], list[Any]] = {
    ("get", "/api/tokens", 200): [
        {
            "success": True,
            "data": [
                {"id": 5, "name": "Production server", "abilities": ["*"], "last_used_at": _AT,
                 "created_at": "2026-06-01T09:00:00.000000Z"}
            ],
        }
    ],
    ("post", "/api/tokens", 201): [
        {
            "success": True,
            "message": "API key created. Copy it now — it will not be shown again.",
            "data": {"id": 6, "name": "Production server", "token": "6|aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789",
                     "created_at": _AT},
        }
    ],
    ("delete", "/api/tokens/{id}", 200): [{"success": True, "message": "API key revoked"}],
    ("get", "/api/account", 200): [_OVERVIEW],
    ("get", "/api/balance", 200): [_OVERVIEW],
    ("get", "/api/app/latest", 200): [
        {
            "success": True,
            "data": {
                "version_name": "1.0.1", "version_code": 2, "release_notes": "Bug fixes and a faster send queue.",
                "mandatory": False, "apk_url": "https://api.mobsms.cloud/api/app/download/3", "apk_size": 27418624,
            },
        },
        {"success": True, "data": None},
    ],
    ("post", "/api/login", 200): [
        _signed_in("9|aBcDeF...plaintext", {"id": 1, "name": "Ali", "email": "you@example.com"}, "Login successful")
    ],
    ("post", "/api/login", 401): [{"success": False, "message": "Invalid credentials"}],
    ("post", "/api/register", 201): [
        _signed_in("10|aBcDeF...plaintext", {"id": 2, "name": "Ali Valiyev", "email": "ali@example.com"},
                   "Registration successful")
    ],
    ("post", "/api/auth/google", 200): [
        _signed_in("11|aBcDeF...plaintext", {"id": 3, "name": "Ali", "email": "ali@gmail.com"}, "Login successful")
    ],
    ("post", "/api/auth/google", 401): [{"success": False, "message": "Invalid Google token"}],
    ("post", "/api/logout", 200): [{"success": True, "message": "Logout successful"}],
    ("get", "/api/user", 200): [
        {"success": True, "data": {**_ALI, "plan": "premium", "premium_expires_at": _EXPIRY}}
    ],
    ("post", "/api/contacts/import", 201): [_said({"imported": 42, "skipped": 3}, "Imported 42 contacts")],
    ("get", "/api/devices", 200): [
        {
            "success": True,
            "data": [
                {"id": 5, "device_id": "abc123", "device_name": "Pixel 7", "phone_number": "+998901234567",
                 "is_active": True, "is_default": True, "sms_rate": 100, "send_delay_seconds": 0,
                 "default_sim_slot": 0}
            ],
        }
    ],
    ("post", "/api/devices/default-device", 200): [
        _said({"id": 5, "device_name": "Pixel 7", "is_default": True}, "Default device updated successfully")
    ],
    ("post", "/api/sms/bulk", 201): [
        _said(
            [{"id": 201, "message_id": "uuid-1", "recipient_number": "+998901112233", "status": "pending",
              "price": 100, "is_charged": False, "direction": "outbound"}],
            "Bulk SMS queued for sending",
        )
    ],
    ("post", "/api/sms/bulk", 422): [_NO_DEVICE],
    ("get", "/api/sms/delivery-stats", 200): [
        _said(
            {
                "today": {"sent": 8, "delivered": 7, "failed": 1, "delivery_rate": 87.5},
                "this_week": {"sent": 40, "delivered": 38, "delivery_rate": 95},
                "this_month": {"sent": 240, "delivered": 230, "delivery_rate": 95.8},
            },
            "Delivery statistics retrieved successfully",
        )
    ],
    ("get", "/api/sms/outbox", 200): [
        _page({"id": 101, "recipient_number": "+998901234567", "message": "Hello", "status": "delivered",
               "price": 100, "is_charged": False, "created_at": _AT})
    ],
    ("get", "/api/sms/inbox", 200): [
        _page({"id": 55, "sender_number": "+998907778899", "message": "Reply text", "status": "received",
               "direction": "inbound", "created_at": "2026-06-08T09:00:00.000000Z"})
    ],
    ("post", "/api/sms/{id}/cancel", 200): [
        _said({"id": 101, "status": "cancelled"}, "SMS cancelled successfully")
    ],
    ("post", "/api/sms/{id}/cancel", 422): [{"success": False, "message": "Only pending messages can be cancelled"}],
    ("get", "/api/sms", 200): [
        _page({"id": 101, "message_id": "9f1c-uuid", "recipient_number": "+998901234567",
               "sender_number": "+998901112233", "message": "Hello", "direction": "outbound", "status": "delivered",
               "price": 100, "is_charged": False, "sent_at": "2026-06-08T10:00:01.000000Z",
               "delivered_at": "2026-06-08T10:00:05.000000Z", "created_at": _AT})
    ],
    ("post", "/api/sms", 201): [
        {
            "success": True,
            "message": "SMS queued for sending",
            "data": {"id": 101, "message_id": "9f1c...uuid", "recipient_number": "+998901234567",
                     "status": "pending", "price": 100, "is_charged": False, "direction": "outbound",
                     "callback_url": "https://example.com/sms/callback"},
        }
    ],
    ("post", "/api/sms", 422): [_NO_DEVICE],
    ("get", "/api/sms/{id}", 200): [
        {
            "success": True,
            "data": {"id": 101, "message_id": "9f1c-uuid", "recipient_number": "+998901234567",
                     "status": "delivered", "price": 100, "is_charged": False,
                     "sent_at": "2026-06-08T10:00:01.000000Z", "delivered_at": "2026-06-08T10:00:05.000000Z",
                     "error_message": None, "callback_url": None},
        }
    ],
    ("get", "/api/sms/{id}", 404): [{"message": "No query results for model [SmsMessage]."}],
    ("put", "/api/sms/{id}", 200): [_said({"id": 101, "status": "delivered"}, "SMS updated successfully")],
    ("delete", "/api/sms/{id}", 200): [{"success": True, "message": "SMS deleted successfully"}],
    ("get", "/api/settings", 200): [{"success": True, "data": {"keep_inbound": True}}],
    ("put", "/api/settings", 200): [_said({"keep_inbound": False}, "Settings updated successfully")],
    ("get", "/api/subscription", 200): [
        {
            "success": True,
            "data": {
                **_PLAN,
                "payment": {"wallet_address": "UQexamplewalletaddress",
                            "asset": "USDT (TON)", "network": "TON", "admin_telegram": "@example_admin"},
            },
        }
    ],
    ("post", "/api/subscriptions/redeem-promo", 200): [
        {"success": True, "message": "Promo code redeemed — Premium activated.", "data": _PLAN}
    ],
    ("post", "/api/subscriptions/redeem-promo", 422): [
        {"success": False, "message": "This promo code is invalid or no longer available."}
    ],
    ("get", "/api/webhooks", 200): [
        {
            "success": True,
            "data": {"webhook_url_incoming": "https://example.com/incoming",
                     "webhook_url_status": "https://example.com/status"},
        }
    ],
    ("put", "/api/webhooks", 200): [
        _said({"webhook_url_incoming": "https://example.com/incoming",
               "webhook_url_status": "https://example.com/status"}, "Webhooks updated successfully")
    ],
}  # fmt: skip

_SENDING = "Your confirmation code is: 123456"

# The seed lost the paths, so the key's path is ours.
YAZSANA: dict[tuple[str, str], Any] = {
    ("get", "/users/me"): {
        "success": True,
        "data": {"id": "c397b946-287e-45a8-85a4-f371e6dd3837", "username": "mark", "email": "mark@yazsana.com",
                 "createdAt": "2026-03-10T10:22:31.338Z"},
    },
    ("get", "/organizations"): {
        "success": True,
        "data": [
            {"id": "7f2d51ea-b166-4a45-9f06-4524be51e4c1", "name": "Main Organization", "state": True,
             "memberCredit": "120.000000",
             "permissions": ["organization.sms.read", "organization.sms.send", "organization.users.read"]}
        ],
    },
    ("get", "/services"): [
        {"id": "bb59f6f7-dc35-47c9-8874-673ad4f70518", "name": "BobSMS", "type": "sms", "currency": "USD",
         "unitPrice": "1.000000"}
    ],
    ("post", "/sms-sendings/one"): {"success": True, "data": "f688348d-2d9b-4568-a17e-b96e6b5c1475"},
    ("post", "/sms-sendings/simple"): {"success": True, "data": "410bc79f-f751-46b9-9b93-ceb3fdcea049"},
    ("get", "/sms-sendings"): {
        "success": True,
        "data": {
            "items": [
                {"id": "cebbe29a-e9e3-42f0-ad1b-12c99bca067d", "completed": False, "sampleMessageText": _SENDING,
                 "createdAt": "2026-03-10T20:03:34.286Z",
                 "stats": {"validSize": 3, "invalidSize": 0, "nOfPending": 3, "nOfWaiting": 0, "nOfCompleted": 0,
                           "nOfFailed": 0, "nOfRefunded": 0, "totalCost": "3", "totalRefunded": "0"}}
            ],
            "total": 1, "page": 0, "limit": 20, "totalPages": 1,
        },
    },
    ("get", "/sms-sendings/{id}"): {
        "success": True,
        "data": {
            "items": [
                {"id": "98664fa1-1077-489d-bc33-165d7597aa81", "to": "905550000000", "message": _SENDING,
                 "status": "pending", "network": "unknown", "refunded": False,
                 "createdAt": "2026-03-10T20:03:34.294Z"}
            ],
            "total": 1, "page": 0, "limit": 100, "totalPages": 1,
        },
    },
}  # fmt: skip
