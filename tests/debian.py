"""Programs of Debian packages that only tests need, unpacked into a cache so that no service of theirs starts."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

_SCRIPT = Path(__file__).parents[1] / "scripts" / "unpacked.sh"


def judges() -> Path:
    """The tree with gammu-smsd and smstools: what others made of the same modem commands."""
    return unpacked("judges", "gammu-smsd", "smstools")


@cache
def unpacked(name: str, *packages: str) -> Path:
    """The tree `name` with these packages; downloads them the first time.

    Raises: CalledProcessError, after the script has said why.
    """
    run = subprocess.run([_SCRIPT, name, *packages], stdout=subprocess.PIPE, text=True, check=True)
    return Path(run.stdout.strip())


def environment(root: Path) -> dict[str, str]:
    """What a program of the tree needs to find the libraries beside it."""
    libraries = sorted({str(path.parent) for path in root.rglob("lib*.so*")})
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries)}
