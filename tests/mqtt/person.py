"""Somebody at the other end of the broker: says and hears, by paho alone, in a thread of its own."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_READY_S = 10.0


class Person:
    """`with Person(port, "phonebridge/pi")`: everything below that base is heard, from the first moment, also what
    came while the broker or the connection was down (a session of its own, unless `is_passing`: whoever leaves for
    good leaves a queue in the broker that only grows)."""

    def __init__(
        self, port: int, base: str, *, name: str = "person", also: tuple[str, ...] = (), is_passing: bool = False
    ) -> None:
        self.base = base
        self._also = also
        self._lock = threading.Lock()
        self._heard: list[tuple[float, str, bytes, bool]] = []
        self._read: dict[str, list[dict[str, Any]]] = {}
        self._ready = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        # Else a job waits up to 40 ms behind the acknowledgement of a status (Nagle with delayed ACK).
        self._client.on_socket_open = lambda *given: given[2].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        properties: Any = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0 if is_passing else 3600
        self._client.connect("127.0.0.1", port, clean_start=False, properties=properties)

    def __enter__(self) -> Person:
        self._client.loop_start()
        assert self._ready.wait(_READY_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, payload: Any, *, qos: int = 1, is_retained: bool = False) -> None:
        """Publish below the base and wait for the broker's word; a dict goes as JSON."""
        self.publish(f"{self.base}/{topic}", payload, qos=qos, is_retained=is_retained).wait_for_publish(_READY_S)

    def publish(self, topic: str, payload: Any, *, qos: int = 1, is_retained: bool = False) -> paho.MQTTMessageInfo:
        octets = payload if isinstance(payload, bytes | str) else json.dumps(payload)
        return self._client.publish(topic, octets, qos, is_retained)

    def raw(self, topic: str) -> list[bytes]:
        """Payloads heard on a topic, below the base unless it is another, oldest first."""
        with self._lock:
            return [payload for _, name, payload, _ in self._heard if name in (topic, f"{self.base}/{topic}")]

    def heard_at(self, topic: str) -> list[float]:
        """When each of them came, CLOCK_MONOTONIC seconds."""
        with self._lock:
            return [at for at, name, _, _ in self._heard if name in (topic, f"{self.base}/{topic}")]

    def heard(self, topic: str) -> list[dict[str, Any]]:
        """The same, read as JSON; each is read once."""
        read = self._read.setdefault(topic, [])
        read.extend(json.loads(payload) for payload in self.raw(topic)[len(read) :])
        return read

    def statuses(self, job_id: str) -> list[str]:
        """The words heard of one job, oldest first."""
        return [row["status"] for row in self.heard("status") if row["id"] == job_id]

    def until(self, is_so: Callable[[], Any], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < deadline, f"heard: {self._heard[-20:]}"
            time.sleep(0.01)

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([(f"{self.base}/#", 1), *((topic, 1) for topic in self._also)])

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        with self._lock:
            self._heard.append((time.monotonic(), message.topic, bytes(message.payload), message.retain))
