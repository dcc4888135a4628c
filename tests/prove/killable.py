"""`phonebridge run` that kills itself (SIGKILL) at a named point: `python -m tests.prove.killable CONFIG [POINT:N]`.

The points are put in from outside, at the seams where bytes leave or arrive; the program itself knows none of them.
POINT:N kills at the Nth time that POINT is reached.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.orphans import end_with_parent

POINTS = {
    "before_commit": "just before a transaction is committed",
    "after_commit": "just after a transaction is committed",
    "before_cmgs": "AT+CMGS is about to be written",
    "before_pdu": "the prompt is there, nothing of the PDU is written",
    "first_pdu_byte": "the first octet of a PDU is written",
    "before_ctrl_z": "the PDU is written, Ctrl-Z is not",
    "after_ctrl_z": "PDU and Ctrl-Z are written",
    "at_cmgs_answer": "+CMGS has arrived and is not yet looked at",
    "before_cmgd": "AT+CMGD is about to be written",
    "after_cmgd": "AT+CMGD is written",
    "before_read": "AT+CMGR is about to be written",
    "before_pull": "the pending list is about to be asked for",
    "after_pull": "the pending list has arrived and is not yet looked at",
    "before_report": "a status is about to be told to the server",
    "after_report": "the server has answered a status, and that is not yet written down",
}


class _Trap:
    def __init__(self, point: str, count: int) -> None:
        self.point, self.left = point, count

    def reach(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class _KillableConnection(sqlite3.Connection):
    trap: _Trap

    def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
        if statement != "COMMIT":
            return super().execute(statement, *args)
        # A transaction without a change writes nothing, so it is no point of interest.
        is_real = self.total_changes != getattr(self, "_seen", 0)
        self._seen = self.total_changes
        if is_real:
            self.trap.reach("before_commit")
        cursor = super().execute(statement, *args)
        if is_real:
            self.trap.reach("after_commit")
        return cursor


def _set_journal(trap: _Trap) -> None:
    from agent.journal import schema

    _KillableConnection.trap = trap
    schema.sqlite3.connect = functools.partial(sqlite3.connect, factory=_KillableConnection)  # type: ignore[assignment]


def _set_link(trap: _Trap) -> None:
    from drivers.at import channel, link

    write = link._TtyTransport.write
    receive = channel.Channel.data_received

    def killable_write(self: Any, data: bytes) -> None:
        if data.startswith(b"AT+CMGS="):
            trap.reach("before_cmgs")
        if data.endswith(b"\x1a"):
            trap.reach("before_pdu")
            if trap.point == "first_pdu_byte":
                write(self, data[:1])
                trap.reach("first_pdu_byte")
                data = data[1:]
            elif trap.point == "before_ctrl_z":
                write(self, data[:-1])
                trap.reach("before_ctrl_z")
                data = data[-1:]
            write(self, data)
            trap.reach("after_ctrl_z")
            return
        for command, point in ((b"AT+CMGD=", "cmgd"), (b"AT+CMGR=", "read")):
            if data.startswith(command):
                trap.reach(f"before_{point}")
                write(self, data)
                trap.reach(f"after_{point}")
                return
        write(self, data)

    def killable_receive(self: Any, data: bytes) -> None:
        if b"+CMGS:" in data:
            trap.reach("at_cmgs_answer")
        receive(self, data)

    link._TtyTransport.write = killable_write  # type: ignore[method-assign]
    channel.Channel.data_received = killable_receive  # type: ignore[method-assign]


def _set_server(trap: _Trap) -> None:
    import httpx

    send = httpx.AsyncClient.send

    async def killable_send(self: httpx.AsyncClient, request: httpx.Request, **keys: Any) -> httpx.Response:
        is_pull = request.method == "GET" and request.url.path.endswith("/sms")
        kind = "pull" if is_pull else "report" if request.method == "PUT" else ""
        if kind:
            trap.reach(f"before_{kind}")
        response = await send(self, request, **keys)
        if kind:
            trap.reach(f"after_{kind}")
        return response

    httpx.AsyncClient.send = killable_send  # type: ignore[method-assign]


def main() -> None:
    """Set the trap and run the daemon as `phonebridge run` does."""
    end_with_parent()
    path, *rest = sys.argv[1:]
    if rest:
        point, _, count = rest[0].partition(":")
        if point not in POINTS:
            sys.exit(f"there is no point {point}; known are {', '.join(POINTS)}")
        trap = _Trap(point, int(count or 1))
        setters: tuple[Callable[[_Trap], None], ...] = (_set_journal, _set_link, _set_server)
        for setter in setters:
            setter(trap)
    from agent import config, daemon, logs

    loaded = config.load(Path(path))
    logs.set_up(loaded.agent.log_level, loaded.agent.log_format)
    asyncio.run(_run(daemon.run(loaded, Path(path))))


async def _run(work: Coroutine[Any, Any, None]) -> None:
    """SIGUSR1 shows where every task stands, for whoever finds the daemon standing still."""

    def show() -> None:
        for task in asyncio.all_tasks():
            task.print_stack(file=sys.stderr)
        sys.stderr.flush()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, show)
    await work


if __name__ == "__main__":
    main()
