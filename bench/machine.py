"""The machine in general words, and the time of one fsync, beside which latencies must be read."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

_FSYNCS = 200


def describe() -> dict[str, str]:
    """Without names or addresses."""
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1e6
    return {
        "processor cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GB",
        "architecture": platform.machine(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "one write and fsync of 4 KiB, median": f"{fsync_ms():.2f} ms",
    }


def fsync_ms() -> float:
    """Median of appending 4 KiB and fsync(2), in the directory where the measurements' journals are."""
    times = []
    with tempfile.TemporaryFile(prefix="bench-") as file:
        for _ in range(_FSYNCS):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000
