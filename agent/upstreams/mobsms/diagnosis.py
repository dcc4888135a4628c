"""A look at a MobSMS server for `doctor`: reached, key taken, device known. Changes nothing there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.upstreams.api import Check, UpstreamDown
from agent.upstreams.mobsms import rows
from agent.upstreams.mobsms.client import Client, KeyRefused
from agent.upstreams.wire import quoted


async def diagnose(make_client: Callable[[], Client], device_id: str) -> Sequence[Check]:
    """Ask for the account's devices. Raises: what `make_client` raises."""
    client = make_client()
    try:
        found = await client.vouch()
    except KeyRefused as error:
        return [Check(False, f"{client.host} refuses the API key: {error}", "Make a key there and set api_key.")]
    except UpstreamDown as error:
        return [Check(False, str(error), "Check base_url, the network of this box, and its clock.")]
    finally:
        await client.close()
    checks = [Check(True, f"{client.host} answers and takes the API key.")]
    device = rows.own_device(found, device_id)
    if device is None:
        listed = ", ".join(f'"{quoted(other)}"' for other in rows.device_ids(found)[:5])
        more = f", or set device_id to one of {listed}" if listed else ""
        remedy = (
            f"The daemon asks for one when it starts; where that is refused, add a device with this ID there{more}."
        )
        return [*checks, Check(False, f'The account has no device "{device_id}".', remedy)]
    if not device.is_active:
        return [*checks, Check(False, f'The device "{device_id}" is switched off there.', "Activate it there.")]
    return [*checks, Check(True, f'The device "{device_id}" is active there.')]
