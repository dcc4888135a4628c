"""A week left alone, in minutes: the real processes under one clock that skips whatever nobody works on.

Two modems, traffic both ways, each day a modem unplugged and the server away, once the clock set ten days forward.
What is counted stands in the modems' log, the server's log, the service manager's socket and the daemon's own log.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.accountant import Account
from tests.mobsms_server.record import read_lines
from tests.prove import firings
from tests.prove.figures import Figures
from tests.prove.firings import Span
from tests.prove.stage import NotInTime, Stage, wait_until
from tests.skipping import SkippingClock

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86_400.0
_DAYS, _MODEMS = 7, 2
_QUARTER_S = 900.0
_OUT_PER_QUARTER, _IN_PER_QUARTER = 6, 1
_UNPLUGGED_S, _AWAY_S = 1200.0, 1800.0
_JUMP_S = 10 * _DAY_S
_SWEEP_S, _REFRESH_S, _POLL_S, _BALANCE_H, _ALERTS_S = 300.0, 600.0, 60.0, 6.0, 60.0
_LOOK_S, _HOUSEKEEPING_S, _WATCHDOG_S = 45.0, 60.0, 20.0
"""The first two are the program's own; the last is a third of WatchdogSec, as the unit has it."""
_BACK_S = 60.0
"""After a modem is plugged in, or a server is back, its timers may take so long to run again."""
_SPEED = 0.1
"""Of the clock while somebody works, so that what a busy machine takes longer is no gap of a timer."""
_MOST_GROWN = 1.05
_LATEST_END_S = 2 * _HOUR_S


@dataclass(slots=True)
class _Week:
    stage: Stage
    clock: SkippingClock
    dice: random.Random
    out: int = 0
    inward: int = 0
    beats: list[float] = field(default_factory=list)
    ballasts: list[bool] = field(default_factory=list)
    sizes_mb: list[float] = field(default_factory=list)
    resident_mb: dict[float, float] = field(default_factory=dict)
    unplugged: dict[int, list[Span]] = field(default_factory=dict)
    away: list[Span] = field(default_factory=list)
    _plan: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)

    def at(self, instant_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._plan, (instant_s, len(self._plan) + int(instant_s) * 1000, act))

    def live(self, until_s: float, between: Callable[[], object]) -> None:
        """Do what is planned, each at its time."""
        while self._plan and self._plan[0][0] < until_s:
            instant_s, _, act = heapq.heappop(self._plan)
            self.clock.run(instant_s - self.clock.elapsed_s(), between)
            act()
        self.clock.run(until_s - self.clock.elapsed_s(), between)

    # --- what happens

    def quarter(self) -> None:
        rows = []
        for _ in range(_OUT_PER_QUARTER):
            self.out += 1
            text = f"out {self.out} " + ("and quite long " * 15 if self.out % 7 == 0 else "")
            rows.append({"recipient_number": f"+99890{self.out:07d}", "message": text})
        self.stage.server.enqueue(messages=rows)
        for _ in range(_IN_PER_QUARTER):
            self.inward += 1
            text = f"in {self.inward} " + ("lang " * 50 if self.inward % 5 == 0 else "")
            # What arrives for a modem that is unplugged waits at the network.
            self.stage.modem.control.deliver(f"+49170{self.inward:07d}", text, modem=self.inward % _MODEMS)

    def unplug(self, modem: int, seconds: float) -> None:
        now = self.clock.monotonic_s()
        self.stage.modem.control.request("unplug", modem, seconds=seconds)
        self.unplugged.setdefault(modem, []).append((now, now + seconds + _BACK_S))

    def leave(self, seconds: float) -> None:
        now = self.clock.monotonic_s()
        self.stage.server.away(seconds)
        self.away.append((now, now + seconds + _BACK_S))

    def take_ballast(self) -> None:
        """Whether rounds of housekeeping look after the reserve is seen by taking it away every two of them."""
        path = self.stage.daemon.state / "journal.ballast"
        self.ballasts.append(path.exists())
        path.unlink(missing_ok=True)

    def weigh(self) -> None:
        self.resident_mb[self.clock.elapsed_s()] = self.stage.daemon.resident_mb()

    def measure(self) -> None:
        files = ("journal.db", "journal.db-wal")
        sizes = [path.stat().st_size for name in files if (path := self.stage.daemon.state / name).exists()]
        self.sizes_mb.append(sum(sizes) / 1e6)


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """A week; the short form is half an hour, with shorter troubles."""
    length_s = 30 * _MINUTE_S if short else _DAYS * _DAY_S
    directory.mkdir(parents=True, exist_ok=True)
    clock = SkippingClock(directory / "clock", speed=_SPEED)
    flags = ("--radio-time", "2", "--report-delay", "3", "--report-jitter", "3", "--log-commands")
    began_s = time.monotonic()
    with (
        _notify_socket(directory / "notify") as notified,
        Stage(directory, *flags, modems=_MODEMS, clock=clock) as stage,
    ):
        week = _Week(stage, clock, random.Random(seed))
        _set_up(stage, directory / "notify", short=short)
        # As the user has it, since it is what keeps libraries and heaps out of the process.
        stage.daemon.module = ("agent.cli", "run", "-c")
        stage.daemon.start()
        wait_until("READY=1 of the daemon", lambda: b"READY=1" in (_received(notified) or b""), 60)
        clock.expect(3)

        def between() -> None:
            while (datagram := _received(notified)) is not None:
                if b"WATCHDOG=1" in datagram:
                    week.beats.append(clock.monotonic_s())

        _plan(week, length_s, short=short)
        start = clock.monotonic_s() + _BACK_S
        week.live(length_s, between)
        span = (start, clock.monotonic_s())
        week.weigh()
        week.measure()
        account = _finish(week, between)
        took_s = time.monotonic() - began_s
        figures.state("clock", f"{clock.elapsed_s() / _DAY_S:.2f} days in {took_s:.0f} s, {clock.skips} skips")
        # What it takes on a machine with nothing else to do, since mostly one works at a time.
        figures.state("processor, s: the clock, simulator, server and daemon", _cpu_s(os.getpid(), *clock.pids()))
        _judge(figures, week, account)
        _judge_timers(figures, week, span, short=short)
        _judge_sizes(figures, week, short=short)
    clock.close()


def _set_up(stage: Stage, notify: Path, *, short: bool) -> None:
    stage.server.add_device(default_sim_slot=None)
    stage.server.set_account(webhook_url_incoming=stage.server.hook_url)
    route = {"sweep_interval_s": _SWEEP_S, "balance_code": "*100#", "balance_every_h": _BALANCE_H}
    stage.configure(
        agent={"log_format": "json", "device_name": "phonebridge"},
        route=route,
        upstream={"poll_interval_s": 2, "idle_poll_interval_s": _POLL_S, "device_refresh_s": _refresh_s(short)},
    )
    kinds = ("sent", "failed", "inbound", "attempts", "events", "hooks", "requests")
    with stage.daemon.config_path.open("a") as config:
        config.write("\n[retention]\n" + "".join(f"{kind}_days = 1\n" for kind in kinds))
        config.write(f'\n[alerts]\nwebhook = "http://127.0.0.1:{stage.server.hook_port}/alerts"\n')
        config.write(f"check_interval_s = {_ALERTS_S}\n")
        config.write(f"no_network_after_s = {_unplugged_s(short)}\nupstream_down_after_s = {_away_s(short)}\n")
    stage.daemon.environment = {"NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": str(round(3 * _WATCHDOG_S * 1e6))}


def _unplugged_s(short: bool) -> float:
    """After this it is told."""
    return 30 if short else 600


def _away_s(short: bool) -> float:
    return 30 if short else 900


def _refresh_s(short: bool) -> float:
    return _REFRESH_S / 4 if short else _REFRESH_S


def _plan(week: _Week, length_s: float, *, short: bool) -> None:
    def every(step_s: float, first_s: float, act: Callable[[], None]) -> None:
        instant_s = first_s
        while instant_s < length_s - _MINUTE_S:
            week.at(instant_s, act)
            instant_s += step_s

    every(_QUARTER_S, 30.0, week.quarter)
    every(2 * _HOUSEKEEPING_S, 1000.0, week.take_ballast)
    every(_QUARTER_S if short else _HOUR_S, _QUARTER_S if short else _HOUR_S, week.weigh)
    every(_DAY_S, _DAY_S - _MINUTE_S, week.measure)
    if short:
        week.at(5.5 * _MINUTE_S, lambda: week.unplug(0, 3 * _MINUTE_S))
        week.at(14.5 * _MINUTE_S, lambda: week.leave(4 * _MINUTE_S))
        week.at(21 * _MINUTE_S, lambda: week.clock.jump(_JUMP_S))
        return
    for day in range(int(length_s / _DAY_S)):
        # At any moment of an hour, so that a trouble meets messages in another state each day.
        unplugged, away = 24 * day + 3 + week.dice.random(), 24 * day + 14 + week.dice.random()
        week.at(unplugged * _HOUR_S, lambda modem=day % _MODEMS: week.unplug(modem, _UNPLUGGED_S))  # type: ignore[misc]
        week.at(away * _HOUR_S, lambda: week.leave(_AWAY_S))
    week.at(3.5 * _DAY_S, lambda: week.clock.jump(_JUMP_S))


def _finish(week: _Week, between: Callable[[], object]) -> Account:
    """Until the server knows how every message ended. Raises: NotInTime."""
    for _ in range(int(_LATEST_END_S / _MINUTE_S)):
        week.clock.run(_MINUTE_S, between)
        status = week.stage.server.counts()["status"]
        if status.get("delivered", 0) + status.get("failed", 0) >= week.out:
            return week.stage.account(final=("delivered", "failed"))
    raise NotInTime(f"not within {_LATEST_END_S:.0f} s of the clock: {week.out} messages reported; {status}")


# --- what came of it


def _judge(figures: Figures, week: _Week, account: Account) -> None:
    inbound = account.inbound
    figures.state("messages out and in, parts", f"{week.out}, {week.inward}, {account.parts}")
    figures.state("how messages ended", account.statuses)
    for name, found in (
        ("lost", account.lost),
        ("sent twice", account.doubled),
        ("unreported", account.unreported),
        ("reports out of order", account.wrong_order),
        ("reported before it was out", account.premature),
        ("inbound lost", inbound.missing),
        ("inbound doubled", inbound.doubled),
        ("changed, or never sent by anybody", [*inbound.unexpected, *inbound.changed, *account.unexpected]),
    ):
        figures.expect(name, f"{len(found)} {found[:2] if found else ''}".strip(), not found)
    figures.expect("failed", account.statuses.get("failed", 0), not account.statuses.get("failed", 0))


def _judge_timers(figures: Figures, week: _Week, span: Span, *, short: bool) -> None:
    def expect(name: str, instants: list[float], interval_s: float, down: list[Span], most: float = 1.2) -> None:
        found = firings.count(instants, interval_s, span, down)
        figures.expect(f"{name}, every {interval_s:g} s", found, found.are_in_time(interval_s, most))

    for modem in range(_MODEMS):
        down = week.unplugged.get(modem, [])
        events = [event for event in week.stage.events("command", "ussd") if event["modem"] == modem]

        def of(name: str, events: list[dict[str, Any]] = events) -> list[float]:
            return [event["mono_s"] for event in events if name in event.get("names", "").split()]

        expect(f"sweep of modem {modem}", of("+CMGL"), _SWEEP_S, down)
        expect(f"heart-beat of modem {modem}", of("+CSQ"), _LOOK_S, down)
        if not short:
            asked = [event["mono_s"] for event in events if event["event"] == "ussd"]
            expect(f"balance of modem {modem}", asked, _BALANCE_H * _HOUR_S, [])
    # Without the key it is nobody of this scene.
    lines = read_lines(week.stage.server.log_path)
    requests = [line for line in lines if line["event"] == "request" and line["status"] != 401]
    polls = [line["mono_s"] for line in requests if line["method"] == "GET" and line["path"] == "/api/sms"]
    looks = [line["mono_s"] for line in requests if line["method"] == "GET" and line["path"] == "/api/devices"]
    # While work comes there are more polls, up to one every two seconds.
    expect("poll", polls, _POLL_S, week.away, most=3.0)
    # It goes with the first poll after it is due.
    expect("device refresh", looks, _refresh_s(short) + _POLL_S, week.away)
    expect("watchdog", week.beats, _WATCHDOG_S, [])
    figures.expect(
        f"reserve made again by housekeeping, every {_HOUSEKEEPING_S:g} s, of times that it was taken away",
        f"{sum(week.ballasts)} of {len(week.ballasts)}",
        all(week.ballasts),
    )
    _judge_alerts(figures, week, short=short)
    if not short:
        log = [json.loads(line) for line in week.stage.daemon.log().splitlines() if line.startswith("{")]
        cleared = [_instant(line) for line in log if line["event"] == "old_rows_deleted"]
        jumps = [_instant(line) for line in log if line["event"] == "clock_jumped"]
        first = _instant(log[0])
        figures.expect("clock jumps noticed by retention", len(jumps), len(jumps) == 1)
        wall = (first + _DAY_S + _HOUR_S, _instant(log[-1]))
        quiet = [(jumps[0] - _JUMP_S - _HOUR_S, jumps[0] + _DAY_S)] if jumps else []
        found = firings.count(cleared, _HOUR_S, wall, quiet)
        figures.expect("retention, every hour but for a day after the jump", found, found.are_in_time(_HOUR_S, 1.2))


def _judge_alerts(figures: Figures, week: _Week, *, short: bool) -> None:
    told = [line for line in read_lines(week.stage.server.log_path) if _is_alert(line)]
    raised = [line["mono_s"] for line in told if line["body"]["state"] == "raised"]
    due = [begin + _unplugged_s(short) for spans in week.unplugged.values() for begin, _ in spans]
    due = sorted(due + [begin + _away_s(short) for begin, _ in week.away])
    figures.expect("alerts told of an outage, and of its end", f"{len(told)} for {len(due)}",
                   len(told) == 2 * len(due) == 2 * len(raised))  # fmt: skip
    latest_s = max((one - other for one, other in zip(raised, due, strict=False)), default=0.0)
    # A server is known to be away from the first poll that fails, and no poll is on the dot.
    figures.expect(f"latest alert after it was due, looked for every {_ALERTS_S:g} s", f"{latest_s:.1f} s",
                   latest_s <= 1.2 * (_POLL_S + _ALERTS_S))  # fmt: skip


def _judge_sizes(figures: Figures, week: _Week, *, short: bool) -> None:
    weights = [week.resident_mb[instant] for instant in sorted(week.resident_mb)]
    grown = weights[-1] / weights[0]
    what = f"VmRSS after an hour, at most, and at the end, MB: {weights[0]:.1f}, {max(weights):.1f}, {weights[-1]:.1f}"
    if short:
        figures.state(what, f"{grown:.3f}")
        return
    figures.expect(what, f"{grown:.3f}", grown <= _MOST_GROWN)
    sizes = ", ".join(f"{size:.2f}" for size in week.sizes_mb)
    # Two days of rows are kept at the most where old ones go after one; after the jump it is another day longer.
    bound = 3 * week.sizes_mb[0]
    figures.expect(f"journal at the end of each day ({sizes} MB), at most", f"{max(week.sizes_mb):.2f} MB",
                   max(week.sizes_mb) <= bound and week.sizes_mb[-1] <= 2 * week.sizes_mb[0])  # fmt: skip


def _is_alert(line: dict[str, Any]) -> bool:
    return line["event"] == "hook" and line["path"] == "/alerts" and isinstance(line["body"], dict)


def _cpu_s(*pids: int) -> str:
    ticks = os.sysconf("SC_CLK_TCK")
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split() for pid in pids]
    return " + ".join(f"{(int(stat[11]) + int(stat[12])) / ticks:.0f}" for stat in stats)


def _instant(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


# --- the service manager's socket


@contextmanager
def _notify_socket(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.setblocking(False)
        yield receiver


def _received(receiver: socket.socket) -> bytes | None:
    try:
        return receiver.recv(4096)
    except BlockingIOError:
        return None
