"""How long until a message is at the modem, and until one from the modem can be read.

Out: from the moment when the program is handed the message to the PDU's last octet at the modem. In: from the
network's delivery to the moment when the user's side has it.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass

from bench.contender import Contender, text, wait_until
from bench.scene import Scene, scene

_RADIO_S = 0.05
_LOAD = 0.8


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds. `samples` messages."""

    median_ms: float
    p95_ms: float
    samples: int


def idle_out(contender: Contender, samples: int, *, spread_s: float = 0.3) -> Result:
    """Each message finds an idle line; `spread_s` at random between them, so that no poll is hit by rhythm."""
    waits = []
    dice = random.Random(samples)
    with scene(contender, "--radio-time", str(_RADIO_S)) as stage:
        _warm_up(stage)
        for number in range(1, samples + 1):
            time.sleep(0.1 + dice.random() * spread_s)
            handed = time.monotonic()
            contender.queue([text(number, 1)], first=number)
            wait_until("the PDU", lambda wanted=number: len(stage.modem.events("answer")) > wanted, 90, 0.005)
            waits.append(stage.modem.events("pdu")[number]["mono_s"] - handed)
    return _result(waits)


def loaded_out(contender: Contender, samples: int) -> Result:
    """Arrivals at random for 80 % of the line: what is waited beyond what any program must wait."""
    dice = random.Random(7)
    radio_s = 0.2
    with scene(contender, "--radio-time", str(radio_s)) as stage:
        _warm_up(stage)
        handed: list[float] = []
        due = time.monotonic() + 0.2
        for number in range(1, samples + 1):
            due += dice.expovariate(_LOAD / radio_s)
            time.sleep(max(0.0, due - time.monotonic()))
            handed.append(time.monotonic())
            contender.queue([text(number, 1)], first=number)
        stage.wait_for_answers(samples + 1, 60 + samples)
        pdus = [event["mono_s"] for event in stage.modem.events("pdu")][1:]
    free, waits = 0.0, []
    for came, left in zip(handed, pdus, strict=True):
        ideal = max(came, free)
        free = ideal + radio_s
        waits.append(left - ideal)
    return _result(waits)


def idle_in(contender: Contender, samples: int) -> Result:
    """From the network's delivery to the user's side."""
    waits = []
    dice = random.Random(samples)
    count, poll_s = contender.inbound, contender.inbound_poll_s
    with scene(contender, "--radio-time", str(_RADIO_S)) as stage:
        _warm_up(stage)
        before = count()
        for number in range(samples):
            time.sleep(0.2 + dice.random() * 0.3)
            sent = time.monotonic()
            stage.modem.control.deliver("+491701234567", f"inbound {number}")
            wait_until("the inbound message", lambda wanted=before + number: count() > wanted, 90, poll_s)
            waits.append((contender.inbound_at(before + number) or time.monotonic()) - sent)
    return _result(waits)


def _warm_up(stage: Scene) -> None:
    stage.contender.queue([text(0, 1)])
    stage.wait_for_answers(1, 90)


def _result(waits: list[float]) -> Result:
    ordered = sorted(wait * 1000 for wait in waits)
    return Result(statistics.median(ordered), ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))], len(ordered))
