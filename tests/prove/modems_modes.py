"""The 27 failure modes of modems in the field: each provoked, survived without a restart, and timed.

`back` in a row is what the simulator's log says when the modem is back; the seconds run from there to the next part on
the air. Where a deadline of its own dictates more than 5 s, the row says which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.prove import modems_plays as plays
from tests.prove.measured import Figures

_AGAIN_S = 5.0
_AT_ONCE = 5
_SHORT = frozenset({3, 4, 6, 7, 8, 15, 18, 20, 23, 25, 26})


@dataclass(frozen=True, slots=True)
class Played:
    """What the daemon did, and the seconds from the modem's return to the next part (None: it was never away)."""

    did: str
    again_s: float | None = None


@dataclass(frozen=True, slots=True)
class Mode:
    """One row. `play` None: not provoked here, which counts as open."""

    number: int
    title: str
    how: str
    play: Callable[[Path], Awaitable[tuple[str, float | None]]] | None
    dictated: str = ""


MODES: tuple[Mode, ...] = (
    Mode(1, "port renumbering", "unplugged in a PDU, a new node under the same link", plays.renumbered),
    Mode(2, "wrong interface: AT, but no URCs", "every +CMTI lost", plays.without_indications),
    Mode(
        3, "ModemManager takes the port", "a program of that name holds the port, in a made /proc", plays.held_by_name
    ),
    Mode(4, "two daemons on one tty", "the port is locked, then given back", plays.held, "looks every 1-2 s"),
    Mode(
        5, "brown-out in a submit", "gone behind the PDU, back later", plays.brown_out, "listens 2.5 s for the answer"
    ),
    Mode(6, "comes back as CD-ROM", "no tty, storage class in a made /sys; then the tty", plays.as_cdrom),
    Mode(7, "HiLink stick", "no tty, a network interface in a made /sys; then a tty", plays.as_hilink),
    Mode(8, "prompt never seen, stuck prompt", "left in a prompt by another program", plays.stuck_prompt),
    Mode(9, "echo and URCs interleaved", "echo stuck, URCs in +CMGS and +CMGR", plays.interleaved),
    Mode(10, "modem hangs", "deaf and dumb for 2 s", plays.hangs, "the prompt's deadline, 10 s"),
    Mode(11, "storage full", "room for 2 of 6", plays.full),
    Mode(12, "+CMTI missed", "three indications lost", plays.missed),
    Mode(13, "duplicate inbound", "stored twice, deletions fail", plays.duplicate_inbound),
    Mode(
        14, "duplicate outbound", "sent, and the answer lost", plays.duplicate_outbound, "listens 2.5 s for the answer"
    ),
    Mode(15, "parts missing, late, mixed", "two long messages, one reference, parts scrambled", plays.mixed_parts),
    Mode(16, "SMSC missing", "the SIM forgets its SMSC", plays.without_smsc),
    Mode(17, "CNMI rejected or lying", "every AT+CNMI= refused", plays.without_cnmi),
    Mode(18, "+CNMA", "no memory at all: direct, and acknowledged", plays.acknowledged),
    Mode(19, "reports missing or astray", "SR has no room but is announced; reports scrambled", plays.reports_astray),
    Mode(20, "characters", "@ € { emoji, both ways", plays.characters),
    Mode(21, "PIN lock-out", "a wrong PIN, and restarts", plays.wrong_pin),
    Mode(22, "registered but cannot send", "denied in every domain, then LTE only", plays.denied),
    Mode(23, "numbers", "short code out, letters in", plays.numbers),
    Mode(24, "throttled by the operator", "three temporary refusals in a row", plays.throttled, "the operator's pause"),
    Mode(25, "not ready at boot", "opened while it boots, SIM and store busy", plays.boots),
    Mode(26, "the host", "another program locks the database for 1 s", plays.locked_database),
    Mode(27, "profile wrong, text mode", "boots in text mode, and falls back to it", plays.text_mode),
)


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Play all, some at once; print the table. Short: those that the matrix's short form has nothing of."""
    del seed
    modes = [mode for mode in MODES if mode.number in _SHORT or not short]
    played = asyncio.run(_play_all(directory, modes))
    open_modes = [mode for mode in modes if mode.play is None]
    for mode in modes:
        result = played.get(mode.number)
        if result is None:
            figures.expect(f"{mode.number}. {mode.title}", "OPEN: not provoked here", False)
            continue
        did, again_s = result.did, result.again_s
        seconds = "" if again_s is None else f"; sent again after {again_s:.1f} s"
        reason = f" ({mode.dictated})" if mode.dictated else ""
        is_soon = again_s is None or again_s <= _AGAIN_S or bool(mode.dictated)
        is_met = is_soon and not did.startswith("MISS")
        figures.expect(f"{mode.number}. {mode.title} ({mode.how})", f"{did}{seconds}{reason}", is_met)
    figures.expect("modes that are open", [mode.number for mode in open_modes], not open_modes)


async def _play_all(directory: Path, modes: Sequence[Mode]) -> dict[int, Played]:
    places = asyncio.Semaphore(_AT_ONCE)
    played: dict[int, Played] = {}

    async def one(mode: Mode, play: Callable[[Path], Awaitable[tuple[str, float | None]]]) -> None:
        async with places:
            try:
                played[mode.number] = Played(*await play(directory / str(mode.number)))
            except (AssertionError, TimeoutError, OSError) as error:
                played[mode.number] = Played(f"MISS: {type(error).__name__} {error}")

    async with asyncio.TaskGroup() as group:
        for mode in modes:
            if mode.play is not None:
                group.create_task(one(mode, mode.play))
    return played
