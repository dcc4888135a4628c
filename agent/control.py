"""The daemon's side of the control socket: who listens where, and one conversation per client.

What the operations do is in `operations`; whoever may open the socket may do all of them. Lines are those of
`endpoint`.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import json
import os
import socket
from pathlib import Path
from typing import Any

import structlog

from agent import endpoint
from agent.endpoint import GROUP, LONGEST_LINE_OCTETS, Refusal
from agent.gateway import Gateway
from agent.journal.schema import JournalError
from agent.operations import OPERATIONS
from agent.request import Fields, Refused
from agent.settings import Config
from drivers.api import DriverError

_log = structlog.get_logger("control")

_SOCKET_MODE = 0o660
_BACKLOG = 16
_PROBE_S = 1.0
# sun_path of unix(7), less its closing zero.
_LONGEST_PATH_OCTETS = 107
# A client that does not read its answer; a terminal that is suspended must not hold memory here.
_PATIENCE_S = 30.0


class SocketBusy(OSError):
    """Another daemon answers where this one wants to listen. `str()` is one sentence."""


class ControlServer:
    """One per daemon. `run` until cancelled."""

    def __init__(self, gateway: Gateway, config: Config) -> None:
        self._gateway = gateway
        self._state_dir = config.agent.state_dir
        self.path: Path | None = None

    async def run(self) -> None:
        """Listen and serve. Raises: SocketBusy, OSError when no place to listen is left."""
        loop = asyncio.get_running_loop()
        listener, path = await loop.run_in_executor(None, _listen, self._state_dir)
        self.path = path
        inode = path.stat().st_ino
        _log.info("control_socket", path=str(path))
        try:
            async with asyncio.TaskGroup() as conversations:
                while True:
                    connection, _ = await loop.sock_accept(listener)
                    conversations.create_task(self._talk(connection), name="control client")
        finally:
            self.path = None
            listener.close()
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()

    async def _talk(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=LONGEST_LINE_OCTETS)
        client = _Client(reader, writer)
        try:
            while (line := await client.next_line()) is not None:
                await self._serve(line, client)
        except (OSError, TimeoutError, ValueError):
            # Gone, too slow, or a line above the limit: this conversation is over.
            pass
        finally:
            await client.close()

    async def _serve(self, line: bytes, client: _Client) -> None:
        try:
            result = await self._answer(line, client)
        except Refused as refused:
            await client.write({"ok": False, "kind": refused.kind, "error": str(refused)})
        else:
            await client.write({"ok": True, "result": result})

    async def _answer(self, line: bytes, client: _Client) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Refused(f"the request is not JSON: {error}", Refusal.USAGE) from error
        if not isinstance(request, dict):
            raise Refused("the request is not a JSON object", Refusal.USAGE)
        meant = request.pop("state_dir", None)
        if meant is not None and meant != str(self._state_dir):
            raise Refused(f"this daemon keeps its state in {self._state_dir}, not in {meant}", Refusal.ELSEWHERE)
        name = request.pop("op", None)
        operation = OPERATIONS.get(name) if isinstance(name, str) else None
        if operation is None:
            raise Refused(f"there is no operation {name!r}; known are {', '.join(OPERATIONS)}", Refusal.USAGE)
        try:
            return await client.while_connected(operation(self._gateway, Fields(request), client.step))
        except (DriverError, JournalError) as error:
            raise Refused(str(error)) from error


class _Client:
    """One connection. Reads ahead while an operation runs, so that a client that leaves ends it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ahead: asyncio.Task[bytes] | None = None

    async def next_line(self) -> bytes | None:
        """The next request; None when the client is gone. Raises: ValueError for a line above the limit."""
        self._ahead = self._ahead or asyncio.create_task(self._reader.readline(), name="control read")
        line = await self._ahead
        self._ahead = None
        return line or None

    async def while_connected(self, work: Any) -> dict[str, Any]:
        """The result of `work`, cancelled when the client leaves first. Raises: ConnectionError then."""
        working: asyncio.Task[dict[str, Any]] = asyncio.create_task(work, name="control operation")
        self._ahead = asyncio.create_task(self._reader.readline(), name="control read")
        try:
            await asyncio.wait((working, self._ahead), return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and not self._has_more():
                raise ConnectionResetError("the client left")
            return await working
        finally:
            working.cancel()
            await asyncio.wait((working,))

    async def step(self, fields: dict[str, Any]) -> None:
        await self.write({"step": fields})

    async def write(self, message: dict[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")
        async with asyncio.timeout(_PATIENCE_S):
            await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.wait((self._ahead,))
            if not self._ahead.cancelled():
                self._ahead.exception()  # seen: the conversation is over anyway

    def _has_more(self) -> bool:
        ahead = self._ahead
        return ahead is not None and ahead.done() and ahead.exception() is None and bool(ahead.result())


# --- the socket -------------------------------------------------------------------------------------


def _listen(state_dir: Path) -> tuple[socket.socket, Path]:
    """A listening socket in the first directory that this user may write. Raises: SocketBusy, OSError."""
    last: OSError | None = None
    for path in endpoint.sockets(state_dir):
        if not os.access(path.parent, os.W_OK | os.X_OK):
            continue
        try:
            return _bind(path), path
        except OSError as error:
            # A second daemon of this box, e.g. the demo beside the service, listens in its own state_dir.
            last = error
    raise last or OSError(f"{state_dir} cannot be written, so there is no control socket; mend its owner or mode")


def _bind(path: Path) -> socket.socket:
    if _is_answered(path):
        raise SocketBusy(f"another phonebridge is running and listens on {path}; stop it first")
    # Made under another name and renamed: nobody can connect before mode and group are right, and a stale
    # socket is replaced in one step.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    if len(os.fsencode(fresh)) > _LONGEST_PATH_OCTETS:
        raise OSError(f"{path} is too long for a socket; choose a shorter agent.state_dir")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        # The umask belongs to the whole process, so it is left alone: the directory keeps strangers out until
        # the mode is set, and nobody listens before.
        listener.bind(str(fresh))
        fresh.chmod(_SOCKET_MODE)
        _give_to_group(fresh)
        listener.listen(_BACKLOG)
        fresh.rename(path)
    except OSError:
        listener.close()
        fresh.unlink(missing_ok=True)
        raise
    return listener


def _is_answered(path: Path) -> bool:
    if not path.exists():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            # A full backlog or another user's socket: somebody is there.
            return True
    return True


def _give_to_group(path: Path) -> None:
    """To the group `phonebridge` where it exists and this process may; else the daemon's own group keeps it."""
    try:
        group = grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return
    if path.stat().st_gid == group:
        return
    try:
        os.chown(path, -1, group)
    except PermissionError:
        _log.debug("control_group", path=str(path), hint=f"this user is not in group {GROUP}")
