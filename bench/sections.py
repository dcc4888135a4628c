"""What is measured, section by section; one row of the tables is one contender."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import latency, line, peers, recovery, resources
from bench.contender import Contender, NotInTime
from bench.ours import Agent, Counting, Phonebridge
from tests.mobsms_server.process import MobSmsServer, make_certificates

OURS = "phonebridge"
_EVER = 99


@dataclass(frozen=True, slots=True)
class Measurement:
    """One cell. `measure` raises NotInTime where it does not come to an end."""

    contender: str
    case: str
    measure: Callable[[], Any]
    most_rounds: int = _EVER

    @property
    def name(self) -> str:
        return f"{self.contender}: {self.case}"


@dataclass(frozen=True, slots=True)
class _Peer:
    """`messages_per_s` is about what it reaches without any radio time: it decides how much it is given to do."""

    make: Callable[[], Contender]
    messages_per_s: float
    idle_samples: int

    @property
    def name(self) -> str:
        return self.make().name


_PEERS = (
    _Peer(peers.gammu_default, 1.0, 4),
    _Peer(peers.gammu_spin, 1.4, 12),
    _Peer(peers.smstools_default, 2.0, 6),
    _Peer(peers.smstools_fast, 235.0, 40),
    _Peer(peers.library, 1000.0, 40),
)


def lines(*, short: bool) -> Iterator[Measurement]:
    """All of them on one modem, single parts, no reports; those that can on sixteen."""
    for radio_s in line.COMPARED:
        for peer in (_Peer(Phonebridge, 500.0, 0), *_PEERS):
            case = line.compared(radio_s, peer.messages_per_s / (4 if short else 1))
            yield Measurement(peer.name, f"{radio_s:g} s", _line(peer.make, case))
    for make in (Phonebridge, peers.smstools_fast):
        yield Measurement(make().name, "16 modems, 1 s", _line(make, line.FLEET))


def own_lines(*, short: bool) -> Iterator[Measurement]:
    """Ours alone: parts, reports, modems."""
    for case in line.OWN[::4] if short else line.OWN:
        yield Measurement(OURS, str(case), _line(Phonebridge, case))


def latencies(*, short: bool) -> Iterator[Measurement]:
    """Out on an idle and on a busy line, and in."""
    samples = 5 if short else 40
    yield Measurement(OURS, "out, idle", lambda: latency.idle_out(_OneByOne(), samples))
    yield Measurement(OURS, "out, 80 % load", lambda: latency.loaded_out(_OneByOne(), samples))
    yield Measurement(OURS, "in, idle", partial(_hooked, lambda server: latency.idle_in(Phonebridge(server), samples)))
    yield Measurement(
        "phonebridge, as a MobSMS phone", "in, idle", partial(_hooked, lambda s: latency.idle_in(Agent(s), samples))
    )
    yield Measurement(
        "phonebridge, as a MobSMS phone", "out, idle", partial(_hooked, lambda s: latency.idle_out(Agent(s), 8))
    )
    for peer in _PEERS:
        few = 3 if short else peer.idle_samples
        rounds = _EVER if peer.idle_samples > 20 else 1
        yield Measurement(peer.name, "out, idle", _idle_out(peer, few, spread_s=0.3 if few > 20 else 5.0), rounds)
        yield Measurement(peer.name, "in, idle", _idle_in(peer, few), rounds)
        if peer.idle_samples > 20:
            yield Measurement(peer.name, "out, 80 % load", _loaded_out(peer, samples))


def resources_of(*, short: bool) -> Iterator[Measurement]:
    """Memory, CPU, wake-ups, octets written, start."""
    for peer in (_Peer(Phonebridge, 500.0, 0), *_PEERS):
        count = 20 if short else max(20, round(min(600, 30 * min(peer.messages_per_s, 20))))
        yield Measurement(peer.name, "work", _call(resources.worked, peer.make, count), 1)
        yield Measurement(peer.name, "idle", _call(resources.idle, peer.make, 5.0 if short else 60.0), 1)
    yield Measurement(OURS, "commits", lambda: resources.commits(Counting(), 20 if short else 200), 1)
    yield Measurement(_AGENT, "work", partial(_https, lambda s: resources.worked(Agent(s), 20 if short else 600)), 1)
    yield Measurement(_AGENT, "idle", partial(_https, lambda s: resources.idle(Agent(s), 5.0 if short else 60.0)), 1)
    yield Measurement(_AGENT, "start", partial(_https, lambda s: resources.start_to_submit_s(Agent(s))))
    for peer in _PEERS:
        yield Measurement(peer.name, "start", _call(resources.start_to_submit_s, peer.make))


def recoveries(*, short: bool) -> Iterator[Measurement]:
    """All programs wait at the same time, each for its own modem, since nearly all of it is waiting."""
    faults = ("reboot",) if short else recovery.FAULTS
    for fault in faults:
        yield Measurement("all", fault, partial(_recover_all, fault), 1)


_AGENT = "phonebridge, as a MobSMS phone"

SECTIONS: dict[str, Callable[..., Iterator[Measurement]]] = {
    "lines": lines,
    "own lines": own_lines,
    "latency": latencies,
    "resources": resources_of,
    "recovery": recoveries,
}


class _OneByOne(Phonebridge):
    """By POST /api/sms, as an application sends one message."""

    def queue(self, texts: Any, *, first: int = 0) -> None:
        for number, text in enumerate(texts, start=first):
            self.send(text, number)


def _line(make: Callable[[], Contender], case: line.Case) -> Callable[[], Any]:
    return lambda: line.measure(make(), case)


def _idle_out(peer: _Peer, samples: int, *, spread_s: float) -> Callable[[], Any]:
    return lambda: latency.idle_out(peer.make(), samples, spread_s=spread_s)


def _idle_in(peer: _Peer, samples: int) -> Callable[[], Any]:
    return lambda: latency.idle_in(peer.make(), samples)


def _loaded_out(peer: _Peer, samples: int) -> Callable[[], Any]:
    return lambda: latency.loaded_out(peer.make(), samples)


def _call(measure: Callable[..., Any], make: Callable[[], Contender], *arguments: Any) -> Callable[[], Any]:
    return lambda: measure(make(), *arguments)


def _hooked(measure: Callable[[MobSmsServer], Any]) -> Any:
    """With a MobSMS server for tests, in a process of its own, whose hook port counts what comes in."""
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        server = stack.enter_context(MobSmsServer(root / "server"))
        server.add_device("bench")
        return measure(server)


def _https(measure: Callable[[MobSmsServer], Any]) -> Any:
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        server = stack.enter_context(MobSmsServer(root / "server", certificates=make_certificates(root)))
        server.add_device("bench")
        return measure(server)


def _recover_all(fault: str) -> dict[str, dict[str, float | str]]:
    makes = (Phonebridge, peers.gammu_default, peers.gammu_tuned, peers.smstools_default, peers.smstools_fast,
             peers.library)  # fmt: skip
    with ThreadPoolExecutor(len(makes)) as threads:
        futures = {make().name: threads.submit(recovery.measure, make(), fault) for make in makes}
    found: dict[str, dict[str, float | str]] = {}
    for name, future in futures.items():
        try:
            found[f"{name}: {fault}"] = {"s": future.result()}
        except NotInTime as error:
            found[f"{name}: {fault}"] = {"failed": str(error)}
    return found
