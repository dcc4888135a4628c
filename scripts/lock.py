"""Writes deb/wheels.sha256: every wheel that the Debian package may bring, for each platform and Python.

    python scripts/lock.py

Run it after a change of the dependencies in pyproject.toml; it asks the package index for each platform and Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from platforms import MACHINES, PYTHONS, ROOT, WHEELS, target_options


def main() -> None:
    """Resolve for each machine and Python, and write the union down."""
    found: dict[str, str] = {}
    for machine in MACHINES.values():
        for python in PYTHONS:
            wheels = _resolved(machine, python)
            print(f"{machine}, Python {python}: {len(wheels)} wheels", flush=True)
            found.update(wheels)
    lines = [f"{digest}  {name}\n" for name, digest in sorted(found.items())]
    WHEELS.write_text("".join(lines), encoding="ascii")


def _resolved(machine: str, python: str) -> dict[str, str]:
    """Name of each wheel that pip would take, with its digest."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--quiet", "--dry-run", "--ignore-installed", "--target", folder, "--report", str(report)]
        options += target_options(machine, python)
        command = [sys.executable, "-m", "pip", "install", *options, str(ROOT)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        document = json.loads(report.read_text(encoding="utf-8"))
    return {
        item["download_info"]["url"].rsplit("/", 1)[-1]: item["download_info"]["archive_info"]["hashes"]["sha256"]
        for item in document["install"]
        if "archive_info" in item["download_info"]
    }


if __name__ == "__main__":
    main()
