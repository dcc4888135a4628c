"""`python -m tests.fuzz TARGET --seconds N`: a long search in one target; exits 1 where something broke it."""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.fuzz.targets import TARGETS

_MOST_OCTETS = 4000
_TOKENS = (b"[", b"]", b"{", b"}", b'"', b"=", b",", b":", b"\n", b"-1", b"1e999", b"9" * 400, b"null", b"\\ud800",
           b"\x00", b"\xff", b"true", b"0001-01-01T00:00:00+23:59", b"inf", b"nan",
           b"[[route]]\n", b"[" * 400)  # fmt: skip


def search(name: str, seconds: float, seed: int, *, least: int = 300) -> tuple[int, dict[str, bytes]]:
    """Executions, and one input for each kind of error and place that came out."""
    execute, corpus = TARGETS[name]
    dice = random.Random(seed)
    pool, broken, executions = list(corpus), dict[str, bytes](), 0
    until = time.monotonic() + seconds
    while executions < least or time.monotonic() < until:
        data = _bent(dice, dice.choice(pool))
        executions += 1
        try:
            execute(data)
        except Exception as error:  # a fuzzer's purpose is to see every one
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            place = "" if trace is None else f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
            broken.setdefault(f"{type(error).__name__} at {place}", data)
        if dice.random() < 0.02:
            pool[len(corpus) :] = [*pool[len(corpus) :][-200:], data[:_MOST_OCTETS]]
    return executions, broken


def _bent(dice: random.Random, data: bytes) -> bytes:
    octets = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 5, 9))):
        at = dice.randint(0, len(octets))
        span = slice(at, at + dice.choice((1, 1, 2, 4, 16)))
        match dice.randrange(5):
            case 0:
                octets[at:at] = dice.choice(_TOKENS)
            case 1:
                octets[span] = b""
            case 2:
                octets[span] = dice.choice(_TOKENS)
            case 3:
                octets[at:at] = octets[span] * dice.randint(1, 4)
            case _:
                octets[at : at + 1] = dice.randbytes(1)
    return bytes(octets[:_MOST_OCTETS])


def main() -> int:
    options = argparse.ArgumentParser("tests.fuzz", description=__doc__)
    options.add_argument("target", choices=TARGETS)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--seed", type=int, default=None, help="default: another one each time")
    given = options.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    executions, broken = search(given.target, given.seconds, seed)
    print(f"{given.target}: seed {seed}, {given.seconds:g} s, {executions} executions, {len(broken)} findings")
    for place, data in broken.items():
        print(f"  {place}\n    {data.hex()}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
