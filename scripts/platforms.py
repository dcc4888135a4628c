"""What the Debian package is built for, and which wheels fit there. Pure, but for reading the list of wheels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHEELS = ROOT / "deb" / "wheels.sha256"

MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l"}
"""Debian's word → the kernel's, which wheels use."""
PYTHONS = ("3.11", "3.12", "3.13")
"""bookworm's, Ubuntu 24.04's, trixie's: one package serves all."""
_GLIBC_MINOR = 36
"""bookworm's glibc 2.36: a wheel that needs a newer one does not load there."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of the list."""

    file: str
    digest: str

    @property
    def name(self) -> str:
        """As in requirements: lower case, with "-"."""
        return re.sub(r"[-_.]+", "-", self.file.split("-")[0]).lower()

    @property
    def version(self) -> str:
        return self.file.split("-")[1]

    def fits(self, machine: str, python: str) -> bool:
        """Whether pip would install it there (PEP 425, PEP 600; abi3 wheels and those for any Python 3 included)."""
        pythons, abis, platforms = (tags.split(".") for tags in self.file.removesuffix(".whl").split("-")[-3:])
        mine = "cp" + python.replace(".", "")
        is_python = (
            mine in pythons or "py3" in pythons or ("abi3" in abis and any(_is_older(tag, mine) for tag in pythons))
        )
        return is_python and any(_loads(tag, machine) for tag in platforms)


def wheels() -> list[Wheel]:
    """The list as it stands in the tree."""
    lines = WHEELS.read_text(encoding="ascii").splitlines()
    return [Wheel(file, digest) for digest, file in (line.split() for line in lines)]


def target_options(machine: str, python: str) -> list[str]:
    """Options by which pip takes wheels for another machine and Python than its own, and nothing else."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC_MINOR, 16, -1)]
    names = [*platforms, f"manylinux2014_{machine}", f"linux_{machine}"]
    options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python]
    return [*options, *(option for name in names for option in ("--platform", name))]


def _is_older(tag: str, mine: str) -> bool:
    match = re.fullmatch(r"cp3(\d+)", tag)
    return match is not None and int(match[1]) <= int(mine.removeprefix("cp3"))


def _loads(tag: str, machine: str) -> bool:
    if tag in ("any", f"manylinux2014_{machine}", f"linux_{machine}"):
        return True
    match = re.fullmatch(rf"manylinux_2_(\d+)_{machine}", tag)
    return match is not None and int(match[1]) <= _GLIBC_MINOR
