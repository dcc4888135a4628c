"""Settings of an account. What means something here is obeyed at once; the rest is kept and shown.

Obeyed: `encryption.passphrase`, `webhooks.signing_key` and `.retry_count`, `ping.interval_seconds`; and the owner's
intervals, limit and work hours in `messages`, which count for this whole server. The choice of SIM and the order of
sending are the gateway's own.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agent.journal.upstream_pace import Pace
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.routing import Router
from agent.upstreams.local.smsgate import bodies
from agent.upstreams.local.smsgate.access import client_of
from agent.upstreams.local.smsgate.messages import TAGS
from agent.upstreams.local.smsgate.tokens import Client

_Document = dict[str, Any]
_WINDOWS_MS = {"PerMinute": 60_000, "Per30Minutes": 1_800_000, "PerHour": 3_600_000, "PerDay": 86_400_000}
# Kept where they are used, or not at all, and never shown.
_SECRETS = (("encryption", "passphrase"), ("webhooks", "signing_key"), ("gateway", "private_token"))


def add(router: Router, local: Local) -> None:
    """/settings."""

    @router.get("/settings", response_model=bodies.Settings, tags=TAGS, summary="Settings, without secrets")
    async def get_settings(request: Request) -> Response:
        return answers.Json(_shown(await local.accounts.clients.settings(client_of(request).account)))

    @router.patch("/settings", response_model=bodies.Settings, tags=TAGS, summary="Change some settings")
    async def patch_settings(body: bodies.Settings, request: Request) -> Response:
        return await _set(local, client_of(request), body, is_whole=False)

    @router.put("/settings", response_model=bodies.Settings, tags=TAGS, summary="Replace all settings but secrets")
    async def put_settings(body: bodies.Settings, request: Request) -> Response:
        return await _set(local, client_of(request), body, is_whole=True)


async def _set(local: Local, client: Client, body: bodies.Settings, *, is_whole: bool) -> Response:
    old = await local.accounts.clients.settings(client.account)
    given: _Document = body.model_dump(exclude_unset=True)
    new = _merged(_only_secrets(old) if is_whole else old, given)
    messages = new.get("messages", {})
    least, most = messages.get("send_interval_min"), messages.get("send_interval_max")
    if least is not None and most is not None and least > most:
        raise Refused(answers.plain("messages.send_interval_min must not be above send_interval_max.", 400))
    signing = (given.get("webhooks") or {}).get("signing_key", ...)
    if signing is not ...:
        await local.gateway.hooks.set_secret(client.account, signing or None)
    for section, key in (("webhooks", "signing_key"), ("gateway", "private_token")):
        new.get(section, {}).pop(key, None)
    new = {section: values for section, values in new.items() if values}
    await local.accounts.clients.set_settings(client.account, new)
    if client.is_owner:
        await local.gateway.set_pace(local.name, _pace(new.get("messages", {})))
    return answers.Json(_shown(new))


def _pace(messages: _Document) -> Pace:
    """How fast this server's messages may follow each other. A limit or hours that are only half said are none."""
    least_s, most_s = float(messages.get("send_interval_min", 0)), float(messages.get("send_interval_max", 0))
    window_ms, limit = _WINDOWS_MS.get(messages.get("limit_period", "")), messages.get("limit_value")
    is_limited = window_ms is not None and limit is not None
    start, end = messages.get("work_hours_start"), messages.get("work_hours_end")
    has_hours = messages.get("work_hours_enabled") is True and start is not None and end is not None
    return Pace(
        delay_s=least_s,
        longest_delay_s=max(least_s, most_s),
        limit_messages=limit if is_limited else None,
        limit_window_ms=window_ms if is_limited else None,
        work_hours=f"{start}-{end}" if has_hours else None,
    )


def _merged(old: _Document, given: _Document) -> _Document:
    """With null a key or a section is reset. An empty secret is none."""
    new = {section: dict(values) for section, values in old.items()}
    for section, values in given.items():
        if values is None:
            new.pop(section, None)
            continue
        kept = new.setdefault(section, {})
        for key, value in values.items():
            if value is None or (value == "" and (section, key) in _SECRETS):
                kept.pop(key, None)
            else:
                kept[key] = value
    return new


def _only_secrets(settings: _Document) -> _Document:
    """What PUT keeps, since nobody could have read it to send it along."""
    found: _Document = {}
    for section, key in _SECRETS:
        if key in settings.get(section, {}):
            found.setdefault(section, {})[key] = settings[section][key]
    return found


def _shown(settings: _Document) -> _Document:
    found = {
        section: {key: value for key, value in values.items() if (section, key) not in _SECRETS}
        for section, values in settings.items()
    }
    return {section: values for section, values in found.items() if values}
