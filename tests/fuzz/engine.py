"""The search that needs nothing installed: recorded inputs, bent at random. What a target is, and what is a finding."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

from tests.fuzz.bend import MOST_OCTETS, bent

Execute = Callable[[bytes], None]

_SLOWEST_CPU_S = 5.0
"""An input that keeps the processor busy for longer would stop a gateway's loop; on any machine it is no accident."""
_POOL = 200
"""Bent inputs that are kept to be bent further; the recorded ones always stay."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What can be searched: `execute` runs one input, and whatever escapes it is a finding. `corpus` are inputs of the
    right form."""

    execute: Execute
    corpus: tuple[bytes, ...]


Target = Callable[[], AbstractContextManager[Ready]]
"""Opens what is needed for as long as a search takes."""


def pure(execute: Execute, *corpus: bytes) -> Target:
    """Needs nothing."""
    return partial(nullcontext, Ready(execute, corpus))


class Slow(AssertionError):
    """An input took more of the processor's time than any should."""


@dataclass(slots=True)
class Findings:
    """One input for each kind of error and place that came out."""

    executions: int = 0
    seconds: float = 0.0
    broken: dict[str, bytes] = field(default_factory=dict)

    def try_one(self, execute: Execute, data: bytes) -> None:
        """Run one input, and note what escapes."""
        self.executions += 1
        began = time.process_time()
        try:
            execute(data)
            if (took := time.process_time() - began) > _SLOWEST_CPU_S:
                raise Slow(f"{took:.1f} s")
        except Exception as error:  # a fuzzer's purpose is to see every one
            self.broken.setdefault(_place(error), data)


def search(target: Target, seconds: float, seed: int, *, least: int = 300) -> Findings:
    """For so long, and at least so many inputs: each recorded one as it is, then bent ones."""
    dice = random.Random(seed)
    found = Findings()
    with target() as ready:
        pool = list(ready.corpus)
        began = time.monotonic()
        for data in ready.corpus:
            found.try_one(ready.execute, data)
        while found.executions < least or time.monotonic() < began + seconds:
            data = bent(dice, dice.choice(pool))
            found.try_one(ready.execute, data)
            if dice.random() < 0.02:
                keep(pool, data, len(ready.corpus))
        found.seconds = time.monotonic() - began
    return found


def keep(pool: list[bytes], data: bytes, recorded: int) -> None:
    """Into the pool, in whose place the oldest of those goes that were not recorded."""
    pool[recorded:] = [*pool[recorded:][1 - _POOL :], data[:MOST_OCTETS]]


def _place(error: Exception) -> str:
    """The kind of an error and where it came from: findings that share these are one."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"


def shown(broken: dict[str, bytes]) -> Iterable[str]:
    """Each finding with its input in hexadecimal, which belongs into a test."""
    return (f"{place}\n    {data.hex()}" for place, data in broken.items())
