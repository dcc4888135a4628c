"""What the control socket offers about the data as a whole: a copy of the journal, handed over in chunks.

The copy goes to whoever asked over the socket, so that it is theirs, wherever they want it: the service itself may
write to its state_dir only.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from functools import partial
from pathlib import Path

from agent.answers import event_fields, message_fields
from agent.clock import parse_iso_utc
from agent.endpoint import Refusal
from agent.gateway import Gateway
from agent.journal import copying, exporting
from agent.journal.exporting import Wanted
from agent.request import Answer, Fields, Operation, Refused, Tell

_CHUNK_OCTETS = 192 << 10
_ROWS_AT_ONCE = 200
EXPORTS = ("messages", "inbox", "events")


async def _backup(gateway: Gateway, _: Fields, tell: Tell) -> Answer:
    """Steps {"done", "total"} in pages, then {"data"} in base64; the answer has the digest of all octets."""
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()
    given_up = threading.Event()
    source = gateway.journal.path
    target = await asyncio.to_thread(copying.fresh_path, source)

    def run() -> None:
        def progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(told.put_nowait, (done, total))

        try:
            copying.copy(source, target, progress, lambda: not given_up.is_set())
        finally:
            loop.call_soon_threadsafe(told.put_nowait, None)

    copied = asyncio.create_task(asyncio.to_thread(run), name="backup")
    try:
        while (step := await told.get()) is not None:
            if told.empty():
                await tell({"done": step[0], "total": step[1]})
        await copied
        return await _hand_over(target, tell)
    finally:
        given_up.set()
        await asyncio.wait((copied,))
        target.unlink(missing_ok=True)


async def _hand_over(path: Path, tell: Tell) -> Answer:
    digest, octets = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_OCTETS):
            digest.update(chunk)
            octets += len(chunk)
            await tell({"data": base64.b64encode(chunk).decode()})
    return {"octets": octets, "sha256": digest.hexdigest()}


async def _export(gateway: Gateway, fields: Fields, tell: Tell) -> Answer:
    """Steps {"rows"} oldest first; the answer says how many."""
    kind = fields.text("kind")
    if kind not in EXPORTS:
        raise Refused(f"kind is {', '.join(EXPORTS)}, not {kind}", Refusal.USAGE)
    wanted = Wanted(
        direction="inbound" if kind == "inbox" else None,
        from_ms=_instant(fields, "from"),
        to_ms=_instant(fields, "to"),
        route=fields.optional_text("route"),
    )
    after, count = 0, 0
    while True:
        listed, last = await _rows(gateway, kind, wanted, after)
        if listed:
            await tell({"rows": listed})
        if last is None:
            return {"rows": count}
        after, count = last, count + len(listed)


async def _rows(gateway: Gateway, kind: str, wanted: Wanted, after: int) -> tuple[list[Answer], int | None]:
    if kind == "events":
        read = partial(exporting.events, wanted=wanted, after=after, count=_ROWS_AT_ONCE)
        events, last = await gateway.journal.read(read)
        return [{**event_fields(event), "message_id": event.message_id} for event in events], last
    look = partial(exporting.messages, wanted=wanted, after=after, count=_ROWS_AT_ONCE)
    messages, last = await gateway.journal.read(look)
    return [message_fields(message) for message in messages], last


def _instant(fields: Fields, key: str) -> int | None:
    text = fields.optional_text(key)
    found = None if text is None else parse_iso_utc(text)
    if text is not None and found is None:
        raise Refused(
            f'{key} is a date or time such as 2026-11-25 or 2026-11-25T08:00+01:00, not "{text}"', Refusal.USAGE
        )
    return found


OPERATIONS: dict[str, Operation] = {"backup": _backup, "export": _export}
