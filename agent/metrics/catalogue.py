"""Every metric there is: name, type, labels, meaning. docs/metrics.md is checked against this. Pure.

No label holds a number, a text or anything else that a stranger chose: routes and upstreams are the owner's own
names, the rest are words of ours.
"""

from __future__ import annotations

from typing import Literal

from drivers.values import dataclass

Kind = Literal["counter", "gauge", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. A counter's name gets `_total` behind it where it is shown, an info's `_info`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str

    @property
    def shown(self) -> str:
        suffix = {"counter": "_total", "info": "_info"}.get(self.kind, "")
        return f"phonebridge_{self.name}{suffix}"


CATALOGUE: tuple[Metric, ...] = (
    Metric("build", "info", ("version",), "The running version."),
    Metric("start_time_seconds", "gauge", (), "When the process started, in Unix time."),
    Metric("ready", "gauge", (), "1 where /readyz says that messages flow, else 0."),
    Metric(
        "parts",
        "counter",
        ("route", "outcome"),
        "Parts by what became of them: sent, not_ready, try_later, refused, route_refused, unknown or error for each "
        "submit; delivered and undelivered by status report.",
    ),
    Metric("retries", "counter", ("route",), "Submits of a part that had been tried before."),
    Metric("messages", "counter", ("state",), "Messages that reached a state: sent, delivered, failed, expired, …"),
    Metric("received", "counter", ("route",), "Messages that came in, joined from their parts."),
    Metric("errors", "counter", ("route", "class"), "Submits that failed, by class of cause (see parts)."),
    Metric(
        "accept_to_wire_seconds", "histogram", ("route",), "From acceptance of a message to its first part's submit."
    ),
    Metric("wire_to_sent_seconds", "histogram", ("route",), "From a part's submit to the network's answer."),
    Metric("sent_to_delivered_seconds", "histogram", ("route",), "From sent to delivered, of whole messages."),
    Metric("queued", "gauge", ("route",), 'Messages that wait, per route; route "" is any.'),
    Metric("queue_oldest_seconds", "gauge", ("route",), "How long the oldest of them has waited."),
    Metric("route_can_send", "gauge", ("route",), "1 where the route can send now, else 0."),
    Metric("route_state", "gauge", ("route", "state"), "1 for the state that the route is in, else 0."),
    Metric("signal_dbm", "gauge", ("route",), "Signal strength; absent where unknown."),
    Metric("storage_used", "gauge", ("route",), "Messages in the modem's memory."),
    Metric("storage_total", "gauge", ("route",), "Places in the modem's memory."),
    Metric("upstream_up", "gauge", ("upstream",), "1 where the upstream has no problem, else 0."),
    Metric("upstream_waiting", "gauge", ("upstream",), "Reports and inbound messages on their way to the upstream."),
    Metric("upstream_parked", "gauge", ("upstream",), "Reports and inbound messages that it refused for good."),
    Metric("journal_commits", "counter", (), "Transactions of the journal that wrote something."),
    Metric("journal_failures", "counter", (), "Transactions of the journal that could not be written."),
    Metric("journal_bytes", "gauge", (), "Size of the journal's files."),
    Metric("disk_free_bytes", "gauge", (), "Free room on the journal's disk."),
    Metric("alerts_active", "gauge", ("kind",), "Alerts that stand now, by kind (docs/alerts.md)."),
)
