"""deb/wheels.sha256 has every wheel for each platform and Python, and is the closure of what pyproject.toml pins."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from platforms import MACHINES, PYTHONS, Wheel, wheels  # noqa: E402

sys.path.remove(str(ROOT / "scripts"))

AGAIN = "run: python scripts/lock.py"


def _needed(name: str, machine: str, python: str, seen: set[str]) -> set[str]:
    """A distribution and all that it requires on that machine, by what is installed here. Extras are left out."""
    if name in seen:
        return seen
    seen.add(name)
    there = {"python_version": python, "python_full_version": f"{python}.0", "platform_machine": machine, "extra": ""}
    for line in requires(name) or []:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate(there):
            _needed(canonicalize_name(wanted.name), machine, python, seen)
    return seen


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("architecture", list(MACHINES))
def test_every_dependency_has_a_wheel_or_is_pure_python(architecture: str, python: str) -> None:
    machine = MACHINES[architecture]
    there = {wheel.name for wheel in wheels() if wheel.fits(machine, python)}
    needed = _needed("phonebridge", machine, python, set()) - {"phonebridge"}
    assert needed - there == set(), f"no wheel for {architecture}, Python {python}; make it an extra, or {AGAIN}"


def test_the_list_has_the_versions_that_are_pinned() -> None:
    listed = {(wheel.name, wheel.version) for wheel in wheels()}
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = {tuple(pin.split("==")) for pin in pins}
    assert pinned - listed == set(), AGAIN
    assert len({name for name, _ in listed}) == len(listed), f"two versions of one distribution; {AGAIN}"


@pytest.mark.parametrize(
    ("file", "machine", "python", "fits"),
    [
        ("a-1-py3-none-any.whl", "armv7l", "3.13", True),
        ("a-1-py2.py3-none-any.whl", "armv7l", "3.11", True),
        ("a-1-cp311-cp311-manylinux_2_17_armv7l.manylinux2014_armv7l.whl", "armv7l", "3.11", True),
        ("a-1-cp311-cp311-manylinux_2_17_armv7l.whl", "armv7l", "3.13", False),
        ("a-1-cp311-cp311-manylinux_2_17_aarch64.whl", "armv7l", "3.11", False),
        ("a-1-cp311-cp311-manylinux_2_39_armv7l.whl", "armv7l", "3.11", False),
        ("a-1-cp311-abi3-manylinux_2_31_armv7l.whl", "armv7l", "3.13", True),
        ("a-1-cp313-abi3-manylinux_2_31_armv7l.whl", "armv7l", "3.11", False),
        ("a-1-cp311-cp311-musllinux_1_2_armv7l.whl", "armv7l", "3.11", False),
    ],
)
def test_which_wheel_fits(file: str, machine: str, python: str, fits: bool) -> None:
    assert Wheel(file, "").fits(machine, python) is fits
