"""Many senders at once, and a journal with a long history: nothing is lost, and history costs nothing.

`load`: 500 senders for 60 s. `million`: the same server with 1,000,000 messages in its journal beside one with
a few pages of them; whatever is compared is asked of both in turns, so that other work on the machine falls on both.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from drivers.simulator.process import SimulatorProcess
from tests.prove import history
from tests.prove.grown import FEW, KEY, Requests, Server, in_turns
from tests.prove.measured import Figures
from tests.prove.senders import Sent, send

_PROMISED_RATIO = 1.2


def prove_load(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Every accepted message is in the journal once, and no answer is an error."""
    del seed
    senders, seconds = (20, 0.5) if short else (500, 60.0)
    with SimulatorProcess(directory / "modem", "--radio-time", "1") as modem:
        own = Server(directory / "server", str(modem.ports[0]))
        with own.running():
            sent = asyncio.run(send(own.port, KEY, senders, seconds, "load"))
            figures.state(f"{senders} senders for {seconds:g} s: accepted", len(sent.accepted))
            figures.state("accepted per second", f"{len(sent.accepted) / seconds:.0f}")
            figures.state("POST /api/sms, ms: median", f"{sent.quantile_ms(0.5):.0f}")
            figures.state("p99", f"{sent.quantile_ms(0.99):.0f}")
            figures.expect("errors", sent.errors[:3] or "none", not sent.errors and bool(sent.accepted))
        _expect_once(figures, own, sent)


def prove_million(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """p99 under load, and the median of each kind of request, with a history and without."""
    del seed
    count, senders, rounds = (2_000, 10, 1) if short else (1_000_000, 500, 120)
    turns_s = [0.1] if short else [6.0] * 6
    with SimulatorProcess(directory / "modem", "--radio-time", "1", modems=2) as modem:
        young, old = (Server(directory / name, str(port)) for name, port in zip("yo", modem.ports, strict=True))
        # So that a page has as many rows as the other's.
        history.fill(young.journal, FEW, int(time.time() * 1000))
        began = time.monotonic()
        history.fill(old.journal, count, int(time.time() * 1000))
        figures.state(f"filling a journal with {count:,} messages, s", f"{time.monotonic() - began:.0f}")
        figures.state("its file, MB", f"{old.journal.stat().st_size / 1e6:.0f}")
        with young.running(), old.running():
            total = old.total()
            figures.expect("messages that the server counts", f"{total:,}", total == count)
            ratios = _compare_requests(young, old, rounds)
            turns = _compare_load(young, old, senders, turns_s)
        for what, found in ratios.items():
            _expect_ratio(figures, f"{what}, median ms", *found, is_short=short)
        what = f"POST /api/sms by {senders} at once, p99 ms (median of {len(turns)} turns)"
        _expect_ratio(figures, what, *_medians(_p99s(turns)), is_short=short)
        errors = [error for turn in turns for one in turn for error in one.errors]
        figures.expect("errors", errors[:3] or "none", not errors)
        everything = Sent()
        for _, of_old in turns:
            everything.add(of_old)
        _expect_once(figures, old, everything)


def _compare_load(young: Server, old: Server, senders: int, turns_s: list[float]) -> list[tuple[Sent, Sent]]:
    """Turns of both, the first of each in turn."""
    found = []
    for turn, seconds in enumerate(turns_s):
        pair = [Sent(), Sent()]
        for side in (turn % 2, 1 - turn % 2):
            server = (young, old)[side]
            pair[side] = asyncio.run(send(server.port, KEY, senders, seconds, f"turn {turn} {side}"))
        found.append((pair[0], pair[1]))
    return found


def _p99s(turns: list[tuple[Sent, Sent]]) -> list[tuple[float, ...]]:
    return [(without.quantile_ms(0.99), with_history.quantile_ms(0.99)) for without, with_history in turns]


def _compare_requests(young: Server, old: Server, rounds: int) -> dict[str, tuple[float, float, float]]:
    """What a remote agent and a person do: kind of request → median ms of both, and the median of the ratios of two
    that were asked right after each other."""
    found = in_turns([Requests(server).steps() for server in (young, old)], rounds)
    return {what: _medians(pairs) for what, pairs in found.items()}


def _medians(pairs: Sequence[tuple[float, ...]]) -> tuple[float, float, float]:
    """Of the first, of the second, and of the ratios of two that were measured right after each other."""
    first, second = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    return first, second, statistics.median(pair[1] / pair[0] for pair in pairs)


def _expect_ratio(
    figures: Figures, what: str, without: float, with_history: float, ratio: float, *, is_short: bool
) -> None:
    """The short form has no time to measure; it shows that all can be asked."""
    measured = f"{without:.1f} → {with_history:.1f}, ratio {ratio:.2f}"
    if is_short:
        figures.state(what, measured)
    else:
        figures.expect(what, measured, ratio <= _PROMISED_RATIO)


def _expect_once(figures: Figures, server: Server, sent: Sent) -> None:
    """Counted in the journal's file, once the daemon has ended."""
    connection = sqlite3.connect(f"file:{server.journal}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT id, text FROM message WHERE text LIKE 'load %' OR text LIKE 'turn %'")
        found = dict(rows.fetchall())
    finally:
        connection.close()
    lost = sent.accepted.keys() - found.keys()
    texts = set(found.values())
    figures.expect("accepted and not in the journal", len(lost), not lost)
    figures.expect("twice in the journal", len(found) - len(texts), len(found) == len(texts))
    changed = sum(found[key] != text for key, text in sent.accepted.items() if key in found)
    figures.expect("with another text", changed, changed == 0)
    unasked = found.keys() - sent.accepted.keys()
    figures.expect("in the journal and not answered", len(unasked), not unasked)
