"""The SMSGate upstream: this gateway as one device (or several) of an SMSGate server.

Its modules:

    settings     the `[[upstream]]` keys
    rows         documents of the mobile API as values, and back; pure
    preferences  the server's settings as what they mean here; pure
    snapshot     the state of one message with all its recipients, as the server takes it; pure
    client       one HTTP client: what an answer means for the caller; the stream of events
    credentials  registrations in the journal: made, checked, and made again where that is right
    jobs         a pulled message as jobs: decrypted, its SIM chosen
    pull         the pending list: taken in, cancelled, told again
    reporter     snapshots told by PATCH, one at a time per message
    telling      webhooks that the server has this device call
    export       stored inbound messages told again on request
    health       the health document of a ping
    diagnosis    a look at the server for `doctor`
    events       the stream of events: late headers, cuts and silence
    shared       what all devices of one upstream share
    device       one registration at work
    upstream     puts these together behind the contract
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.upstreams.smsgate.settings import SmsGateSettings

if TYPE_CHECKING:
    from agent.upstreams.smsgate.upstream import SmsGateUpstream

__all__ = ["SmsGateSettings", "SmsGateUpstream"]


def __getattr__(name: str) -> Any:
    """The upstream itself when it is asked for: who reads a configuration needs the keys alone."""
    if name == "SmsGateUpstream":
        from agent.upstreams.smsgate.upstream import SmsGateUpstream  # noqa: PLC0415

        return SmsGateUpstream
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
