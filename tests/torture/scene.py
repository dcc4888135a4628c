"""What is tortured: daemon, modems and server as processes, the journal on a disk of its own that can be full."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from drivers.simulator.control import ControlError
from tests.clocked import TestClock
from tests.mobsms_server.dump import same_number
from tests.prove.stage import Stage

MODEMS = 2
_DISK = "24m"
INSIDE = "PHONEBRIDGE_TORTURE_INSIDE"
"""Set in the environment where the mounts are this process's own."""
_RESTART_S = 1.0
"""The service would start again after RestartSec; here a little sooner."""
_LONGEST_JUMP_S = 10 * 86_400.0


class Process(Protocol):
    """One that this run has started; never a bare id, which another may have by the time of a signal."""

    def send_signal(self, number: int, /) -> None: ...


class Scene:
    """All processes, and what is to be undone later. `log` is called with a line for everything that was done."""

    def __init__(self, stage: Stage, dice: random.Random, log: Callable[[str], None]) -> None:
        self.stage = stage
        self.dice = dice
        self.log = log
        self.kills = 0
        self.own_ends: list[int | None] = []
        """Exit codes of the daemon where nobody killed it."""
        self.has_disk = _mount(stage.daemon.state)
        self.clock = TestClock(stage.directory / "clock")
        stage.daemon.clock = self.clock
        self._undo: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._start_at: float | None = 0.0
        self._offset_s = 0.0
        self._pauses: list[threading.Timer] = []

    # --- what happens

    def later(self, seconds: float, undo: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._undo, (time.monotonic() + seconds, self._count, undo))

    def tick(self) -> None:
        """Undo what is due, and start the daemon where it has ended."""
        while self._undo and self._undo[0][0] <= time.monotonic():
            heapq.heappop(self._undo)[2]()
        daemon = self.stage.daemon
        if self._start_at is None and daemon.is_dead():
            self.own_ends.append(daemon.exit_code())
            self.log(f"the daemon ended by itself, {self.own_ends[-1]}: {daemon.log()[-200:]!r}")
            self._start_at = time.monotonic() + _RESTART_S
        if self._start_at is not None and time.monotonic() >= self._start_at:
            self._start_at = None
            daemon.start()

    def heal(self) -> None:
        """Undo everything, and let the daemon run."""
        for waking in self._pauses:
            waking.join()
        for _, _, undo in sorted(self._undo):
            undo()
        self._undo.clear()
        self.stage.server.clear_faults()
        with contextlib.suppress(ControlError):
            for modem in range(MODEMS):
                self.stage.modem.control.request("clear_faults", modem)
        self.free_disk()

    def leave(self) -> None:
        """The daemon is killed, and its disk goes."""
        self.stage.daemon.kill()
        if self.has_disk:
            subprocess.run(["umount", str(self.stage.daemon.state)], check=False)

    def kill_daemon(self, down_s: float) -> None:
        self.stage.daemon.kill()
        self.kills += 1
        self._start_at = time.monotonic() + down_s

    def pause(self, process: Process, seconds: float) -> None:
        """SIGSTOP, as a machine that swaps or a debugger does; SIGCONT later, also while this thread waits for it."""
        process.send_signal(signal.SIGSTOP)
        waking = threading.Timer(seconds, process.send_signal, (signal.SIGCONT,))
        waking.start()
        self._pauses.append(waking)

    def fill_disk(self, seconds: float) -> None:
        filler = self.stage.daemon.state / "filler"
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * size)
        self.later(seconds, self.free_disk)

    def free_disk(self) -> None:
        (self.stage.daemon.state / "filler").unlink(missing_ok=True)

    def jump_clock(self) -> float:
        """To a wall clock up to ten days off either way; returns how far it went."""
        target = self.dice.uniform(-_LONGEST_JUMP_S, _LONGEST_JUMP_S) * self.dice.choice((0.0001, 0.01, 1.0))
        step = target - self._offset_s
        self._offset_s = target
        self.clock.jump(step)
        return step

    def ask_modem(self, modem: int, operation: str, **fields: Any) -> None:
        """An operation that the modem may refuse in its state, e.g. unplugged already."""
        with contextlib.suppress(ControlError):
            self.stage.modem.control.request(operation, modem, **fields)

    # --- what the journal says of doubles

    def flagged(self) -> set[tuple[str, str]]:
        """Recipient and text of what the gateway itself says that it may have sent twice, as its command shows it."""
        program = [str(Path(sys.executable).with_name("phonebridge")), "messages", "--full", "--json", "--limit", "200"]
        found: set[tuple[str, str]] = set()
        for page in itertools.count(1):
            command = [*program, "--page", str(page), "-c", str(self.stage.daemon.config_path)]
            shown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            rows = shown["messages"]
            found |= {(same_number(row["number"]), row["text"]) for row in rows if row["may_be_double"]}
            if len(rows) < 200:
                return found
        raise AssertionError  # the pages end


def _mount(place: Path) -> bool:
    """A small disk for the journal, gone with this process's mounts; never among those of the machine, where it would
    stay. Whether that was allowed."""
    place.mkdir(parents=True, exist_ok=True)
    if not os.environ.get(INSIDE):
        return False
    run = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK},mode=0700", "tmpfs", str(place)], capture_output=True, check=False
    )
    return run.returncode == 0
