"""The same search with libFuzzer choosing the inputs by coverage: the extra `fuzz`, whose wheels are for x86_64 only.

Half of its mutations are ours (`bend`), since its own seldom leave JSON whole.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

from tests.fuzz.bend import MOST_OCTETS, bent
from tests.fuzz.engine import Findings, Target


@contextmanager
def instrumented() -> Iterator[None]:
    """Whatever of the product is imported inside tells its coverage. The libraries below it do not: that would take
    minutes, and it is not they that are searched. Raises: ImportError where atheris is not installed."""
    import atheris

    with atheris.instrument_imports(include=["agent", "drivers"]):
        yield


def search(target: Target, seconds: float, seed: int, done: Callable[[Findings], int]) -> NoReturn:
    """Never returns, since libFuzzer ends the process: `done` is told what was found, and gives the exit code.

    Raises: ImportError where atheris is not installed.
    """
    import atheris

    found = Findings()
    with ExitStack() as opened:
        ready = opened.enter_context(target())
        directory = opened.enter_context(tempfile.TemporaryDirectory())
        for number, data in enumerate(ready.corpus):
            (Path(directory) / str(number)).write_bytes(data)
        began = time.monotonic()

        def one(data: bytes) -> None:
            found.try_one(ready.execute, data)
            found.seconds = time.monotonic() - began
            if found.seconds >= seconds:
                code = done(found)
                sys.stdout.flush()
                # libFuzzer's own end would leave the gateway's directory behind.
                opened.close()
                os._exit(code)

        def mutated(data: bytes, most_octets: int, number: int) -> bytes:
            dice = random.Random(number)
            if dice.random() < 0.5:
                return bytes(atheris.Mutate(data, most_octets))
            return bent(dice, data)[:most_octets]

        options = [f"-seed={seed % (1 << 31) or 1}", f"-max_len={MOST_OCTETS}", "-timeout=120", "-rss_limit_mb=0"]
        atheris.Setup([sys.argv[0], *options, directory], one, custom_mutator=mutated)
        atheris.Fuzz()
    raise AssertionError  # it was over in between
