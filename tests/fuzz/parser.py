"""Fuzzes what reads bytes of a modem: `python -m tests.fuzz.parser --seconds 600`.

Prints executions, exceptions and growth of memory; exits 1 where an input broke something or memory grew. Inputs
that broke something are printed in hexadecimal: each belongs into tests/at/test_parser.py. Where coverage is to choose
the inputs: `python -m tests.fuzz parser --engine atheris`.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.at.parser import Parser
from tests.fuzz.mutate import CORPUS, generate
from tests.fuzz.target import execute, kept_octets

_POOL = 400
"""Inputs kept to be bent further; the recorded dialogues always stay."""
_WARM = 0.1
"""What is cached for good (compiled expressions, tables) is made in this share of the time."""
_MOST_GROWN_BLOCKS = 500
"""Blocks of memory alive at the end beyond those after warming up; the pool of inputs is not counted."""
_MOST_GROWN_KB = 4096
"""Growth of the peak of resident memory after warming up: what is too large for a block shows here."""


@dataclass(slots=True)
class Result:
    """What a run found."""

    executions: int = 0
    octets: int = 0
    seconds: float = 0.0
    grown_blocks: int = 0
    grown_kb: int = 0
    kept_octets: int = 0
    broken: dict[str, bytes] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        return not self.broken and self.grown_blocks <= _MOST_GROWN_BLOCKS and self.grown_kb <= _MOST_GROWN_KB


def fuzz(seconds: float, seed: int, *, least_executions: int = 1000) -> Result:
    """Run for `seconds` and at least so many executions; one finding is kept per kind of exception and place."""
    dice = random.Random(seed)
    pool = list(CORPUS)
    veteran = Parser()
    result = Result()
    started = time.monotonic()
    warm_at = started + seconds * _WARM
    before: tuple[int, int] | None = None
    while time.monotonic() - started < seconds or result.executions < least_executions:
        if before is None and time.monotonic() >= warm_at and result.executions >= least_executions * _WARM:
            before = _alive(pool)
        data = generate(dice, pool)
        result.executions += 1
        result.octets += len(data)
        try:
            execute(data, veteran)
        except Exception as error:  # a fuzzer's purpose is to see every one
            result.broken.setdefault(_place(error), data)
            veteran = Parser()
        if dice.random() < 0.02:
            if len(pool) >= _POOL:
                del pool[dice.randrange(len(CORPUS), len(pool))]
            pool.append(data[4:404])
    if before is not None:
        blocks, kb = _alive(pool)
        result.grown_blocks, result.grown_kb = max(0, blocks - before[0]), max(0, kb - before[1])
    result.kept_octets = kept_octets(veteran)
    result.seconds = time.monotonic() - started
    return result


def _alive(pool: Sequence[bytes]) -> tuple[int, int]:
    """Blocks of memory in use without those of the pool, and the peak of resident memory in kB."""
    gc.collect()
    return sys.getallocatedblocks() - len(pool), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--seed", type=int, default=None, help="default: another one each time")
    given = options.parse_args(arguments)
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    print(f"seed {seed}, {given.seconds:g} s", flush=True)
    result = fuzz(given.seconds, seed)
    print(f"executions   {result.executions} ({result.executions / result.seconds:.0f}/s), {result.octets} octets")
    print(f"exceptions   {len(result.broken)}")
    print(f"growth       {result.grown_blocks} blocks, {result.grown_kb} kB; {result.kept_octets} octets in the buffer")
    for place, data in result.broken.items():
        print(f"  {place}\n    {data.hex()}")
    return 0 if result.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
