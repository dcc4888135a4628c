"""What can be asked of the local server's side over the control socket: its keys and its webhooks."""

from __future__ import annotations

import json

from agent.clock import iso_utc
from agent.endpoint import KEY_FILE, Refusal
from agent.gateway import Gateway
from agent.hooks import Delivery, problem_of
from agent.request import LONGEST_PAGE, Answer, Fields, Operation, Refused, Tell, time_of

# --- keys of the local server -----------------------------------------------------------------------


async def _new_key(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    owner = await gateway.accounts.owner()
    made = await gateway.accounts.create_token(owner, fields.text("name", at_most_characters=100))
    return {"id": made.token.id, "name": made.token.name, "key": made.plaintext}


async def _list_keys(gateway: Gateway, _: Fields, __: Tell) -> Answer:
    owner = await gateway.accounts.owner()
    return {
        "generated": await _generated_key(gateway),
        "keys": [
            {
                "id": token.id,
                "name": token.name,
                "abilities": list(token.abilities),
                "created_at": iso_utc(token.created_ms),
                "last_used_at": time_of(last_used_ms),
            }
            for token, last_used_ms in await gateway.accounts.tokens(owner)
        ],
    }


async def _revoke_key(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    token_id = fields.number("id", None, 1, 10**15)
    if token_id is None:
        raise Refused("id is missing", Refusal.USAGE)
    if not await gateway.accounts.revoke(await gateway.accounts.owner(), token_id):
        raise Refused(f"there is no key {token_id}; `phonebridge key list` lists them")
    return {"id": token_id}


async def _generated_key(gateway: Gateway) -> Answer | None:
    """The key that the local server made for itself, as long as it is the one that counts."""
    file = gateway.settings.state_dir / KEY_FILE
    try:
        key = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not key or await gateway.accounts.caller(key.encode()) is None:
        return None
    return {"key": key, "file": str(file)}


# --- webhooks of the local server -------------------------------------------------------------------


async def _list_hooks(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    state = fields.optional_text("state")
    if state not in (None, "waiting", "done", "given_up"):
        raise Refused(f'state is "waiting", "done" or "given_up", not "{state}"', Refusal.USAGE)
    limit = fields.number("limit", 20, 1, LONGEST_PAGE) or 1
    page = await gateway.hooks.deliveries(
        None,
        state=state,
        message_id=fields.number("message", None, 1, 10**15),
        page=fields.number("page", 1, 1, 10**9) or 1,
        per_page=limit,
    )
    return {"total": page.total, "deliveries": [_delivery(one) for one in page.deliveries]}


async def _replay_hook(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    delivery_id = fields.number("id", None, 1, 10**15)
    if delivery_id is None:
        raise Refused("id is missing", Refusal.USAGE)
    found = await gateway.hooks.replay(None, delivery_id)
    if found is None:
        raise Refused(f"there is no webhook call {delivery_id}; `phonebridge hooks list` lists them")
    return _delivery(found)


async def _test_hook(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    """Call an address, or the owner's own webhook for status."""
    owner = await gateway.accounts.owner()
    url = fields.optional_text("url")
    if url is None:
        account = await gateway.accounts.account(owner)
        url = account.webhook_status or account.webhook_incoming if account is not None else None
    if url is None:
        raise Refused("no webhook is set; give an address to call", Refusal.USAGE)
    if (problem := problem_of(url)) is not None:
        raise Refused(f"this cannot be called: {problem}", Refusal.USAGE)
    now = iso_utc(gateway.clock.utc_ms())
    body = {
        "event": "status",
        "data": {"id": 0, "message_id": "test", "status": "sent", "test": True},
        "timestamp": now,
    }
    return _delivery(await gateway.hooks.test(owner, url, json.dumps(body)))


async def _hook_secret(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    owner = await gateway.accounts.owner()
    if fields.flag("rotate"):
        return {"secret": await gateway.hooks.rotate_secret(owner)}
    return {"secret": await gateway.hooks.secret(owner)}


def _delivery(found: Delivery) -> Answer:
    return {
        "id": found.id,
        "account": found.account,
        "message": found.message_id,
        "url": found.url,
        "state": found.state,
        "tries": found.tries,
        "next_try_at": time_of(found.due_ms),
        "last_status": found.last_status,
        "last_error": found.last_error,
        "last_answer": found.last_answer,
        "took_ms": found.took_ms,
        "tried_at": time_of(found.tried_ms),
        "created_at": iso_utc(found.created_ms),
        "done_at": time_of(found.done_ms),
        "body": found.body,
    }


OPERATIONS: dict[str, Operation] = {
    "key new": _new_key,
    "key list": _list_keys,
    "key revoke": _revoke_key,
    "hooks list": _list_hooks,
    "hooks replay": _replay_hook,
    "hooks test": _test_hook,
    "hooks secret": _hook_secret,
}
