"""The topics of one gateway. Pure.

<prefix>/<device>/send              jobs as JSON                              to the gateway
<prefix>/<device>/send/<number>     the text alone, for people                to the gateway
<prefix>/<device>/cancel            {"id": …}: do not send it                 to the gateway
<prefix>/<device>/release           {"id": …}: give it back, if untried       to the gateway
<prefix>/<device>/status            what became of a job, JSON                from the gateway
<prefix>/<device>/inbox             received messages, JSON                   from the gateway
<prefix>/<device>/calls             incoming calls, JSON                      from the gateway
<prefix>/<device>/alert             an alert raised or over, JSON             from the gateway
<prefix>/<device>/alerts            what is wrong now, JSON                   retained
<prefix>/<device>/availability      "online", "offline"                       retained, last will
<prefix>/<device>/capacity          how many jobs there is room for, JSON     retained
<prefix>/<device>/route/<name>/state    one route, JSON                       retained
<prefix>/<device>/route/<name>/do   "reset", "balance", "pause", "resume"     to the gateway
"""

from __future__ import annotations

from dataclasses import dataclass

ONLINE, OFFLINE = b"online", b"offline"
MOST_OCTETS = 65_535
"""Of a topic (MQTT 5 §1.5.4)."""


class NotALevel(ValueError):
    """`str()` completes a sentence that begins with the key."""


def level(value: str) -> str:
    """A name as one level of a topic. Raises: NotALevel."""
    if not value or any(character in "/+#" or character < " " for character in value):
        raise NotALevel(f'"{value}" cannot be part of a topic; leave out "/", "+", "#" and control characters')
    return value


def path(value: str) -> str:
    """A prefix of one or more levels. Raises: NotALevel."""
    for part in value.split("/"):
        level(part)
    return value


@dataclass(frozen=True, slots=True)
class Topics:
    """Of one device below a prefix."""

    prefix: str
    device: str

    @property
    def base(self) -> str:
        return f"{self.prefix}/{self.device}"

    @property
    def send(self) -> str:
        return f"{self.base}/send"

    @property
    def cancel(self) -> str:
        return f"{self.base}/cancel"

    @property
    def release(self) -> str:
        return f"{self.base}/release"

    @property
    def status(self) -> str:
        return f"{self.base}/status"

    @property
    def inbox(self) -> str:
        return f"{self.base}/inbox"

    @property
    def calls(self) -> str:
        return f"{self.base}/calls"

    @property
    def alert(self) -> str:
        return f"{self.base}/alert"

    @property
    def alerts(self) -> str:
        return f"{self.base}/alerts"

    @property
    def availability(self) -> str:
        return f"{self.base}/availability"

    @property
    def capacity(self) -> str:
        return f"{self.base}/capacity"

    def route_state(self, route: str) -> str:
        return f"{self.base}/route/{route}/state"

    def route_do(self, route: str) -> str:
        return f"{self.base}/route/{route}/do"

    @property
    def for_gateway(self) -> tuple[str, ...]:
        """The filters a gateway subscribes to."""
        return (self.send, f"{self.send}/+", self.cancel, self.release, f"{self.base}/route/+/do")

    def number_of(self, topic: str) -> str | None:
        """The recipient in `send/<number>`, None for another topic. A topic that is published to cannot hold "+", so
        00 stands for it."""
        number = topic.removeprefix(f"{self.send}/")
        if number == topic:
            return None
        return f"+{number[2:]}" if number.startswith("00") else number

    def route_of(self, topic: str) -> str | None:
        """The route in `route/<name>/do`, None for another topic."""
        start, end = f"{self.base}/route/", "/do"
        if topic.startswith(start) and topic.endswith(end):
            return topic[len(start) : -len(end)]
        return None


def gateway_of(prefix: str, topic: str) -> str | None:
    """Whose topic it is, e.g. for one who subscribed to `<prefix>/+/capacity`; None where it is below no gateway."""
    device, separator, _ = topic.removeprefix(f"{prefix}/").partition("/")
    return device if separator and topic.startswith(f"{prefix}/") else None
