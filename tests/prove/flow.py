"""Messages pulled from a MobSMS server go out once, are reported in order, by the right slot and delay."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from tests.accountant import Account, gaps, join, parts_on_air
from tests.prove.measured import Figures
from tests.prove.own_server import LocalServer
from tests.prove.runner import side_by_side
from tests.prove.stage import Stage


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """All four ways, on the documented-only server and on our own local server."""
    random.seed(seed)
    count, radio_s = (6, 0.1) if short else (60, 1.0)
    delayed, delay_s = (3, 1.0) if short else (60, 3.0)
    ways = [
        way
        for kind in ("documented", "local")
        for way in (
            partial(_by_slot, directory / f"{kind}-slot", figures, kind, count, radio_s),
            partial(_spread, directory / f"{kind}-any", figures, kind, count, radio_s),
            partial(_delayed, directory / f"{kind}-delay", figures, kind, delayed, delay_s, radio_s),
        )
    ]
    if short:
        side_by_side(ways)
        return
    for way in ways:
        way()


def _stage(directory: Path, kind: str, radio_s: float) -> Stage:
    server = LocalServer(directory / "server") if kind == "local" else None
    return Stage(directory, "--radio-time", str(radio_s), "--report-delay", "0.3", modems=2, server=server)


def _by_slot(directory: Path, figures: Figures, kind: str, count: int, radio_s: float) -> None:
    with _stage(directory, kind, radio_s) as stage:
        stage.server.add_device(default_sim_slot=0)
        stage.server.enqueue(count, text="slot zero {n}")
        stage.configure()
        stage.daemon.start()
        stage.wait_for_states(("delivered",), count, 60 + 2 * count * radio_s)
        account = stage.account()
        _expect_clean(figures, f"{kind}, default_sim_slot 0", account, count)
        figures.expect(
            f"{kind}, default_sim_slot 0: all by slot 0", account.per_modem, list(account.per_modem) == ["modem#0"]
        )
        figures.expect(f"{kind}, default_sim_slot 0: out of turn", account.out_of_turn, account.out_of_turn == 0)


def _spread(directory: Path, figures: Figures, kind: str, count: int, radio_s: float) -> None:
    with _stage(directory, kind, radio_s) as stage:
        stage.server.add_device(default_sim_slot=0)
        stage.server.enqueue(count, text="any {n}")
        stage.configure(upstream={"sim_choice": "any"})
        stage.daemon.start()
        stage.wait_for_states(("delivered",), count, 60 + 2 * count * radio_s)
        account = stage.account()
        _expect_clean(figures, f'{kind}, sim_choice "any"', account, count)
        smaller = min(account.per_modem.values(), default=0)
        figures.expect(
            f'{kind}, sim_choice "any": messages per modem',
            account.per_modem,
            len(account.per_modem) == 2 and smaller >= count // 3,
        )


def _delayed(directory: Path, figures: Figures, kind: str, count: int, delay_s: float, radio_s: float) -> None:
    with _stage(directory, kind, radio_s) as stage:
        stage.server.add_device(send_delay_seconds=int(delay_s), default_sim_slot=None)
        stage.server.enqueue(count, text="slow {n}")
        stage.configure()
        stage.daemon.start()
        stage.wait_for_states(("sent", "delivered"), count // 2, 60 + 2 * count * (delay_s + radio_s))
        stage.daemon.stop()
        stage.daemon.start()
        stage.wait_for_states(("delivered",), count, 60 + 2 * count * (delay_s + radio_s))
        account = stage.account()
        _expect_clean(figures, f"{kind}, send_delay_seconds {delay_s:g} with a restart", account, count)
        shortest = min(gaps(join(parts_on_air(stage.events()))))
        figures.expect(f"{kind}, shortest gap between two messages, s", f"{shortest:.3f}", shortest >= delay_s)


def _expect_clean(figures: Figures, what: str, account: Account, count: int) -> None:
    told = (
        f"{account.messages} on the air, lost {len(account.lost)}, doubled {len(account.doubled)}, "
        f"unreported {len(account.unreported)}, wrong order {len(account.wrong_order)}, "
        f"before its time {len(account.premature)}, without sent {account.without_sent}, "
        f"violations {account.violations or 0}"
    )
    is_met = account.is_clean and account.messages == count and account.without_sent == 0
    figures.expect(f"{what}: {count} messages", told, is_met)
