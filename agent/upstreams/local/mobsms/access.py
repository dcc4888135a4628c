"""Who asks: every route of a router made here needs a key, and learns whose it is before the body is looked at."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from agent.accounts import Account, Caller
from agent.model import Message
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.devices import DeviceView, NoSuchDevice
from agent.upstreams.local.mobsms import documents
from agent.upstreams.local.mobsms.abilities import NEEDED, is_enough
from agent.upstreams.local.routing import Admit, Router

PREFIX = "/api"
_LONGEST_PATH_KEY = 255


def router(local: Local) -> Router:
    """A router whose operations need a key that is able to; see `abilities`."""

    def admission(method: str, path: str) -> Admit:
        needed = NEEDED[method, path]

        async def admit(request: Request) -> Response | None:
            found = await caller(local, request)
            if found is None:
                return answers.unauthenticated()
            if not is_enough(found.abilities, needed):
                return answers.plain("Invalid ability provided.", 403)
            request.state.caller = found
            return None

        return admit

    return Router(PREFIX, responses=documents.PRIVATE, security="bearer", admission=admission)


def caller_of(request: Request) -> Caller:
    """Whose key came with this request."""
    caller: Caller = request.state.caller
    return caller


async def account_of(local: Local, caller: Caller) -> Account:
    """The caller's account. Raises: Refused, where it is gone."""
    account = await local.accounts.account(caller.account)
    if account is None:
        raise Refused(answers.unauthenticated())
    return account


def may_see(caller: Caller, message: Message) -> bool:
    """An account sees its own; the owner also what belongs to nobody, as what other upstreams brought."""
    return message.account == caller.account or (caller.is_owner and message.account is None)


async def own_message(local: Local, caller: Caller, key: str) -> Message:
    """By id or message_id. Raises: Refused, 404 also for somebody else's."""
    message = await local.gateway.message(key) if 0 < len(key) <= _LONGEST_PATH_KEY else None
    if message is None or not may_see(caller, message):
        raise Refused(answers.missing("SmsMessage"))
    return message


async def own_device(local: Local, caller: Caller, key: str) -> DeviceView:
    """By number or string. Raises: Refused, 404."""
    try:
        return await local.devices.find(caller, key)
    except NoSuchDevice as error:
        raise Refused(answers.missing("Device")) from error


async def caller(local: Local, request: Request) -> Caller | None:
    """Whose key came with a request, None without a right one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return None
    return await local.accounts.caller(key.strip().encode("latin-1", "replace"))
