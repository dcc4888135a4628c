"""Events to devices: nothing stored, small buffers, headers with the first chunk, and a deadline for each stream."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

_BUFFER = 8


@dataclass
class Knobs:
    """What a test turns. `is_silent`: streams stay open and say nothing; 0 means no keep-alive."""

    keepalive_s: float = 15.0
    deadline_s: float = 1800.0
    is_silent: bool = False


@dataclass(eq=False)
class Stream:
    device_id: str
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(_BUFFER))


class Streams:
    def __init__(self) -> None:
        self.knobs = Knobs()
        self.open: set[Stream] = set()
        self.opened = 0

    def emit(self, device: dict[str, Any], event: str, data: Any) -> None:
        # A push token that is not NULL, even an empty one, takes the events away from the stream.
        if device["pushToken"] is not None:
            return
        chunk = f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
        for stream in self.open:
            if stream.device_id == device["id"] and not stream.queue.full():
                stream.queue.put_nowait(chunk)

    def cut(self) -> int:
        """End all streams without a goodbye; returns how many."""
        count = len(self.open)
        for stream in list(self.open):
            while stream.queue.full():
                stream.queue.get_nowait()
            stream.queue.put_nowait(None)
        return count

    async def serve(self, device_id: str, send: Any) -> None:
        """Subscribed at once; status and headers leave with the first chunk."""
        stream = Stream(device_id)
        self.open.add(stream)
        self.opened += 1
        has_begun, until = False, time.monotonic() + self.knobs.deadline_s
        try:
            while (left := until - time.monotonic()) > 0:
                wait_s = min(left, self.knobs.keepalive_s or left)
                try:
                    async with asyncio.timeout(wait_s):
                        chunk = await stream.queue.get()
                except TimeoutError:
                    if time.monotonic() >= until:
                        return
                    chunk = b":keepalive\n\n"
                if chunk is None:
                    return
                if self.knobs.is_silent:
                    continue
                if not has_begun:
                    has_begun = True
                    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
                    await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            self.open.discard(stream)
