"""Builds the Debian packages: dist/phonebridge_VERSION_ARCH.deb for amd64, arm64 and armhf.

    python scripts/deb.py [ARCH]…

A package brings every wheel for its machine, checked against deb/wheels.sha256; its postinst makes the venv under /opt
from them, without a network. Nothing is compiled, so one machine builds for all.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from platforms import MACHINES, PYTHONS, ROOT, Wheel, target_options, wheels

_CACHE = ROOT / ".cache" / "wheels"
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
_DOC = Path("usr/share/doc/phonebridge")
_EXECUTABLE, _PLAIN = 0o755, 0o644


def main(arguments: list[str]) -> None:
    """Build for the architectures named, or for all."""
    unknown = [name for name in arguments if name not in MACHINES]
    if unknown:
        sys.exit(f"deb: there is no architecture {', '.join(unknown)}; known are {', '.join(MACHINES)}")
    out = ROOT / "dist"
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        own = _own_wheel(Path(folder))
        for architecture in arguments or MACHINES:
            tree = Path(folder) / architecture
            brought = [own, *_fetched(MACHINES[architecture])]
            print(packed(tree, architecture, version(), out, brought), flush=True)


def version() -> str:
    """The distribution's, from pyproject.toml."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return found


def packed(tree: Path, architecture: str, number: str, out: Path, brought: Sequence[Path] = ()) -> Path:
    """Lay out the package in `tree`, with the wheels `brought`, and pack it into `out`. Returns the file."""
    place = tree / "usr/share/phonebridge/wheels"
    place.mkdir(parents=True)
    for wheel in brought:
        shutil.copy(wheel, place)
    _write_files(tree)
    _write_control(tree, architecture, number)
    target = out / f"phonebridge_{number}_{architecture}.deb"
    # gzip: wheels are compressed already, and every dpkg can read it.
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(target)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": _date()})
    return target


def _own_wheel(folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def _fetched(machine: str) -> list[Path]:
    """All wheels for a machine, from the cache or fetched into it, each with the digest that the list gives."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, Wheel] = {}
    for python in PYTHONS:
        for_python = {wheel.file: wheel for wheel in wheels() if wheel.fits(machine, python)}
        wanted |= for_python
        missing = [wheel for wheel in for_python.values() if not _is_right(wheel)]
        if not missing:
            continue
        lines = [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.digest}\n" for wheel in missing]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
            requirements.writelines(lines)
            requirements.flush()
            options = ["--quiet", "--no-deps", "--require-hashes", *target_options(machine, python)]
            subprocess.run(
                [sys.executable, "-m", "pip", "download", *options, "--dest", str(_CACHE), "-r", requirements.name],
                check=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
    wrong = [wheel.file for wheel in wanted.values() if not _is_right(wheel)]
    if wrong:
        sys.exit(f"deb: {', '.join(wrong)} did not come as deb/wheels.sha256 has it; run: python scripts/lock.py")
    return [_CACHE / file for file in sorted(wanted)]


def _is_right(wheel: Wheel) -> bool:
    path = _CACHE / wheel.file
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == wheel.digest


def _write_files(tree: Path) -> None:
    """Everything but the wheels, with its mode."""
    _copy(ROOT / "deb/config.toml", tree / "etc/phonebridge/config.toml", 0o640)
    for unit in sorted((ROOT / "systemd").iterdir()):
        folder = "udev/rules.d" if unit.suffix == ".rules" else "systemd/system"
        _copy(unit, tree / "usr/lib" / folder / unit.name)
    _copy(ROOT / "config.example.toml", tree / _DOC / "config.example.toml")
    _copy(ROOT / "deb/copyright", tree / _DOC / "copyright")
    changes = gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), mtime=0)
    (tree / _DOC / "changelog.gz").write_bytes(changes)
    command = tree / "usr/bin/phonebridge"
    command.parent.mkdir(parents=True)
    command.symlink_to("/opt/phonebridge/bin/phonebridge")
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(_EXECUTABLE)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink() and path.name != "config.toml":
                path.chmod(_PLAIN)


def _write_control(tree: Path, architecture: str, number: str) -> None:
    octets = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.relative_to(tree).parts[0] != "etc"
    ]
    control = tree / "DEBIAN"
    control.mkdir()
    values = {"@VERSION@": number, "@ARCHITECTURE@": architecture, "@SIZE@": str(octets // 1024)}
    for name in ("control", "conffiles", "triggers", *_SCRIPTS):
        text = (ROOT / "deb" / name).read_text(encoding="utf-8")
        for word, value in values.items():
            text = text.replace(word, value)
        (control / name).write_text(text, encoding="utf-8")
        (control / name).chmod(_EXECUTABLE if name in _SCRIPTS else _PLAIN)
    (control / "md5sums").write_text("".join(sums), encoding="utf-8")
    control.chmod(_EXECUTABLE)


def _copy(source: Path, target: Path, mode: int = _PLAIN) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    target.chmod(mode)


def _date() -> str:
    """Of the last commit, so that the same tree makes the same package; now where there is no history."""
    found = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or os.environ.get("SOURCE_DATE_EPOCH", "0")


if __name__ == "__main__":
    main(sys.argv[1:])
