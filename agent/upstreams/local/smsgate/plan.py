"""What an account's plan allows, where the owner has defined promo codes."""

from __future__ import annotations

from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.mobsms import premium
from agent.upstreams.local.smsgate.tokens import Client


async def need_premium(local: Local, client: Client) -> None:
    """Raises: Refused, 403."""
    try:
        await premium.need_premium(local, client.account)
    except Refused as error:
        raise Refused(answers.plain("The account's plan does not include this.", 403)) from error
