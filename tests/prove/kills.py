"""kill -9 at random and at every named point: nothing lost, doubles only where the outcome was unknowable."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.accountant import Account
from tests.prove.killable import POINTS
from tests.prove.measured import Figures
from tests.prove.runner import side_by_side
from tests.prove.stage import Stage, wait_until

_UNKNOWN_WAIT_S = 2
_MODEMS = 2


@dataclass(slots=True)
class Traffic:
    """Messages both ways in small waves, so that every kill meets some."""

    stage: Stage
    out: int
    inward: int
    sent_out: int = 0
    sent_in: int = 0
    rng: random.Random = field(default_factory=random.Random)

    def wave(self) -> None:
        """The next few, if any are left."""
        count = min(self.rng.randint(4, 12), self.out - self.sent_out)
        if count > 0:
            texts = [self._text(self.sent_out + n) for n in range(count)]
            self.stage.server.enqueue(
                count, texts=texts, recipients=[f"+99890{self.sent_out + n:07d}" for n in range(count)]
            )
            self.sent_out += count
        for _ in range(min(3, self.inward - self.sent_in)):
            self.sent_in += 1
            text = f"in {self.sent_in} " + ("lang " * 50 if self.sent_in % 5 == 0 else "")
            self.stage.modem.control.deliver(f"+49170{self.sent_in:07d}", text, modem=self.sent_in % _MODEMS)

    @property
    def is_over(self) -> bool:
        return self.sent_out >= self.out and self.sent_in >= self.inward

    @staticmethod
    def _text(number: int) -> str:
        return f"out {number} " + ("and quite long " * 15 if number % 7 == 0 else "")


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Random kills with both policies, every named point, and a server that is away meanwhile."""
    rng = random.Random(seed)
    kills, out, inward = (2, 16, 4) if short else (30, 200, 50)
    points = rng.sample(sorted(POINTS), 2) if short else sorted(POINTS)
    away_kills, away_s = (1, 3.0) if short else (10, 120.0)

    def dice() -> random.Random:
        return random.Random(rng.random())

    scenes: list[Callable[[], None]] = [
        partial(_random, directory / "resend", figures, dice(), kills, out, inward, "resend", away_s=0.0),
        partial(_random, directory / "fail", figures, dice(), kills, out, inward, "fail", away_s=0.0),
        partial(_random, directory / "away", figures, dice(), away_kills, out, inward, "resend", away_s=away_s),
        *(partial(_point, directory / point, figures, dice(), point) for point in points),
    ]
    if short:
        side_by_side(scenes)
        return
    for scene in scenes:
        scene()


def _stage(directory: Path) -> Stage:
    return Stage(directory, "--radio-time", "0.15", "--report-delay", "0.4", "--report-jitter", "0.3", modems=_MODEMS)


def _set_up(stage: Stage, policy: str) -> None:
    stage.server.add_device(default_sim_slot=None)
    stage.server.set_account(webhook_url_incoming=stage.server.hook_url)
    stage.configure(agent={"unknown_wait_s": _UNKNOWN_WAIT_S, "on_unknown": policy})


def _random(
    directory: Path,
    figures: Figures,
    rng: random.Random,
    kills: int,
    out: int,
    inward: int,
    policy: str,
    *,
    away_s: float,
) -> None:
    with _stage(directory) as stage:
        _set_up(stage, policy)
        traffic = Traffic(stage, out, inward, rng=rng)
        for number in range(kills):
            stage.daemon.start()
            until = time.monotonic() + rng.uniform(0.5, 2.5)
            if away_s and number == kills // 2:
                stage.server.away(away_s)
                until = time.monotonic() + away_s * rng.uniform(0.3, 0.9)
            while time.monotonic() < until:
                traffic.wave()
                time.sleep(rng.uniform(0.05, 0.3))
            stage.daemon.kill()
        stage.daemon.start()
        while not traffic.is_over:
            traffic.wave()
            time.sleep(0.05)
        account = _finish(stage, out, inward)
        away = f", server away {away_s:g} s" if away_s else ""
        _judge(figures, f"{kills} random kills, on_unknown = {policy}{away}", account, kills, policy)


def _point(directory: Path, figures: Figures, rng: random.Random, point: str) -> None:
    count = rng.randint(2, 4)
    with _stage(directory) as stage:
        _set_up(stage, "resend")
        stage.daemon.start(f"{point}:{count}")
        traffic = Traffic(stage, 12, 6, rng=rng)
        while not traffic.is_over:
            traffic.wave()
            time.sleep(0.05)
        wait_until(f"killed at {point}:{count}", stage.daemon.is_dead, 30)
        stage.daemon.start()
        account = _finish(stage, 12, 6)
        _judge(figures, f"killed at {point}:{count}", account, 1, "resend")


def _finish(stage: Stage, out: int, inward: int) -> Account:
    stage.wait_for_states(("delivered", "failed"), out, 240)

    def all_in() -> bool:
        return len({h["body"]["data"]["message_id"] for h in stage.server.hooks() if _is_incoming(h)}) >= inward

    wait_until(f"{inward} incoming at the server", all_in, 60, 0.2)
    time.sleep(0.5)  # whatever would come twice has time to do so
    return stage.account(final=("delivered", "failed"))


def _is_incoming(hook: dict[str, Any]) -> bool:
    return isinstance(hook["body"], dict) and hook["body"].get("event") == "incoming"


def _judge(figures: Figures, what: str, account: Account, kills: int, policy: str) -> None:
    doubles = sum(len(doubled.repeats) for doubled in account.doubled)
    reported = sum(doubled.was_reported_before for doubled in account.doubled)
    allowed = kills * _MODEMS if policy == "resend" else 0
    inbound = account.inbound
    told = (
        f"lost {len(account.lost)}, doubled {doubles} (allowed {allowed}; with a report before: {reported}), "
        f"failed {account.statuses.get('failed', 0)}, unreported {len(account.unreported)}, "
        f"wrong order {len(account.wrong_order)}; in: {inbound.arrived} of {inbound.expected}, "
        f"missing {len(inbound.missing)}, doubled {len(inbound.doubled)}"
    )
    is_met = (
        not account.lost
        and doubles <= allowed
        and not reported
        and not account.unreported
        and not account.wrong_order
        and not inbound.missing
        and not inbound.doubled
        and (policy == "fail" or account.statuses.get("failed", 0) == 0)
    )
    figures.expect(what, told, is_met)
