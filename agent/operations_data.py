"""What the control socket offers about the data as a whole: a copy of the journal, handed over in chunks.

The copy goes to whoever asked over the socket, so that it is theirs, wherever they want it: the service itself may
write to its state_dir only.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from pathlib import Path

from agent.gateway import Gateway
from agent.journal import copying
from agent.request import Answer, Fields, Operation, Tell

_CHUNK_OCTETS = 192 << 10


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


OPERATIONS: dict[str, Operation] = {"backup": _backup}
