"""phonebridge at the servers that push: an MQTT broker, and an SMSGate server with its stream of events."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.contender import recipient
from bench.ours import Phonebridge
from tests.mqtt.broker import Mosquitto
from tests.mqtt.person import Person
from tests.smsgate_server.process import SmsGateServer

BASE = "phonebridge/bench"
_RECEIVED = "sms:received"


class Mqtt(Phonebridge):
    """Messages come as jobs of `person` and inbound ones go to it, by the broker."""

    def __init__(self, broker: Mosquitto, person: Person) -> None:
        super().__init__()
        self._broker = broker
        self._person = person

    def is_ready(self) -> bool:
        return self._person.raw("availability")[-1:] == [b"online"]

    def queue(self, texts: Sequence[str], *, first: int = 0) -> None:
        for number, text in enumerate(texts, start=first):
            job = {"id": str(number), "to": f"+{recipient(number)}", "text": text}
            self._person.publish(f"{BASE}/send", job)

    def inbound(self) -> int:
        return len(self._person.heard_at("inbox"))

    def inbound_at(self, number: int) -> float | None:
        return self._person.heard_at("inbox")[number]

    def _upstream(self) -> list[str]:
        return ["[[upstream]]", 'type = "mqtt"', f'url = "{self._broker.url}"', 'device_id = "bench"']


class SmsGate(Phonebridge):
    """A device of `server`: its stream says that a message waits; inbound ones go to the account's webhook."""

    # Each look is a request to the server that is to take the message.
    inbound_poll_s = 0.05

    def __init__(self, server: SmsGateServer) -> None:
        super().__init__()
        self._server = server
        self._is_hooked = False

    def is_ready(self) -> bool:
        if not self._server.look()["streams"]:
            return False
        if not self._is_hooked:
            self._server.control("webhook", url=self._server.hook_url(), event=_RECEIVED)
            self._is_hooked = True
        # Asked for again once the stream has told of the new webhook.
        return self._server.look()["requests"].get("GET /webhooks", 0) > 1

    def queue(self, texts: Sequence[str], *, first: int = 0) -> None:
        for number, text in enumerate(texts, start=first):
            self._server.enqueue({"textMessage": {"text": text}, "phoneNumbers": [f"+{recipient(number)}"]})

    def inbound(self) -> int:
        return len(self._server.calls(_RECEIVED))

    def inbound_at(self, number: int) -> float | None:
        # The server's clock is the wall; both are this machine's.
        at: float = self._server.control("calls")[number]["at"]
        return at - time.time() + time.monotonic()

    def _upstream(self) -> list[str]:
        return ["[[upstream]]", 'type = "smsgate"', f'base_url = "{self._server.url}"', 'register = "anonymous"']
