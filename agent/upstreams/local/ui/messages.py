"""Lists of messages with search, one message with its history and its conversation, and what can be done with it."""

from __future__ import annotations

import secrets
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from agent import numbers
from agent.model import Message, MessageState, is_ended
from agent.upstreams.local.mobsms.access import may_see
from agent.upstreams.local.ui.page import ROOT
from agent.upstreams.local.ui.reading import Leaf
from agent.upstreams.local.ui.site import Site, Stop, Visit
from agent.upstreams.local.ui.words import GROUPS, MESSAGE_WORDS

_LONGEST_SEARCH = 100
# Fewer digits are looked for inside numbers too.
_WHOLE_NUMBER_DIGITS = 7
_CONVERSATION = 20
_MAY_GO_AGAIN = frozenset({MessageState.FAILED, MessageState.EXPIRED, MessageState.CANCELLED})


def add(site: Site) -> None:
    _add_lists(site)
    _add_one(site)
    _add_actions(site)


def _add_lists(site: Site) -> None:
    async def listed(visit: Visit) -> Response:
        query = visit.request.query_params
        group = query.get("state", "")
        sought = query.get("q", "").strip()[:_LONGEST_SEARCH]
        before = cursor(visit)
        leaf = await _found(site, visit, sought, GROUPS.get(group, ()), before)
        kept = {name: value for name, value in (("q", sought), ("state", group)) if value}
        return await site.show(
            visit,
            "messages",
            messages=leaf.messages,
            older=leaf.older and f"?{urlencode({**kept, 'before': leaf.older})}",
            searched_to_ms=leaf.searched_to_ms,
            is_first=before is None,
            sought=sought,
            group=group if group in GROUPS else "",
            groups=list(GROUPS),
        )

    async def inbox(visit: Visit) -> Response:
        before = cursor(visit)
        leaf = await site.reading.leaf(visit.caller, (MessageState.RECEIVED,), before)
        older = leaf.older and f"?before={leaf.older}"
        return await site.show(visit, "inbox", messages=leaf.messages, older=older, is_first=before is None)

    site.get("/messages", listed)
    site.get("/inbox", inbox)


def _add_one(site: Site) -> None:
    local = site.local

    async def one(visit: Visit) -> Response:
        message = await _own(site, visit)
        talk = await site.reading.with_number(visit.caller, message.number, limit=_CONVERSATION)
        is_outbound = message.direction == "outbound"
        return await site.show(
            visit,
            "message",
            message=message,
            word=MESSAGE_WORDS[message.state],
            history=await local.gateway.history(message.id),
            talk=list(reversed(talk.messages)),
            may_cancel=is_outbound and message.state in (MessageState.HELD, MessageState.QUEUED),
            may_resend=is_outbound and message.state in _MAY_GO_AGAIN,
            may_release=visit.caller.is_owner and message.state is MessageState.HELD,
            is_open=not is_ended(message.state) and message.state is not MessageState.SENT,
            can_reply=_is_dialable(message.number),
            once=secrets.token_urlsafe(12),
        )

    site.get("/messages/{id}", one)


def _add_actions(site: Site) -> None:
    gateway = site.local.gateway

    async def cancel(visit: Visit) -> Response:
        message = await _own(site, visit)
        if message.direction == "outbound" and await gateway.cancel(message.id):
            visit.said("The message is cancelled.")
        else:
            visit.said("It is too late to cancel: a try was made. It will not be sent again.", "warn")
        return RedirectResponse(f"{ROOT}messages/{message.id}", 303)

    async def resend(visit: Visit) -> Response:
        message = await _own(site, visit)
        try:
            accepted = await gateway.resend(message.id)
        except ValueError as error:
            visit.said(f"{str(error).capitalize()}.", "bad")
            return RedirectResponse(f"{ROOT}messages/{message.id}", 303)
        if accepted is None or accepted.message_id is None:
            raise Stop(404, "This message cannot be sent again.")
        visit.said("Accepted as a new message.")
        return RedirectResponse(f"{ROOT}messages/{accepted.message_id}", 303)

    async def release(visit: Visit) -> Response:
        message = await _own(site, visit)
        if not visit.caller.is_owner:
            raise Stop(403, "Only the owner of this gateway may release a held message.")
        await gateway.release([message.id])
        visit.said("The message is released.")
        return RedirectResponse(f"{ROOT}messages/{message.id}", 303)

    site.post("/messages/{id}/cancel", cancel)
    site.post("/messages/{id}/resend", resend)
    site.post("/messages/{id}/release", release)


# --- pieces -----------------------------------------------------------------------------------------


async def _found(site: Site, visit: Visit, sought: str, states: tuple[MessageState, ...], before: int | None) -> Leaf:
    """A whole number is looked up by index in the whole history; anything else is searched for."""
    if not sought:
        return await site.reading.leaf(visit.caller, states, before)
    number = _whole_number(site, sought)
    if number is not None and not states:
        leaf = await site.reading.with_number(visit.caller, number, before)
        if leaf.messages:
            return leaf
    # People write numbers with spaces; the journal does not.
    plain = "".join(sought.split())
    is_number = plain.lstrip("+").isdigit()
    return await site.reading.search(visit.caller, states, plain if is_number else sought, before)


def _whole_number(site: Site, sought: str) -> str | None:
    try:
        number = numbers.dialable(sought, site.local.gateway.settings.default_region)
    except numbers.NotDialable:
        return None
    return number if len(number) >= _WHOLE_NUMBER_DIGITS else None


def _is_dialable(number: str) -> bool:
    """A sender may be a name, which cannot be answered."""
    try:
        numbers.dialable(number, None)
    except numbers.NotDialable:
        return False
    return True


async def _own(site: Site, visit: Visit) -> Message:
    message = await site.local.gateway.message(visit.number("id"))
    if message is None or not may_see(visit.caller, message):
        raise Stop(404, "There is no such message.")
    return message


def cursor(visit: Visit) -> int | None:
    """Where a list goes on, from the query; None at its beginning."""
    given = visit.request.query_params.get("before", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 18 else None


def page_number(visit: Visit) -> int:
    """Which page of a list that has no cursor, from 1."""
    given = visit.request.query_params.get("page", "")
    return max(1, int(given)) if given.isascii() and given.isdigit() and len(given) <= 6 else 1
