"""The RFC 2217 link against pyserial's own server side, on the simulated modem."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import serial
import serial.rfc2217

from drivers.api import PortAbsent, SessionLost
from drivers.simulator.process import SimulatorProcess
from tests.at.harness import Harness

pytestmark = [
    pytest.mark.usefixtures("no_leaked_tasks"),
    # pyserial starts its reader by deprecated calls.
    pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning", "ignore:setName:DeprecationWarning"),
]


class PtySerial(serial.Serial):  # type: ignore[misc]
    """A pty has no modem lines, which the server side insists on."""

    cts = dsr = cd = True
    ri = False

    def _update_dtr_state(self) -> None: ...

    def _update_rts_state(self) -> None: ...


class Server:
    """One client at a time, in threads, as a small serial server does it."""

    def __init__(self, port: str) -> None:
        self._serial = PtySerial(port, timeout=0.05)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.number = self._listener.getsockname()[1]
        self.client: socket.socket | None = None
        self._is_over = False
        self._threads: list[threading.Thread] = []
        self._start(self._serve)

    def write(self, data: bytes) -> None:
        """What the port manager wants to say to the client."""
        if self.client is not None:
            self.client.sendall(data)

    def close(self) -> None:
        """End the client's connection, then everything else; a second time does nothing."""
        self._is_over = True
        if self.client is not None:
            with suppress(OSError):
                self.client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(2)
        self._listener.close()
        self._serial.close()

    def _start(self, target: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=target, daemon=True))
        self._threads[-1].start()

    def _serve(self) -> None:
        self.client, _ = self._listener.accept()
        manager = serial.rfc2217.PortManager(self._serial, self)
        self._start(lambda: self._from_modem(manager))
        with self.client, suppress(OSError):
            while data := self.client.recv(1024):
                self._serial.write(b"".join(manager.filter(data)))

    def _from_modem(self, manager: serial.rfc2217.PortManager) -> None:
        with suppress(OSError):
            while not self._is_over:
                if data := self._serial.read(self._serial.in_waiting or 1):
                    self.write(b"".join(manager.escape(data)))


@pytest.fixture
def server(simulator: Callable[..., SimulatorProcess]) -> Iterator[Server]:
    server = Server(str(simulator().ports[0]))
    yield server
    server.close()


async def test_a_modem_behind_a_serial_server_works(server: Server, harness: Callable[..., Harness]) -> None:
    route = harness(f"rfc2217://127.0.0.1:{server.number}")
    await route.open()
    assert (await route.send()).tp_mr is not None
    server.close()
    assert isinstance(await route.lost(), SessionLost)


async def test_an_absent_serial_server_is_told(harness: Callable[..., Harness]) -> None:
    with pytest.raises(PortAbsent):
        await harness("rfc2217://127.0.0.1:1").open()
