"""What a key must be able to do for each operation. Pure.

    *          everything (what a key without abilities gets)
    sms:read   messages, lists, statistics
    sms:send   send, cancel, delete
    devices    list and change devices, and all that a remote agent does: claim, release, report, hand in
    account    figures, settings, webhooks, contacts, subscription, and keys that can do no more than this one

Words of other meaning are kept, since applications use their own, and open nothing.
"""

from __future__ import annotations

ANY = ""
"""For operations that every key may call."""

READ, SEND, DEVICES, ACCOUNT = "sms:read", "sms:send", "devices", "account"

# A remote agent reads the pending list and the account's wishes for inbound messages, too.
NEEDED: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/user"): (ANY,),
    ("POST", "/logout"): (ANY,),
    ("GET", "/tokens"): (ACCOUNT,),
    ("POST", "/tokens"): (ACCOUNT,),
    ("DELETE", "/tokens/{id}"): (ACCOUNT,),
    ("GET", "/account"): (ACCOUNT,),
    ("GET", "/balance"): (ACCOUNT,),
    ("POST", "/contacts/import"): (ACCOUNT,),
    ("GET", "/settings"): (ACCOUNT, DEVICES),
    ("PUT", "/settings"): (ACCOUNT,),
    ("GET", "/webhooks"): (ACCOUNT, DEVICES),
    ("PUT", "/webhooks"): (ACCOUNT,),
    ("GET", "/webhooks/deliveries"): (ACCOUNT,),
    ("GET", "/webhooks/deliveries/{id}"): (ACCOUNT,),
    ("POST", "/webhooks/deliveries/{id}/replay"): (ACCOUNT,),
    ("POST", "/webhooks/test"): (ACCOUNT,),
    ("GET", "/webhooks/secret"): (ACCOUNT,),
    ("POST", "/webhooks/secret"): (ACCOUNT,),
    ("GET", "/subscription"): (ACCOUNT,),
    ("POST", "/subscriptions/redeem-promo"): (ACCOUNT,),
    ("GET", "/devices"): (DEVICES, SEND, READ),
    ("POST", "/devices"): (DEVICES,),
    ("POST", "/devices/default-device"): (DEVICES,),
    ("PUT", "/devices/{id}"): (DEVICES,),
    ("POST", "/devices/{id}/claim"): (DEVICES,),
    ("POST", "/devices/{id}/release"): (DEVICES,),
    ("GET", "/devices/{id}/events"): (DEVICES,),
    ("POST", "/sms/inbound"): (DEVICES,),
    ("PUT", "/sms/{id}"): (DEVICES,),
    ("GET", "/sms"): (READ, DEVICES),
    ("GET", "/sms/{id}"): (READ, DEVICES),
    ("GET", "/sms/outbox"): (READ,),
    ("GET", "/sms/inbox"): (READ,),
    ("GET", "/sms/delivery-stats"): (READ,),
    ("POST", "/sms"): (SEND,),
    ("POST", "/sms/bulk"): (SEND,),
    ("POST", "/sms/{id}/cancel"): (SEND,),
    ("DELETE", "/sms/{id}"): (SEND,),
}


def is_enough(abilities: tuple[str, ...], needed: tuple[str, ...]) -> bool:
    """Whether a key with these abilities may call an operation that needs one of those."""
    return ANY in needed or "*" in abilities or any(one in abilities for one in needed)
