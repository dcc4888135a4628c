"""What a token or key must be able to do for each operation. Pure. Scopes are SMSGate's words; keys have ours."""

from __future__ import annotations

from collections.abc import Iterable

from agent.upstreams.local.mobsms.abilities import ACCOUNT, DEVICES, READ, SEND

ALL = "all:any"
REFRESH = "tokens:refresh"

NEEDED: dict[tuple[str, str], str] = {
    ("POST", "/messages"): "messages:send",
    ("GET", "/messages"): "messages:list",
    ("GET", "/messages/{id}"): "messages:read",
    ("DELETE", "/messages/{id}"): "messages:cancel",
    ("POST", "/messages/inbox/export"): "messages:export",
    ("GET", "/inbox"): "inbox:list",
    ("POST", "/inbox/refresh"): "inbox:refresh",
    ("GET", "/inbox/{id}/attachments/{part}"): "inbox:list",
    ("GET", "/devices"): "devices:list",
    ("DELETE", "/devices/{id}"): "devices:delete",
    ("GET", "/webhooks"): "webhooks:list",
    ("POST", "/webhooks"): "webhooks:write",
    ("DELETE", "/webhooks/{id}"): "webhooks:delete",
    ("GET", "/settings"): "settings:read",
    ("PATCH", "/settings"): "settings:write",
    ("PUT", "/settings"): "settings:write",
    ("GET", "/logs"): "logs:read",
    ("POST", "/auth/token"): "tokens:manage",
    ("DELETE", "/auth/token/{id}"): "tokens:manage",
}
KNOWN = frozenset(NEEDED.values()) | {ALL}

_OF_ABILITY = {
    "*": KNOWN,
    READ: {"messages:list", "messages:read", "inbox:list", "logs:read"},
    SEND: {"messages:send", "messages:cancel", "messages:read"},
    DEVICES: {"devices:list"},
    ACCOUNT: {
        "webhooks:list", "webhooks:write", "webhooks:delete", "settings:read", "settings:write", "tokens:manage",
        "messages:export", "inbox:refresh", "devices:delete",
    },
}  # fmt: skip


def of_key(abilities: Iterable[str]) -> frozenset[str]:
    """The scopes that an API key has by its abilities."""
    return frozenset(scope for ability in abilities for scope in _OF_ABILITY.get(ability, ()))


def is_enough(scopes: Iterable[str], needed: str, *, is_local: bool = False) -> bool:
    """Whether these open an operation. On a phone reading is listing, too, which has no scope of its own there."""
    had = frozenset(scopes)
    return ALL in had or needed in had or (is_local and needed == "messages:list" and "messages:read" in had)


def beyond(scopes: Iterable[str], asked: Iterable[str]) -> str | None:
    """The first of the asked-for scopes that goes beyond what is there, None where none does."""
    had = frozenset(scopes)
    return None if ALL in had else next((scope for scope in asked if scope not in had), None)
