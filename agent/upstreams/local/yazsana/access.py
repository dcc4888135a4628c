"""Who asks, by `x-api-key`, and whose credit pays, by `x-org-id`."""

from __future__ import annotations

import uuid
from typing import Annotated

from starlette.requests import Request
from starlette.responses import Response

from agent.accounts import Account, Caller
from agent.upstreams.local import answers, credit
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.mobsms.abilities import ACCOUNT, ANY, READ, SEND, is_enough
from agent.upstreams.local.routing import Admit, Header, Router
from agent.upstreams.local.yazsana import documents

PREFIX = "/yazsana"
UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_NAMESPACE = uuid.UUID("5c6bb1ad-8a2f-4e02-9d1c-2f53b6d6b1f0")
_NEEDED: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/users/me"): (ANY,),
    ("GET", "/organizations"): (ACCOUNT, SEND),
    ("GET", "/services"): (READ, SEND, ACCOUNT),
    ("POST", "/sms-sendings/one"): (SEND,),
    ("POST", "/sms-sendings/simple"): (SEND,),
    ("GET", "/sms-sendings"): (READ,),
    ("GET", "/sms-sendings/{id}"): (READ, SEND),
}

OrganizationId = Annotated[
    str | None,
    Header(
        alias="x-org-id",
        pattern=UUID_PATTERN,
        description="Charge the member credit of this organisation instead of the user's own",
        json_schema_extra=answers.uuid,
    ),
]


def router(local: Local) -> Router:
    """A router whose operations need a key that is able to."""

    def admission(method: str, path: str) -> Admit:
        needed = _NEEDED[method, path]

        async def admit(request: Request) -> Response | None:
            presented = request.headers.get("x-api-key", "").strip()
            caller = await local.accounts.caller(presented.encode("latin-1", "replace")) if presented else None
            if caller is None:
                return answers.refusal("The API key is missing or wrong", 401)
            if not is_enough(caller.abilities, needed):
                return answers.refusal("This API key is not able to do that", 403)
            request.state.caller = caller
            return None

        return admit

    return Router(PREFIX, responses=documents.REFUSALS, security="key", admission=admission)


async def account_of(local: Local, caller: Caller) -> Account:
    """The caller's account. Raises: Refused, where it is gone."""
    account = await local.accounts.account(caller.account)
    if account is None:
        raise Refused(answers.refusal("The API key is missing or wrong", 401))
    return account


def purse(caller: Caller, organization: str | None) -> str:
    """Whose credit pays. The one organisation has the owner as its only member. Raises: Refused."""
    if organization is None:
        return credit.USER
    if not caller.is_owner or organization.lower() != organization_id():
        raise Refused(answers.refusal("This organization does not exist, or you are not a member of it", 403))
    return credit.ORGANIZATION


def organization_id() -> str:
    return _id("organization")


def user_id(account: int) -> str:
    return _id(f"account {account}")


def service_id(device: int) -> str:
    """A device keeps its number, and so its service's id, for ever."""
    return _id(f"device {device}")


def _id(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))
