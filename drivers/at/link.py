"""Opens a line to a modem: a tty, `socket://host:port` or `rfc2217://host:port`. The only importer of pyserial.

Moves bytes and knows nothing of AT. A link is opened in a thread of its own, since opens can hang and would otherwise
hold up DNS and each other; it is ended by `abort()` only, since a graceful close waits for unsent data for ever.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import queue
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import serial
import serial_asyncio_fast

from drivers.api import NoAnswer, OpenError, PersonNeeded, PortAbsent, PortBusy
from drivers.at import ports

if TYPE_CHECKING:
    from drivers.at.channel import Transport

T = TypeVar("T")

OPEN_TTY_S = 10.0
"""A USB driver that is being unplugged can hold an open for seconds."""
OPEN_NETWORK_S = 15.0

_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
_USER_TIMEOUT_MS = 60_000
_DTR_S = 0.5
_PTY_MAJORS = range(136, 144)
"""Unix98 pseudo terminals (Linux, Documentation/admin-guide/devices.txt)."""

_ABSENT = {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO, errno.ENOTDIR}
_BUSY = {errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK}
_FORBIDDEN = {errno.EACCES, errno.EPERM}


async def connect(
    protocol: asyncio.Protocol, port: str, *, baud_rate: int, rtscts: bool, roots: ports.Roots
) -> Transport:
    """Open the port and tie the protocol to it. Input that was waiting in the tty is kept.

    Raises: OpenError; nothing stays open then.
    """
    if port.startswith("socket://"):
        return await _connect_socket(protocol, port)
    is_network = ports.is_network(port)
    opener = _open_rfc2217 if is_network else _open_tty
    try:
        async with asyncio.timeout(OPEN_NETWORK_S if is_network else OPEN_TTY_S):
            device = await _in_thread(lambda: opener(port, baud_rate, rtscts), _discard)
    except TimeoutError:
        raise PortAbsent(f"{_shown(port)} could not be opened in time; unplug the modem and plug it in.") from None
    except (OSError, ValueError, termios.error) as error:
        # /proc may be slow to read on a busy host, so that is done beside the loop too.
        raise await _in_thread(partial(_open_error, error, port, roots), _ignore) from error
    if is_network:
        return _ThreadedTransport(device, protocol)
    transport, _ = await serial_asyncio_fast.connection_for_serial(
        asyncio.get_running_loop(), lambda: _Relay(protocol), device
    )
    tty = _TtyTransport(transport, device)
    protocol.connection_made(tty)  # type: ignore[arg-type]
    return tty


async def toggle_dtr(port: str) -> None:
    """Open a tty, drop DTR for a moment, close it: what the cable's end looks like to a modem.

    Raises: OSError; TimeoutError.
    """
    async with asyncio.timeout(OPEN_TTY_S):
        await _in_thread(lambda: _drop_dtr(port), _ignore)


class _Relay(asyncio.Protocol):
    """Passes on all but the transport, of which the protocol gets ours."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.data_received = protocol.data_received  # type: ignore[method-assign]
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]


class _TtyTransport:
    """A tty; aborting drops unsent octets, so that the close in another thread does not wait for them."""

    def __init__(self, transport: Any, device: Any) -> None:
        self._transport = transport
        self._device = device

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def abort(self) -> None:
        if self._transport.is_closing():
            return
        # Where the device is gone, its buffer is too.
        with suppress(OSError, termios.error):
            termios.tcflush(self._device.fileno(), termios.TCOFLUSH)
        self._transport.abort()


class _ThreadedTransport:
    """A blocking pyserial port with one thread per direction; the loop never waits for either."""

    def __init__(self, device: Any, protocol: asyncio.Protocol) -> None:
        self._device = device
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._unsent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._is_over = False
        protocol.connection_made(self)  # type: ignore[arg-type]
        for target, name in ((self._read, "rfc2217-read"), (self._send, "rfc2217-write")):
            threading.Thread(target=target, name=name, daemon=True).start()

    def write(self, data: bytes) -> None:
        self._unsent.put(data)

    def abort(self) -> None:
        self._end(None)

    def _read(self) -> None:
        try:
            while data := self._device.read(1):
                self._tell(self._protocol.data_received, data + self._device.read(self._device.in_waiting))
            self._tell(self._end, None)
        except (OSError, AttributeError, TypeError) as error:
            # The port raises the latter two where it is closed between its own checks.
            self._tell(self._end, error)

    def _send(self) -> None:
        try:
            while (data := self._unsent.get()) is not None:
                self._device.write(data)
        except (OSError, AttributeError) as error:
            self._tell(self._end, error)

    def _tell(self, call: Callable[[Any], None], argument: object) -> None:
        # A closed loop raises this: nobody is left to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, argument)

    def _end(self, error: Exception | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._unsent.put(None)
        threading.Thread(target=_discard, args=(self._device,), daemon=True).start()
        self._protocol.connection_lost(error)


def _open_tty(port: str, baud_rate: int, rtscts: bool) -> Any:
    device = serial.Serial(timeout=0, write_timeout=0, exclusive=True)
    device.port = port
    device.baudrate = baud_rate
    device.rtscts = rtscts
    # pyserial discards waiting input when it opens, and with it the late answer to a submit of a killed process.
    device._reset_input_buffer = _ignore_nothing
    device.open()
    try:
        descriptor = device.fileno()
        attributes = termios.tcgetattr(descriptor)
        # With HUPCL a crash would drop DTR, on which some modems hang up or reset.
        attributes[2] &= ~termios.HUPCL
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
        # A pty whose other side stays open would remain exclusive after we were killed.
        if os.major(os.fstat(descriptor).st_rdev) not in _PTY_MAJORS:
            fcntl.ioctl(descriptor, termios.TIOCEXCL)
    except (OSError, termios.error):
        device.close()
        raise
    return device


def _drop_dtr(port: str) -> None:
    if ports.is_network(port):
        return
    device = _open_tty(port, 115200, False)
    try:
        # A pty has no such lines.
        with suppress(OSError, termios.error):
            device.dtr = False
            time.sleep(_DTR_S)
            device.dtr = True
        with suppress(OSError, termios.error):
            termios.tcflush(device.fileno(), termios.TCIOFLUSH)
    finally:
        device.close()


def _open_rfc2217(port: str, baud_rate: int, rtscts: bool) -> Any:
    device = serial.serial_for_url(port, do_not_open=True, timeout=None)
    device.baudrate = baud_rate
    device.rtscts = rtscts
    device.open()
    return device


async def _connect_socket(protocol: asyncio.Protocol, port: str) -> Transport:
    loop = asyncio.get_running_loop()
    try:
        address = urlsplit(port)
        host, number = address.hostname, address.port
    except ValueError:
        host = number = None
    if not host or not number:
        raise PersonNeeded(f"{_shown(port)} is no address; write socket://HOST:PORT.")
    try:
        async with asyncio.timeout(OPEN_NETWORK_S):
            found = await _in_thread(lambda: socket.getaddrinfo(host, number, type=socket.SOCK_STREAM), _ignore)
            transport, _ = await loop.create_connection(lambda: protocol, str(found[0][4][0]), number)
    except TimeoutError:
        raise PortAbsent(f"{host}:{number} does not answer; is the modem's server running?") from None
    except OSError as error:
        raise PortAbsent(f"{host}:{number} cannot be reached ({error.strerror or error}).") from error
    line = transport.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (*_KEEPALIVE, (socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)):
        line.setsockopt(socket.IPPROTO_TCP, option, value)
    return transport


async def _in_thread(call: Callable[[], T], discard: Callable[[T], None]) -> T:
    """Run a blocking call in a thread of its own; a result that nobody waits for any more is discarded."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: Exception | None) -> None:
        if future.done():
            if error is None:
                threading.Thread(target=discard, args=(result,), daemon=True).start()
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result = None
        # What is not foreseen below ends the thread with its traceback; whoever waits must not wait for ever.
        error: Exception | None = OSError("unforeseen error")
        try:
            result = call()
            error = None
        except (OSError, ValueError, NotImplementedError, termios.error, struct.error) as caught:
            error = caught
        finally:
            try:
                loop.call_soon_threadsafe(deliver, result, error)
            except RuntimeError:
                # The loop is closed: nobody waits any more.
                if result is not None:
                    discard(result)

    threading.Thread(target=run, name="open-link", daemon=True).start()
    return await future


def _open_error(error: Exception, port: str, roots: ports.Roots) -> OpenError:  # noqa: PLR0911 - a table in code
    code = _errno(error)
    shown = _shown(port)
    if ports.is_network(port):
        return PortAbsent(f"{shown} cannot be opened ({error}).")
    if code in _ABSENT:
        return PortAbsent(f"{shown} does not exist; plug the modem in, or see `phonebridge doctor` for its name.")
    if code in _BUSY:
        who = ports.holder(port, roots)
        advice = "stop it, or tell it to leave this port alone"
        if who and who.startswith("ModemManager"):
            advice = "stop ModemManager, or let it ignore this modem (udev: ID_MM_DEVICE_IGNORE)"
        return PortBusy(f"{shown} is held by {who or 'another program'}; {advice}.")
    if code in _FORBIDDEN:
        if ports.is_young(port):
            return PortAbsent(f"{shown} has just appeared and is not ready yet.")
        return PersonNeeded(f"No permission to open {shown}; run `sudo usermod -aG dialout $USER` and log in again.")
    if code in (errno.ENOTTY, errno.EINVAL):
        return PersonNeeded(f"{shown} is not a serial port; correct `port` of this route.")
    return NoAnswer(f"{shown} cannot be opened ({error}).")


def _errno(error: BaseException | None) -> int | None:
    """Return the system's number, which pyserial now and then leaves in the error that its own covers."""
    while error is not None:
        number = getattr(error, "errno", None) or (error.args[0] if error.args else None)
        if isinstance(number, int):
            return number
        error = error.__context__
    return None


def _shown(port: str) -> str:
    return port.rpartition("@")[2] if "://" in port else port


def _discard(device: Any) -> None:
    line = getattr(device, "_socket", None)
    with suppress(OSError):
        device.close()
    if line is not None:
        # Where the peer ended the connection first, pyserial leaves its socket open.
        line.close()


def _ignore(_result: object) -> None:
    pass


def _ignore_nothing() -> None:
    pass
