"""What a program takes: memory after work, CPU and wake-ups while idle, octets written, and the time of its start."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.contender import Contender, text
from bench.ours import Counting
from bench.scene import scene


@dataclass(frozen=True, slots=True)
class Work:
    """After `messages` of one part at 0.05 s radio time. MB are 10^6 octets."""

    messages: int
    resident_mb: float
    cpu_s_per_1000: float
    written_octets_per_part: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Per minute without any work."""

    cpu_s: float
    wake_ups: float
    written_octets: float


def worked(contender: Contender, messages: int) -> Work:
    """Raises: NotInTime."""
    with scene(contender, "--radio-time", "0.05") as stage:
        contender.queue([text(0, 1)])
        stage.wait_for_answers(1, 90)
        before = contender.sample()
        contender.queue([text(1, 1)] * messages, first=1)
        stage.wait_for_answers(messages + 1, 60 + 20 * messages)
        time.sleep(1.0)
        after = contender.sample()
    return Work(
        messages,
        after.resident_mb,
        (after.cpu_s - before.cpu_s) / messages * 1000,
        (after.written_octets - before.written_octets) / messages,
    )


def commits(contender: Counting, messages: int) -> dict[str, float]:
    """Transactions of the journal per part, with a status report for each, and those of an idle minute."""
    with scene(contender, "--radio-time", "0.05", "--report-delay", "0.1", reports=True) as stage:
        contender.queue([text(0, 1)])
        stage.wait_for_answers(1, 90)
        time.sleep(2.0)
        before = contender.commits()
        contender.queue([text(1, 1)] * messages, first=1)
        stage.wait_for_answers(messages + 1, 60 + messages)
        time.sleep(2.0)
        worked = contender.commits() - before
        time.sleep(20.0)
        idle = contender.commits() - before - worked
    return {"per_part": worked / messages, "idle_per_min": idle * 3.0}


def idle(contender: Contender, seconds: float) -> Idle:
    """Begins some seconds after the first message, when start-up work is over."""
    with scene(contender, "--radio-time", "0.05") as stage:
        contender.queue([text(0, 1)])
        stage.wait_for_answers(1, 90)
        time.sleep(5.0)
        before = contender.sample()
        time.sleep(seconds)
        after = contender.sample()
    factor = 60 / seconds
    return Idle(
        (after.cpu_s - before.cpu_s) * factor,
        (after.wake_ups - before.wake_ups) * factor,
        (after.written_octets - before.written_octets) * factor,
    )


def start_to_submit_s(contender: Contender) -> float:
    """A message waits already: from exec(2) to its `AT+CMGS`. A program that takes messages only while it runs gets
    one as soon as it does."""
    with scene(contender, "--radio-time", "0.05", is_started=False) as stage:
        if contender.keeps_messages:
            contender.queue([text(0, 1)])
        began = time.monotonic()
        contender.start()
        if not contender.keeps_messages:
            contender.queue([text(0, 1)])
        stage.wait_for_answers(1, 90)
        return float(stage.submits()[0]["mono_s"]) - began
