"""One run: traffic both ways, an action every now and then, healing, and the account."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.accountant import Account, join, parts_on_air
from tests.mobsms_server.dump import content_of
from tests.prove.measured import Figures
from tests.prove.stage import NotInTime, Stage, wait_until
from tests.torture.actions import ACTIONS
from tests.torture.scene import MODEMS, Scene

_OUT_PER_S = 1.2
_IN_PER_S = 0.5
_RECIPIENTS = 25
"""Few, so that messages to one recipient meet, and their order can be judged."""
_LATEST_START_S = 60.0
_LATEST_END_S = 300.0
_FINAL = ("delivered", "failed")


class _Traffic:
    def __init__(self, scene: Scene) -> None:
        self.out = self.inward = 0
        self._scene = scene
        self._debt_out = self._debt_in = 0.0

    def flow(self, seconds: float) -> None:
        """What comes in so many seconds."""
        dice = self._scene.dice
        self._debt_out += seconds * _OUT_PER_S
        self._debt_in += seconds * _IN_PER_S
        while self._debt_out >= 1:
            self._debt_out -= 1
            self.out += 1
            text = f"out {self.out} " + ("and quite long " * 15 if self.out % 7 == 0 else "")
            number = f"+99890{dice.randrange(_RECIPIENTS):07d}"
            self._scene.stage.server.enqueue(messages=[{"recipient_number": number, "message": text}])
        while self._debt_in >= 1:
            self._debt_in -= 1
            self.inward += 1
            text = f"in {self.inward} " + ("lang " * 50 if self.inward % 5 == 0 else "")
            modem, gap_s = self.inward % MODEMS, dice.uniform(0, 1)
            self._scene.ask_modem(modem, "deliver", **{"from": f"+49170{self.inward:07d}"}, text=text, gap_s=gap_s)


def torture(directory: Path, seconds: float, dice: random.Random, seed: int, keep: Path | None = None) -> Figures:
    """`keep`: where logs and journal go to. What is not in time is a miss. Raises: NotInTime: the first start."""
    figures = Figures("torture")
    print(f"torture for {seconds:.0f} s (seed {seed})", flush=True)
    flags = ("--radio-time", "0.2", "--report-delay", "0.4", "--report-jitter", "0.5", "--boot-time", "1")
    with Stage(directory, *flags, modems=MODEMS) as stage, (directory / "actions.log").open("w") as record:

        def log(line: str) -> None:
            record.write(f"{time.monotonic():.3f} {line}\n")
            record.flush()

        scene = Scene(stage, dice, log)
        stage.server.add_device(default_sim_slot=None)
        stage.server.set_account(webhook_url_incoming=stage.server.hook_url)
        stage.configure(
            agent={"unknown_wait_s": 4, "on_unknown": "resend"},
            route={"submit_timeout_s": 8, "sweep_interval_s": 5},
        )
        done: Counter[str] = Counter()
        traffic = _Traffic(scene)
        _begin(scene)
        _strike(scene, traffic, done, time.monotonic() + seconds, log)
        scene.heal()
        log("healed")
        try:
            _end(scene, traffic)
        except NotInTime as error:
            figures.expect("everything comes to its end", str(error), False)
            # Its log then tells where every task stood.
            if stage.daemon.process is not None:
                stage.daemon.process.send_signal(signal.SIGUSR1)
            time.sleep(1.0)
        flagged = scene.flagged()
        account = stage.account(final=_FINAL)
        figures.state("actions", ", ".join(f"{name} {count}" for name, count in sorted(done.items())))
        figures.state("times the daemon was killed", scene.kills)
        # It may give up on a full disk, and be started again; it must not be ended by a signal that nobody sent.
        crashed = [code for code in scene.own_ends if code is not None and code < 0]
        figures.expect("exit codes where it ended by itself, none by a signal", f"{scene.own_ends}", not crashed)
        _judge(figures, account, flagged, stage, traffic)
        if keep is not None:
            no_files = shutil.ignore_patterns("*.sock", "modem[0-9]")
            shutil.copytree(directory, keep, dirs_exist_ok=True, ignore=no_files)
        scene.leave()
    return figures


def _begin(scene: Scene) -> None:
    """Returns when the daemon has a journal: one born under a clock that was set holds what is older by days."""

    def is_up() -> bool:
        scene.tick()
        return " started " in scene.stage.daemon.log()

    wait_until("the first start", is_up, _LATEST_START_S)


def _strike(scene: Scene, traffic: _Traffic, done: Counter[str], until: float, log: Any) -> None:
    last = time.monotonic()
    next_action = last + 3.0
    weights = [action.weight for action in ACTIONS]
    shown = last
    while (now := time.monotonic()) < until:
        scene.tick()
        traffic.flow(now - last)
        last = now
        if now >= next_action:
            (action,) = scene.dice.choices(ACTIONS, weights)
            log(f"{action.name}: {action.act(scene)}")
            done[action.name] += 1
            next_action = time.monotonic() + scene.dice.uniform(0.2, 3.0)
        if now - shown >= 30:
            shown = now
            print(
                f"  {until - now:.0f} s left, {traffic.out} out, {traffic.inward} in, {done.total()} actions",
                flush=True,
            )
        time.sleep(0.05)


def _end(scene: Scene, traffic: _Traffic) -> None:
    """Everything reported, everything in. Raises: NotInTime."""
    stage = scene.stage

    def is_over() -> bool:
        scene.tick()
        return len(_rows(stage)) >= traffic.out and not _open(stage)

    wait_until(f"all {traffic.out} messages reported to their end", is_over, _LATEST_END_S, 0.5)

    def is_all_in() -> bool:
        scene.tick()
        return not stage.account(final=_FINAL).inbound.missing

    wait_until(f"all {traffic.inward} inbound at the server", is_all_in, 120, 1.0)
    time.sleep(2.0)  # whatever would come twice has time to do so


def _rows(stage: Stage) -> list[dict[str, Any]]:
    return [row for row in stage.server.dump()["messages"] if row["direction"] == "outbound"]


def _open(stage: Stage) -> list[int]:
    """Ids of messages whose end the server does not know although it could: where a part's report never reached the
    modem, or was not asked for, "sent" is the last that anybody can know."""
    unknowable = {
        (message.recipient, message.text)
        for message in join(parts_on_air(stage.events()))
        if {part.sequence for part in message.parts} > {p.sequence for p in message.parts if p.reported_s is not None}
    }
    return [
        row["id"]
        for row in _rows(stage)
        if row["status"] not in _FINAL and not (row["status"] == "sent" and content_of(row) in unknowable)
    ]


def _judge(figures: Figures, account: Account, flagged: set[tuple[str, str]], stage: Stage, traffic: _Traffic) -> None:
    inbound = account.inbound
    unflagged = [one for one in account.doubled if not _is_flagged(one.recipient, one.text, flagged)]
    figures.state("messages out and in", f"{traffic.out}, {traffic.inward}")
    figures.state("parts on the air, and how messages ended", f"{account.parts}, {account.statuses}")
    figures.expect("lost", _shown(account.lost), not account.lost)
    figures.state("sent twice and flagged so", len(account.doubled) - len(unflagged))
    figures.expect("sent twice, unflagged", _shown(unflagged), not unflagged)
    unreported = _open(stage)
    figures.expect("unreported", _shown(unreported), not unreported)
    denied = _denied(stage, flagged)
    figures.expect("told failed, although it was out, and unflagged", _shown(denied), not denied)
    figures.expect("reported before it was out", _shown(account.premature), not account.premature)
    figures.expect("reports out of order", _shown(account.wrong_order), not account.wrong_order)
    overtaken = _overtaken(stage)
    # One that was under way on one SIM when the next was given to another may fail, and follow it.
    figures.state("left behind a later one to the same recipient", _shown(overtaken))
    figures.expect("inbound lost", _shown(inbound.missing), not inbound.missing)
    figures.expect("inbound doubled", _shown(inbound.doubled), not inbound.doubled)
    strange = [*inbound.unexpected, *inbound.changed, *account.unexpected]
    figures.expect("changed, or never sent by anybody", _shown(strange), not strange)


def _denied(stage: Stage, flagged: set[tuple[str, str]]) -> list[int]:
    whole = {(message.recipient, message.text) for message in join(parts_on_air(stage.events())) if message.is_complete}
    told = [(row["id"], content_of(row)) for row in _rows(stage) if row["status"] == "failed"]
    return [number for number, content in told if content in whole and content not in flagged]


def _is_flagged(recipient: str, part: str, flagged: set[tuple[str, str]]) -> bool:
    return any(number == recipient and part in text for number, text in flagged)


def _overtaken(stage: Stage) -> list[str]:
    """Messages whose first part left before that of an elder one to the same recipient had left."""
    age = {content_of(row): row["id"] for row in _rows(stage)}
    first: dict[tuple[str, str], float] = {}
    for message in join(parts_on_air(stage.events())):
        if message.is_complete:
            first.setdefault((message.recipient, message.text), message.first_s)
    ways: dict[str, list[tuple[int, float, str]]] = defaultdict(list)
    for content, instant in first.items():
        if content in age:
            ways[content[0]].append((age[content], instant, content[1]))
    return [
        f"{later[2][:12]!r} to {recipient}"
        for recipient, way in ways.items()
        for elder, later in pairwise(sorted(way))
        if later[1] < elder[1]
    ]


def _shown(found: Any) -> str:
    return f"{len(found)}{'  ' + '; '.join(str(one)[:90] for one in found[:3]) if found else ''}"
