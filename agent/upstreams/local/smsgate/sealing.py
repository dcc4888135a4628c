"""Messages that came encrypted: opened once, in a thread, with the account's passphrase."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NoReturn

from agent import e2e
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.smsgate.bodies import SendMessage
from agent.upstreams.local.smsgate.tokens import Client
from drivers.values import dataclass

# All values of one message together: some ten seconds of a small box.
_MOST_ITERATIONS = 20_000_000


@dataclass(frozen=True, slots=True)
class Opened:
    """Content and numbers in clear."""

    content: str
    numbers: tuple[str, ...]


async def opened(local: Local, client: Client, body: SendMessage) -> Opened:
    """Raises: Refused."""
    if not body.isEncrypted:
        return Opened(body.content, tuple(body.phoneNumbers))
    passphrase = await _passphrase(local, client)
    if passphrase is None:
        _refuse("it is encrypted, and this gateway has no passphrase; set passphrase in its configuration")
    if not e2e.is_available():
        _refuse("it is encrypted, and this gateway lacks the extra for that; install phonebridge[e2e]")
    values = [body.content, *body.phoneNumbers]
    try:
        if sum(e2e.parse(value).iterations for value in values) > _MOST_ITERATIONS:
            _refuse("its encryption takes too many iterations in all; send it to fewer recipients at once")
        # One at a time: the others' requests and the routes need the machine too.
        async with local.opening:
            clear = await asyncio.to_thread(_all, values, passphrase)
    except e2e.E2eError as error:
        raise Refused(answers.plain(f"The message cannot be sent: {error}.", 400)) from error
    return Opened(clear[0], tuple(clear[1:]))


async def _passphrase(local: Local, client: Client) -> str | None:
    """The account's own; the configured one is the owner's."""
    settings = await local.accounts.clients.settings(client.account)
    own = settings.get("encryption", {}).get("passphrase")
    return own if isinstance(own, str) else local.passphrase if client.is_owner else None


def _all(values: Sequence[str], passphrase: str) -> list[str]:
    return [e2e.decrypt(value, passphrase) for value in values]


def _refuse(sentence: str) -> NoReturn:
    raise Refused(answers.plain(f"The message cannot be sent: {sentence}.", 400))
