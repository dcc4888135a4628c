"""One connection to an MQTT 5 broker, used once. The only importer of aiomqtt and paho; knows no topics or payloads.

Messages are acknowledged by whoever took them, and only on the connection that brought them: a packet id means
nothing on the next one. So there is one aiomqtt client per connection, with a queue of its own: aiomqtt's outlives
a disconnect. The queue has no limit, because a full one would drop; Receive Maximum bounds what is not acknowledged.

    LinkError
    ├── LinkDown         not reached, or lost: open a new link after a pause
    │   └── LinkRefused  the broker will not have us as we are configured: the same, but a person should look
    └── PublishRefused   the broker will not take this one message
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from drivers.settings import Secret
from drivers.values import dataclass

_CONNECT_S = 30.0
# TCP alone; a modem uplink that just came up may need this long.
_TCP_CONNECT_S = 15.0
_PUBLISH_S = 20.0
"""A broker that does not acknowledge for so long is as good as gone."""
_GOODBYE_S = 1.0
# What a broker allows unacknowledged from us where it does not say (MQTT 5 §3.2.2.3.3 says 65,535; brokers' own
# defaults are 10 to 32), and paho's own window.
_MOST_PUBLISHES = 20
# QoS 0 promises nothing and no window bounds it.
_MOST_UNPROMISED = 10_000
_HEADER_OCTETS = 64
"""Room in a packet for what is neither topic nor payload."""
_PERSONS_CODES = frozenset({133, 134, 135, 138, 140, 142, 152, 157})
_TAKEN_OVER = 142
_UNSPECIFIED = 128
# MQTT 5 §3.8.3.1: retained messages are not sent at subscribe, since a retained job would come with each of them.
_WITH_RETAINED, _NO_RETAINED = 0, 2


class LinkError(Exception):
    """Root of the tree above. `str()` is one plain sentence for a person."""


class LinkDown(LinkError):
    """Not reached, or lost."""


class LinkRefused(LinkDown):
    """Credentials, client id, rights or certificates."""


class PublishRefused(LinkError):
    """This message only: no right to the topic, too long, or a quota."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker publishes for us when we vanish."""

    topic: str
    payload: bytes
    is_retained: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where, and as whom. `tls` None is a plain connection. `receive_maximum` is how many messages may be
    unacknowledged here; `session_expiry_s` how long the broker keeps our subscriptions and what comes for them."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: Secret | None = None
    keepalive_s: int = 30
    session_expiry_s: int = 7 * 86_400
    receive_maximum: int = 100
    will: Will | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Received:
    """A message. `is_repeated`: the broker sent it before and had no acknowledgement."""

    topic: str
    payload: bytes
    packet_id: int
    qos: int
    is_repeated: bool
    is_retained: bool


def tls_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """TLS with the system's authorities or one's own, and our certificate where the broker asks for one.

    Raises: OSError (ssl.SSLError is one) for files that cannot be read or hold something else.
    """
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    if cert_file is not None:
        # The callable keeps a key with a pass phrase from asking for it on the terminal.
        context.load_cert_chain(cert_file, key_file, password=lambda: "")
    return context


class Link:
    """`async with Link(broker) as link`: connected inside. What it raises inside is LinkDown once it is lost.

    Raises on entering: LinkDown, LinkRefused.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self.is_resumed = False
        """Whether the broker still had our session; if not, what came for us meanwhile is lost."""
        self.session_expiry_s = broker.session_expiry_s
        """As the broker grants it."""
        self._longest_packet: int | None = None
        self._inbox: deque[Received] = deque()
        self._arrived = asyncio.Event()
        self._lost: LinkDown | None = None
        self._publishes: dict[int, asyncio.Future[ReasonCode]] = {}
        self._window = asyncio.Semaphore(_MOST_PUBLISHES)
        self._mqtt = self._client()
        # aiomqtt owns connecting, the socket in the loop, and subscribing; what needs packet ids and reason codes
        # is done with the client beneath it.
        self._paho: paho.Client = self._mqtt._client
        self._paho.manual_ack_set(True)
        self._paho.connect_timeout = _TCP_CONNECT_S
        self._paho.on_message = self._on_message
        self._paho.on_publish = self._on_publish
        self._tell_connected: Any = self._paho.on_connect
        self._tell_disconnected: Any = self._paho.on_disconnect
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = self._on_disconnect

    async def __aenter__(self) -> Link:
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._mqtt.__aenter__()
        except TimeoutError:
            self._abandon()
            raise LinkDown(f"the broker {self._broker.address} does not answer") from None
        except aiomqtt.MqttError as error:
            self._abandon()
            raise self._unreachable(error) from error
        except BaseException:
            self._abandon()
            raise
        self._mqtt._disconnected.add_done_callback(self._on_lost)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye, so that the will is not published, and close; never waits long."""
        if self._lost is None:
            self._paho.disconnect()
            with contextlib.suppress(TimeoutError, aiomqtt.MqttError):
                async with asyncio.timeout(_GOODBYE_S):
                    await asyncio.wait([self._mqtt._disconnected])
        self._abandon()

    async def subscribe(self, filters: Sequence[str], *, with_retained: bool = False) -> None:
        """Subscribe at QoS 1; retained messages come only on demand. Raises: LinkDown, LinkRefused."""
        options = SubscribeOptions(qos=1, retainHandling=_WITH_RETAINED if with_retained else _NO_RETAINED)
        try:
            codes = await self._mqtt.subscribe([(name, options) for name in filters])
        except aiomqtt.MqttError as error:
            raise self._lost or LinkDown(f"the broker {self._broker.address} took no subscription: {error}") from error
        for name, code in zip(filters, codes, strict=True):
            if isinstance(code, ReasonCode) and code.is_failure:
                raise LinkRefused(
                    f"the broker {self._broker.address} refuses the subscription to {name} ({code.getName()}); "
                    "give this user the right to read it"
                )

    async def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> None:
        """Publish at QoS 1; returns when the broker has acknowledged. Raises: LinkDown, PublishRefused."""
        if self._longest_packet is not None and len(topic) + len(payload) + _HEADER_OCTETS > self._longest_packet:
            raise PublishRefused(f"the broker takes packets of {self._longest_packet} octets at most")
        async with self._window:
            if self._lost is not None:
                raise self._lost
            sent = self._paho.publish(topic, payload, qos=1, retain=is_retained)
            if sent.rc != paho.MQTT_ERR_SUCCESS:
                raise self._lost or LinkDown(f"the broker {self._broker.address} is gone")
            done: asyncio.Future[ReasonCode] = self._loop.create_future()
            self._publishes[sent.mid] = done
            try:
                async with asyncio.timeout(_PUBLISH_S):
                    code = await done
            except TimeoutError:
                raise LinkDown(f"the broker {self._broker.address} stopped acknowledging") from None
            finally:
                self._publishes.pop(sent.mid, None)
        if code.is_failure:
            raise PublishRefused(f"the broker {self._broker.address} refuses {topic}: {code.getName()}")

    async def received(self) -> list[Received]:
        """All messages that have arrived, at least one, in their order. Raises: LinkDown."""
        while not self._inbox:
            if self._lost is not None:
                raise self._lost
            self._arrived.clear()
            await self._arrived.wait()
        if self._lost is not None:
            # They come again on the next connection; handled here they could not be acknowledged.
            raise self._lost
        taken = list(self._inbox)
        self._inbox.clear()
        return taken

    def acknowledge(self, message: Received) -> None:
        """The broker may forget it. In the order in which they came (MQTT 5 §4.6); nothing happens once the link is
        lost."""
        if message.qos and self._lost is None:
            self._paho.ack(message.packet_id, message.qos)

    async def lost(self) -> None:
        """Raises: LinkDown, once the link is lost."""
        await asyncio.wait([self._mqtt._disconnected])
        raise self._lost or LinkDown(f"the broker {self._broker.address} is gone")

    # --- pieces -------------------------------------------------------------------------------------

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = broker.session_expiry_s
        properties.ReceiveMaximum = broker.receive_maximum
        will = broker.will
        return aiomqtt.Client(
            broker.host,
            broker.port,
            identifier=broker.client_id,
            username=broker.username,
            password=None if broker.password is None else broker.password.get_secret_value(),
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=properties,
            keepalive=broker.keepalive_s,
            tls_context=broker.tls,
            # What goes wrong is raised; paho's own log lines are for nobody.
            logger=_silent(),
            timeout=_PUBLISH_S,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, qos=1, retain=will.is_retained),
            # Acknowledgements are small and many: none waits for the next one (Nagle).
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    def _on_connect(self, client: Any, userdata: Any, flags: Any, code: ReasonCode, properties: Any) -> None:
        self.is_resumed = flags.session_present
        self.session_expiry_s = getattr(properties, "SessionExpiryInterval", self._broker.session_expiry_s)
        self._longest_packet = getattr(properties, "MaximumPacketSize", None)
        window = getattr(properties, "ReceiveMaximum", _MOST_PUBLISHES)
        self._window = asyncio.Semaphore(max(1, min(window, _MOST_PUBLISHES)))
        self._tell_connected(client, userdata, flags, code, properties)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        self._tell_disconnected(client, userdata, flags, code, properties)
        # Before the CONNACK aiomqtt would wait its whole timeout. This may be the thread that connects.
        self._loop.call_soon_threadsafe(self._give_up_connecting)

    def _give_up_connecting(self) -> None:
        if not self._mqtt._connected.done():
            wish = "" if self._broker.tls is None else "; it may ask for a client certificate (cert_file, key_file)"
            self._mqtt._connected.set_exception(aiomqtt.MqttError(f"it closed the connection at once{wish}"))

    def _on_message(self, client: Any, userdata: Any, message: paho.MQTTMessage) -> None:
        if not message.qos and len(self._inbox) >= _MOST_UNPROMISED:
            return
        self._inbox.append(
            Received(message.topic, bytes(message.payload), message.mid, message.qos, message.dup, message.retain)
        )
        self._arrived.set()

    def _on_publish(self, client: Any, userdata: Any, packet_id: int, code: ReasonCode, properties: Any) -> None:
        waiting = self._publishes.get(packet_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(code)

    def _on_lost(self, disconnected: asyncio.Future[None]) -> None:
        fault = None if disconnected.cancelled() else disconnected.exception()
        self._lost = self._gone(fault)
        for waiting in self._publishes.values():
            if not waiting.done():
                waiting.set_exception(self._lost)
        self._arrived.set()

    def _gone(self, fault: BaseException | None) -> LinkDown:
        address, code = self._broker.address, getattr(fault, "rc", None)
        if isinstance(code, ReasonCode) and code.value == _TAKEN_OVER:
            return LinkRefused(
                f'another client connected to {address} as "{self._broker.client_id}"; give each gateway a device_id '
                "of its own"
            )
        if isinstance(code, ReasonCode) and code.value in _PERSONS_CODES:
            return LinkRefused(f"the broker {address} ended the connection: {code.getName()}")
        is_told = isinstance(code, ReasonCode) and code.value != _UNSPECIFIED
        why = f": {code.getName()}" if is_told and isinstance(code, ReasonCode) else ""
        return LinkDown(f"the connection to the broker {address} was lost{why}")

    def _unreachable(self, error: aiomqtt.MqttError) -> LinkDown:
        address, code = self._broker.address, getattr(error, "rc", None)
        if isinstance(code, ReasonCode):
            said = code.getName()
            if code.value in _PERSONS_CODES:
                return LinkRefused(f"the broker {address} refuses this client: {said}; check user name and password")
            return LinkDown(f"the broker {address} refuses the connection: {said}")
        said = re.sub(r"^\[Errno -?\d+\] |\s*\(_ssl\.c:\d+\)$", "", str(error))
        if "CERTIFICATE_VERIFY_FAILED" in said:
            detail = said.partition("failed: ")[2] or said
            return LinkRefused(f"the certificate of {address} is not trusted ({detail}); give its CA as ca_file")
        if "SSL" in said:
            return LinkRefused(f"no TLS with {address}: {said}; is this the broker's TLS port?")
        return LinkDown(f"the broker {address} cannot be reached: {said}")

    def _abandon(self) -> None:
        """Close what is still open, also where the thread that connects has not come back yet."""
        self._paho.on_socket_open = lambda client, userdata, opened: opened.close()
        # paho closes its socket only when it notices by itself; a client that is given up must not linger.
        self._paho._sock_close()
        task = self._mqtt._misc_task
        if task is not None:
            task.cancel()
        if self._lost is None:
            self._lost = LinkDown(f"the connection to the broker {self._broker.address} is closed")
        self._arrived.set()


def _silent() -> logging.Logger:
    logger = logging.getLogger("phonebridge.paho")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
