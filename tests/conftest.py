"""Guards over every coroutine test: no task may outlive it. (Un-awaited coroutines are errors by pyproject.)

Also what makes the suite quick and steady wherever it runs.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from hypothesis import settings

from agent import accounts, memory
from drivers.simulator.process import SimulatorProcess
from tests.forked import Forks, popen

# The tests start some hundred programs of this tree; each would compile it anew where the environment says so.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# As the daemon does at its start: httpcore looks for it on the disk several times in each request.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

# Each HTTP client reads the authorities it trusts: 0.1 s of CPU for a system's hundreds. No test talks to the outside.
_ONE_AUTHORITY = Path(__file__).with_name("authority.pem")
os.environ["SSL_CERT_FILE"] = str(_ONE_AUTHORITY)

# No test asserts a time, and hypothesis would: 200 ms for each example, which another program's work can take.
# Fewer examples than its own 100: long searches are tests/fuzz and the proofs.
settings.register_profile("suite", deadline=None, max_examples=50)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def forked_programs() -> Iterator[None]:
    """Start simulators, servers and daemons as forks."""
    Forks.running, plain = Forks(), SimulatorProcess.spawn
    SimulatorProcess.spawn = staticmethod(_spawn_simulator)
    yield
    SimulatorProcess.spawn = staticmethod(plain)
    Forks.running.close()
    Forks.running = None


def _spawn_simulator(command: list[str], environment: dict[str, str]) -> Any:
    """`command` is python, -m, drivers.simulator and its arguments."""
    return popen(command[2], *command[3:], stdin=PIPE, stdout=PIPE, env=environment, text=True)


@pytest.fixture(scope="session", autouse=True)
def untidied_memory() -> Iterator[None]:
    """A local server gives memory back at its start, a tenth of a second in a process as large as this; what it is good
    for is measured on a daemon of its own (tests/prove/local_server_memory.py)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "tidy", lambda: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """A password costs 0.2 s of CPU, as it must for who guesses; no test depends on it. Each stored one names
    its cost, so daemons, which keep theirs, read it all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_SCRYPT_N", 2)
        patch.setattr(accounts, "_SCRYPT_P", 1)
        yield


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail a test that leaves a task running."""
    before = asyncio.all_tasks()
    yield
    for _ in range(50):
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"leaked tasks: {left}")


# They take longest, and wait most of their time: most workers begin with them, beside some that compute. About so many
# seconds each, or in all where they share something dear and so stay with one worker. The first prefix counts.
_LONG = {
    "tests/prove/test_unattended": 12, "tests/matrix/": 20, "tests/prove/": 9, "tests/at/test_two_sims": 4,
    "tests/bench/": 2, "tests/cli/test_demo.py": 4, "tests/simulator/test_simulator_judges.py": 3,
}  # fmt: skip
_TOGETHER = {"tests/ui/test_page.py": 25}
_WORKERS_PER_CORE = 3
_WORKER_BYTES = 400_000_000


def pytest_xdist_auto_num_workers() -> int:
    """Three for each core, since tests wait for modems, radio and browsers half of their time."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(2, min(_WORKERS_PER_CORE * len(os.sched_getaffinity(0)), memory_bytes // _WORKER_BYTES))


def pytest_collection_finish() -> None:
    """What is loaded now stays: the collector need not look through all of it at each of its rounds.

    The local server collects at its start, some hundred times in a suite.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The guard is set up first, and so looks last. Long tests are dealt out."""
    items[:] = _dealt(items, getattr(config, "workerinput", {}).get("workercount", 1))
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            names = item.fixturenames
            if "no_leaked_tasks" not in names:
                names.insert(0, "no_leaked_tasks")


def _dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The order in which `--dist worksteal`, which begins by giving each worker an equal piece of the list, gives two
    of three workers their share of the long ones first, the longest at their head."""
    long: list[tuple[float, list[pytest.Item]]] = []
    for prefix, seconds in _TOGETHER.items():
        if found := [item for item in items if item.nodeid.startswith(prefix)]:
            long.append((seconds, found))
    for item in items:
        if found_s := next((seconds for prefix, seconds in _LONG.items() if item.nodeid.startswith(prefix)), None):
            long.append((found_s, [item]))
    shares: list[list[pytest.Item]] = [[] for _ in range(-(-2 * workers // 3))]
    loads = [0.0] * len(shares)
    for seconds, group in sorted(long, key=lambda one: -one[0]):
        least = loads.index(min(loads))
        loads[least] += seconds
        shares[least] += group
    taken = {item for share in shares for item in share}
    rest = [item for item in items if item not in taken]
    dealt: list[pytest.Item] = []
    for place in range(workers):
        share = shares[place] if place < len(shares) else []
        size = max(0, (len(items) - len(dealt)) // (workers - place) - len(share))
        dealt += share + rest[:size]
        del rest[:size]
    return dealt + rest
