"""What applications are told by webhook: states of their messages, and messages that came in."""

from __future__ import annotations

import json

from agent.clock import iso_utc
from agent.hooks import Call
from agent.model import Message, MessageKind, MessageState, Report
from agent.upstreams.local.context import Local
from agent.upstreams.local.mobsms import words
from agent.upstreams.local.mobsms.words import Row
from agent.upstreams.local.smsgate import telling as smsgate

_TOLD = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.FAILED, MessageState.EXPIRED})
_FINAL = _TOLD - {MessageState.SENT}


async def tell_state(local: Local, report: Report) -> None:
    """Put the calls for one state into the table. Raises: JournalError."""
    message = report.message
    owner = message.account or await local.accounts.owner()
    await smsgate.tell_state(local, owner, report)
    if report.state not in _TOLD:
        return
    account = await local.accounts.account(owner)
    addresses = [] if account is None or account.webhook_status is None else [account.webhook_status]
    own = message.attributes.get("callback_url")
    if isinstance(own, str) and report.state in _FINAL and own not in addresses:
        addresses.append(own)
    if not addresses or account is None:
        return
    data = words.message(message, state=report.state, error=report.error)
    body = _body("status", data, report.at_ms)
    key = f"event:{report.event_id}"
    await local.gateway.hooks.add([Call(key, message.id, account.id, address, body) for address in addresses])


async def tell_inbound(local: Local, message: Message) -> None:
    """Put the call for an inbound message into the table; where its account keeps no inbound, the text goes from
    the history once nobody else waits for it. Raises: JournalError."""
    account = await local.accounts.account(message.account or await local.accounts.owner())
    if account is None:
        return
    await smsgate.tell_inbound(local, account.id, message)
    if message.kind is not MessageKind.TEXT:
        return  # MobSMS' webhooks have texts only; the history shows the rest
    if account.webhook_incoming is not None:
        body = _body("incoming", words.message(message), message.created_ms)
        key = f"inbound:{message.uid}"
        call = Call(key, message.id, account.id, account.webhook_incoming, body)
        await local.gateway.hooks.add([call], is_urgent=True)
    if not account.keep_inbound:
        await local.accounts.blank_inbound(message.id, local.name)


def test_body(event: str, at_ms: int) -> str:
    """A call that is about no message: its fields are those of a real one, and `test` says what it is."""
    data: Row = {
        "id": 0, "message_id": "test", "recipient_number": None, "sender_number": None, "message": "A test",
        "direction": "inbound" if event == "incoming" else "outbound",
        "status": "received" if event == "incoming" else "sent", "created_at": iso_utc(at_ms), "test": True,
    }  # fmt: skip
    return _body(event, data, at_ms)


def _body(event: str, data: Row, at_ms: int) -> str:
    return json.dumps({"event": event, "data": data, "timestamp": iso_utc(at_ms)}, ensure_ascii=False)
