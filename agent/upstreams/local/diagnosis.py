"""A look at the local server for `doctor`: does it answer, or could it begin to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agent.upstreams.api import Check

_ASK_S = 5.0


async def diagnose(host: str, port: int) -> Sequence[Check]:
    """Ask /healthz where it would listen."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    writer = None
    try:
        async with asyncio.timeout(_ASK_S):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.read(4096)
    except TimeoutError:
        return [Check(False, f"What listens on {where} does not answer.", "See: journalctl -u phonebridge")]
    except OSError:
        return [Check(True, f"Nothing listens on {where}; the local server starts with the daemon.")]
    finally:
        if writer is not None:
            writer.close()
    if b'"status"' in answer and answer.startswith(b"HTTP/1.1 200"):
        return [Check(True, f"The local server answers on {where}.")]
    if b'"status"' in answer:
        return [Check(False, f"The local server on {where} says that its journal fails.", "journalctl -u phonebridge")]
    return [
        Check(
            False,
            f"Another program listens on {where}.",
            "Stop it, or set another bind for the local server.",
        )
    ]
