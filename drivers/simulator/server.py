"""The control socket: one JSON object per line each way, on a Unix socket."""

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from drivers.simulator.modem import Modem
from drivers.simulator.operations import Json, perform

_MAX_REQUEST_OCTETS = 1 << 20
_STOP_S = 1.0


class ControlServer:
    """Serves requests until the program ends; `on_quit` is called for the operation `quit`."""

    def __init__(self, modems: Sequence[Modem], on_quit: Callable[[], None]) -> None:
        self._modems = modems
        self._on_quit = on_quit
        self._path: Path | None = None
        self._server: asyncio.Server | None = None
        self._served: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def start(self, path: Path) -> None:
        """Listens at `path`; a socket file left by an earlier run is replaced."""
        self._path = path
        self._server = await asyncio.start_unix_server(
            self._serve, sock=_listening_socket(path), limit=_MAX_REQUEST_OCTETS
        )

    async def stop(self) -> None:
        """Closes the connections and removes the socket; returns when nobody is served any more."""
        if self._server is None or self._path is None:
            return
        self._server.close()
        served = tuple(self._served.values())
        for writer in tuple(self._served):
            writer.close()
        if served:
            await asyncio.wait(served, timeout=_STOP_S)
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._served[writer] = task
        try:
            while line := await reader.readline():
                answer, is_quit = self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
                if is_quit:
                    self._on_quit()
        except (ConnectionError, ValueError):  # the client went away, or sent more than a request may have
            pass
        finally:
            self._served.pop(writer, None)
            writer.close()

    def _answer(self, line: bytes) -> tuple[Json, bool]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                return {"ok": False, "error": "a request is a JSON object"}, False
            if request.get("op") == "quit":
                return {"ok": True}, True
            return {"ok": True, **perform(self._modems, request)}, False
        except KeyError as error:
            return {"ok": False, "error": f"the request lacks {error}"}, False
        except (ValueError, TypeError, AttributeError) as error:
            return {"ok": False, "error": str(error)}, False


def _listening_socket(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    return listener
