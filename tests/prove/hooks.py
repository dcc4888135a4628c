"""`make prove WHAT=hooks`: a receiver that is down for an hour of a simulated clock gets everything, in order, signed.

Queue, journal on disk and HTTP are real; only the gateway's clock runs ahead.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from agent.clock import Clock
from agent.hook_call import signature
from agent.hooks import Call, Hooks
from agent.journal import accounts
from agent.journal.store import Journal
from tests.prove.measured import Figures
from tests.upstreams.local.conftest import Receiver

MESSAGES, EVENTS = 200, 3
_HOUR_MS = 3_600_000
_STEP_MS = 60_000
_LONGEST_S = 120


class _Ahead(Clock):
    ahead_ms = 0

    def utc_ms(self) -> int:
        return super().utc_ms() + self.ahead_ms


async def prove(directory: Path) -> Figures:
    figures = Figures("Webhooks: the receiver is away for an hour")
    clock, journal, receiver = _Ahead("trusted"), Journal(directory / "journal.db"), Receiver()
    await receiver.server.open()
    url = receiver.url("/status")
    await receiver.server.close()
    await journal.start(clock.utc_ms())
    await journal.write(lambda con: accounts.ensure_owner(con, "owner", "owner@localhost", 0))
    hooks = Hooks(journal, clock)
    task = asyncio.create_task(hooks.run())
    calls = [
        Call(f"{lane}:{event}", lane, 1, url, f'{{"lane": {lane}, "n": {event}}}')
        for event in range(EVENTS)
        for lane in range(1, MESSAGES + 1)
    ]
    try:
        began_ms, put_in = clock.ahead_ms, 0
        while clock.ahead_ms - began_ms < _HOUR_MS:
            share = len(calls) * (clock.ahead_ms - began_ms + _STEP_MS) // _HOUR_MS
            await hooks.add(calls[put_in:share])
            put_in = share
            await asyncio.sleep(0.05)
            clock.ahead_ms += _STEP_MS
            hooks.wake()
        figures.state("calls put in while it was away", put_in)
        figures.expect("taken while it was away", len(receiver.got), not receiver.got)
        await receiver.server.open()
        back_ms = clock.ahead_ms
        async with asyncio.timeout(_LONGEST_S):
            while len(receiver.got) < len(calls):
                clock.ahead_ms += _STEP_MS
                hooks.wake()
                await asyncio.sleep(0.05)
        figures.state("by the clock until it had all", f"{(clock.ahead_ms - back_ms) / 60_000:.0f} min")
        secret = await hooks.secret(1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.close()
        await receiver.close()
    events: dict[int, list[int]] = {}
    for _, body in receiver.got:
        events.setdefault(body["lane"], []).append(body["n"])
    figures.expect("events that arrived", len(receiver.got), len(receiver.got) == len(calls))
    in_order = sum(found == list(range(EVENTS)) for found in events.values())
    figures.expect("messages whose events came in order, once", in_order, in_order == MESSAGES)
    signed = sum(
        headers["x-phonebridge-signature"] == signature(secret, int(headers["x-phonebridge-timestamp"]), raw)
        for headers, raw in zip(receiver.headers, receiver.raw, strict=True)
    )
    figures.expect("signatures that verify", signed, signed == len(calls))
    return figures


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="pb-") as directory:
        figures = asyncio.run(prove(Path(directory)))
    print("met" if figures.is_met else "MISSED")
    return 0 if figures.is_met else 1


if __name__ == "__main__":
    sys.exit(main())
