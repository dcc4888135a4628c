"""A look at an SMSGate server for `doctor`: whether it is reached and is one. Changes nothing there."""

from __future__ import annotations

from collections.abc import Sequence

from agent.upstreams.api import Check, UpstreamDown
from agent.upstreams.smsgate.client import Client


async def diagnose(client: Client) -> Sequence[Check]:
    """The self-check without a token, which every such server answers."""
    try:
        answer = await client.ask("GET", "/device")
        if not answer.is_ok or not isinstance(answer.document, dict) or "externalIp" not in answer.document:
            raise client.refusal(answer, "GET /device")
    except UpstreamDown as error:
        return [Check(False, str(error), "Check base_url, the network of this box, and its clock.")]
    finally:
        await client.close()
    remedy = "`phonebridge status` says whether this device is paired; `phonebridge smsgate account` shows its account."
    return [Check(True, f"{client.host} answers as an SMSGate server. {remedy}")]
