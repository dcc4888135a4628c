"""The MobSMS upstream: this gateway as a device of a MobSMS server, or of another phonebridge.

Its modules:

    settings   the `[[upstream]]` keys
    rows       documents of the API as values, and back; pure
    client     one HTTP client: what an answer means for the caller, back-off that all requests share
    offer      whether the server has an operation that nobody documented
    device     our row on the server: found, registered, re-read
    pull       the pending list: walked oldest first, compared with what waits here
    report     states told by PUT
    inbound    received messages handed in, or posted to the user's webhook
    events     wake-ups by server-sent events, where the server has them
    upstream   puts these together behind the contract

Nothing outside this package needs more than the two names below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.upstreams.mobsms.settings import MobSmsSettings

if TYPE_CHECKING:
    from agent.upstreams.mobsms.upstream import MobSmsUpstream

__all__ = ["MobSmsSettings", "MobSmsUpstream"]


def __getattr__(name: str) -> Any:
    """The upstream itself when it is asked for: who reads a configuration needs the keys alone."""
    if name == "MobSmsUpstream":
        from agent.upstreams.mobsms.upstream import MobSmsUpstream  # noqa: PLC0415

        return MobSmsUpstream
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
