"""What can be asked of upstreams that a person connects to an account (`Gateway.pairings`), over the control socket.

Whoever holds the socket may see the account's secrets: membership of the group is full control.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent.endpoint import Refusal
from agent.gateway import Gateway
from agent.request import Answer, Fields, Operation, Refused, Tell
from agent.upstreams.api import Pairing, PairingAnswer, PairingRefused, UpstreamDown

_LONGEST_CHARACTERS = 200


async def _code(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    """With a code, pair by it; without one, ask for a code for another device."""
    upstream, code = _upstream(gateway, fields), fields.optional_text("code")
    if code is None:
        return await _asked(upstream.one_time_code)
    return await _asked(lambda: upstream.pair_by_code(code.strip()))


async def _login(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    upstream = _upstream(gateway, fields)
    login = fields.text("login", at_most_characters=_LONGEST_CHARACTERS)
    password = fields.text("password", at_most_characters=_LONGEST_CHARACTERS)
    return await _asked(lambda: upstream.pair_by_login(login, password))


async def _account(gateway: Gateway, fields: Fields, _: Tell) -> Answer:
    return await _asked(_upstream(gateway, fields).account)


def _upstream(gateway: Gateway, fields: Fields) -> Pairing:
    """The one that is named, else the only one. Raises: Refused."""
    name, known = fields.optional_text("upstream"), gateway.pairings
    if not known:
        raise Refused('no upstream of type "smsgate" is configured; add one, see docs/smsgate.md')
    if name is None and len(known) > 1:
        raise Refused(f"there are several; name one of {', '.join(known)} with --upstream", Refusal.USAGE)
    if name is not None and name not in known:
        raise Refused(f'there is no SMSGate upstream "{name}"; there is {", ".join(known)}', Refusal.USAGE)
    return known[name] if name is not None else next(iter(known.values()))


async def _asked(question: Callable[[], Awaitable[PairingAnswer]]) -> Answer:
    try:
        return dict(await question())
    except (PairingRefused, UpstreamDown) as error:
        raise Refused(str(error)) from error


OPERATIONS: dict[str, Operation] = {
    "smsgate code": _code,
    "smsgate login": _login,
    "smsgate account": _account,
}
