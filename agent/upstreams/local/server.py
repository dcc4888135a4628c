"""HTTP on uvicorn inside a loop that belongs to somebody else: own socket, no signal handlers, no tick."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Any

from agent.upstreams.api import UpstreamDown
from agent.upstreams.local import uvicorn_parts

_BACKLOG = 2048
# Applications keep a connection for their next message; nginx's default.
_KEEP_ALIVE_S = 75
_GRACE_S = 2
_STOP_TIMEOUT_S = 4.0
# A request line with the longest sensible query, and headers.
_HEAD_BYTES = 32 * 1024


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises: UpstreamDown with the next step."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio sets TCP_NODELAY only where the protocol is named; without it an answer waits 40 ms for an ACK.
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UpstreamDown(f'bind = "{host}:{port}" is no address of this machine: {error.strerror}') from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Here, so that a port which another program listens on is found out now.
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise UpstreamDown(
            f"port {port} of {host} cannot be used ({error.strerror}); stop what uses it or set another bind"
        ) from error
    return listener


class Server:
    """One life of the server on a listening socket. From `proxies`, addresses or networks, X-Forwarded-For and
    X-Forwarded-Proto are believed; from all others they are ignored."""

    def __init__(self, app: Any, listener: socket.socket, proxies: Sequence[str]) -> None:
        self._listener = listener
        self._config = uvicorn_parts.Config(
            app,
            http="h11",
            ws="none",
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            date_header=False,
            server_header=False,
            proxy_headers=bool(proxies),
            # Given always: the default is an environment variable.
            forwarded_allow_ips=list(proxies),
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=_HEAD_BYTES,
        )
        self._server = uvicorn_parts.Server(self._config)

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    async def run(self, stopping: Callable[[], None]) -> None:
        """Serve until cancelled; then call `stopping`, and let requests under way end for a moment."""
        self._config.load()
        # serve() would set this, but also take the process's signals and tick ten times a second.
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[self._listener])
        try:
            await asyncio.Event().wait()
        finally:
            stopping()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await self._server.shutdown(sockets=[self._listener])
