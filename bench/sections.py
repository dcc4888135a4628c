"""What is measured, section by section; one row of the tables is one contender."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import growth, latency, line, machine, peers, recovery, resources
from bench.contender import Contender
from bench.measurement import Cell, Measurement, together
from bench.ours import Agent, Counting, Phonebridge
from bench.upstreams import BASE, Mqtt, SmsGate
from tests.mobsms_server.process import MobSmsServer, make_certificates
from tests.mqtt.broker import Mosquitto
from tests.mqtt.person import Person
from tests.smsgate_server.process import SmsGateServer

OURS = "phonebridge"
_AGENT = "phonebridge, as a MobSMS phone"


@dataclass(frozen=True, slots=True)
class _Peer:
    """`messages_per_s` is about what it reaches without any radio time: it decides how much it is given to do.

    `idle_samples` of its latency; `is_polling`: it waits for seconds between two looks, so that one round says enough
    and others beside it disturb nothing.
    """

    make: Callable[[], Contender]
    messages_per_s: float
    idle_samples: int
    is_polling: bool = False

    @property
    def name(self) -> str:
        return self.make().name

    def measured(self, case: str, measure: Callable[..., Any], *arguments: Any, **named: Any) -> Measurement:
        rounds = {"most_rounds": 1} if self.is_polling else {}
        return Measurement(self.name, case, lambda: measure(self.make(), *arguments, **named), **rounds)


_PHONEBRIDGE = _Peer(Phonebridge, 500.0, 25)
_GAMMU_SPIN = _Peer(peers.gammu_spin, 1.4, 12, is_polling=True)
_SLEEPERS = (
    _Peer(peers.gammu_default, 1.0, 4, is_polling=True),
    _Peer(peers.smstools_default, 2.0, 6, is_polling=True),
)
_FAST = (_Peer(peers.smstools_fast, 235.0, 25), _Peer(peers.library, 1000.0, 25))
_BARE = _Peer(peers.Bare, 600.0, 0)
_PEERS = (_SLEEPERS[0], _GAMMU_SPIN, _SLEEPERS[1], *_FAST)


def lines(*, short: bool) -> Iterator[Measurement]:
    """All of them on one modem, single parts, no reports; those that can on sixteen."""
    for radio_s in line.COMPARED:
        for peer in (_PHONEBRIDGE, *_PEERS, _BARE):
            case = line.compared(radio_s, peer.messages_per_s / (4 if short else 1))
            yield peer.measured(f"{radio_s:g} s", line.measure, case)
    for peer in (_PHONEBRIDGE, _FAST[0], _BARE):
        yield peer.measured("16 modems, 1 s", line.measure, line.FLEET)


def own_lines(*, short: bool) -> Iterator[Measurement]:
    """Ours alone: parts, reports, modems. What is promised is measured in each round, the rest once."""
    for case in line.OWN[::4] if short else line.OWN:
        rounds = {} if case in line.PROMISED else {"most_rounds": 1}
        yield Measurement(OURS, str(case), partial(line.measure, Phonebridge(), case), **rounds)


def latencies(*, short: bool) -> Iterator[Measurement]:
    """Out on an idle and on a busy line, and in."""
    samples = 5 if short else _PHONEBRIDGE.idle_samples
    yield Measurement(OURS, "out, idle", lambda: latency.idle_out(_OneByOne(), samples))
    yield Measurement(OURS, "out, 80 % load", lambda: latency.loaded_out(_OneByOne(), samples))
    yield Measurement(OURS, "in, idle", partial(_mobsms, lambda server: latency.idle_in(Phonebridge(server), samples)))
    for peer in _FAST:
        few = 3 if short else peer.idle_samples
        yield peer.measured("out, idle", latency.idle_out, few)
        yield peer.measured("in, idle", latency.idle_in, few)
        yield peer.measured("out, 80 % load", latency.loaded_out, samples)
    yield from _slow_latencies(_GAMMU_SPIN, short=short)
    yield together("latency of those that poll", [m for peer in _SLEEPERS for m in _slow_latencies(peer, short=short)])


def _slow_latencies(peer: _Peer, *, short: bool) -> Iterator[Measurement]:
    few = 2 if short else peer.idle_samples
    yield peer.measured("out, idle", latency.idle_out, few, spread_s=5.0)
    yield peer.measured("in, idle", latency.idle_in, few)


def servers(*, short: bool) -> Iterator[Measurement]:
    """The servers that phonebridge is a phone of; its own server's latency is in the section `latency`."""
    samples = 5 if short else 25
    yield Measurement("one write and fsync", "4 KiB", machine.fsync_ms)
    ways: tuple[tuple[str, Callable[[Callable[[Contender], Any]], Any]], ...] = (("MQTT", _mqtt), ("SSE", _smsgate))
    for name, at in ways:
        yield Measurement(name, "out, idle", partial(at, lambda ours: latency.idle_out(ours, samples)))
        yield Measurement(name, "out, 80 % load", partial(at, lambda ours: latency.loaded_out(ours, samples)))
        yield Measurement(name, "in, idle", partial(at, lambda ours: latency.idle_in(ours, samples)))
    polls = 2 if short else 12
    yield Measurement("polling", "out, idle", partial(_mobsms, lambda s: latency.idle_out(Agent(s), polls)), 1)
    yield Measurement("polling", "in, idle", partial(_mobsms, lambda s: latency.idle_in(Agent(s), samples)))


def resources_of(*, short: bool) -> Iterator[Measurement]:
    """Memory, CPU, wake-ups, octets written, start."""
    idle_s, some = (5.0, 20) if short else (60.0, 300)
    for peer in (_PHONEBRIDGE, *_FAST):
        yield peer.measured("start", resources.start_to_submit_s)
    yield Measurement(_AGENT, "start", partial(_https, lambda s: resources.start_to_submit_s(Agent(s))))
    for peer in (_PHONEBRIDGE, *_FAST):
        yield Measurement(peer.name, "work", partial(resources.worked, peer.make(), some), 1)
    yield Measurement(_AGENT, "work", partial(_https, lambda s: resources.worked(Agent(s), some)), 1)
    yield Measurement(OURS, "commits", lambda: resources.commits(Counting(), 20 if short else 200), 1)
    few = 10 if short else 30
    yield _GAMMU_SPIN.measured("work", resources.worked, few)
    yield _GAMMU_SPIN.measured("idle", resources.idle, idle_s / 3)
    yield _GAMMU_SPIN.measured("start", resources.start_to_submit_s)
    yield together(
        "work and start of those that poll",
        [
            *(peer.measured("work", resources.worked, few) for peer in _SLEEPERS),
            *(peer.measured("start", resources.start_to_submit_s) for peer in _SLEEPERS),
        ],
    )
    yield together(
        "an idle minute",
        [
            *(peer.measured("idle", resources.idle, idle_s) for peer in (_PHONEBRIDGE, *_FAST, *_SLEEPERS)),
            Measurement(_AGENT, "idle", partial(_https, lambda s: resources.idle(Agent(s), idle_s))),
        ],
    )


def recoveries(*, short: bool) -> Iterator[Measurement]:
    """All programs wait at the same time, each for its own modem, since nearly all of it is waiting."""
    faults = ("reboot",) if short else recovery.FAULTS
    makes = (Phonebridge, peers.gammu_default, peers.gammu_tuned, peers.smstools_default, peers.smstools_fast,
             peers.library)  # fmt: skip
    yield together(
        "unplugged, silent, rebooted",
        [
            Measurement("all", f"{make().name}: {fault}", partial(_recover, make, fault))
            for fault in faults
            for make in makes
        ],
    )


def growing(*, short: bool) -> Iterator[Measurement]:
    """All sizes in turns."""
    sizes, rounds = (growth.SIZES[:2], 2) if short else (growth.SIZES, 100)

    def measure() -> list[Cell]:
        return [
            Cell(what, size, cost)
            for what, costs in growth.measure(rounds, sizes).items()
            for size, cost in costs.items()
        ]

    yield Measurement(OURS, "with a history", measure, 1)


SECTIONS: dict[str, Callable[..., Iterator[Measurement]]] = {
    "lines": lines,
    "own lines": own_lines,
    "latency": latencies,
    "servers": servers,
    "resources": resources_of,
    "recovery": recoveries,
    "growth": growing,
}


class _OneByOne(Phonebridge):
    """By POST /api/sms, as an application sends one message."""

    def queue(self, texts: Any, *, first: int = 0) -> None:
        for number, text in enumerate(texts, start=first):
            self.send(text, number)


def _recover(make: Callable[[], Contender], fault: str) -> dict[str, float]:
    return {"s": recovery.measure(make(), fault)}


def _mobsms(measure: Callable[[MobSmsServer], Any]) -> Any:
    """With a MobSMS server for tests, in a process of its own, whose hook port counts what comes in."""
    with _directory() as root, MobSmsServer(root / "server") as server:
        server.add_device("bench")
        return measure(server)


def _https(measure: Callable[[MobSmsServer], Any]) -> Any:
    with _directory() as root, MobSmsServer(root / "server", certificates=make_certificates(root)) as server:
        server.add_device("bench")
        return measure(server)


def _mqtt(measure: Callable[[Contender], Any]) -> Any:
    """With a mosquitto, and somebody at its other end in this process."""
    with _directory() as root, Mosquitto(root / "broker") as broker, Person(broker.port, BASE) as person:
        return measure(Mqtt(broker, person))


def _smsgate(measure: Callable[[Contender], Any]) -> Any:
    with _directory() as root, SmsGateServer(root / "server") as server:
        return measure(SmsGate(server))


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        yield Path(directory)
