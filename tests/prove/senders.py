"""Applications that send at once, by a client of few instructions: it is the server that is measured."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Sent:
    """What came of a run: message id → text of what was accepted, seconds of each answer, and what went wrong."""

    accepted: dict[int, str] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.took_s)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def add(self, other: Sent) -> None:
        self.accepted |= other.accepted
        self.took_s += other.took_s
        self.errors += other.errors


async def send(port: int, key: str, senders: int, seconds: float, name: str) -> Sent:
    """`senders` connections, each with one `POST /api/sms` after the other for `seconds`. Texts begin with `name`."""
    outcome = Sent()
    ends = time.monotonic() + seconds
    await asyncio.gather(*(_sender(port, key, f"{name} {number}", ends, outcome) for number in range(senders)))
    return outcome


async def _sender(port: int, key: str, name: str, ends: float, outcome: Sent) -> None:
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /api/sms HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        number = 0
        while (began := time.monotonic()) < ends:
            text = f"{name} {number}"
            body = json.dumps({"message": text, "recipient_number": f"+49171{hash(text) % 10_000_000:07d}"})
            writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            status, answer = await _answer(reader)
            outcome.took_s.append(time.monotonic() - began)
            if status == 201:
                outcome.accepted[json.loads(answer)["data"]["id"]] = text
            else:
                outcome.errors.append(f"{status}: {answer[:200]!r}")
            number += 1
    except (OSError, EOFError, ValueError) as error:
        outcome.errors.append(f"{name}: {error!r}")
    finally:
        if writer is not None:
            writer.close()
            await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:"))
    return int(lines[0].split()[1]), await reader.readexactly(length)
