"""`phonebridge install-service`: user, directories and systemd unit for the program where it stands now."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

import agent
from agent import config
from agent.cli import output
from agent.cli.exits import Exit, Fault
from agent.cli.options import AsJson

UNIT = "phonebridge.service"
UNITS = (UNIT, "phonebridge-reset.path", "phonebridge-reset.service")
USER = "phonebridge"
_UNIT_DIR = Path("/etc/systemd/system")
_COMMAND = Path("/usr/local/bin/phonebridge")
_GOOD_PLACE = Path("/opt/phonebridge")
# The unit's ProtectHome and PrivateTmp make these empty for the service.
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))

# Where the Debian package has the same unit; one in /etc would hide it.
_PACKAGED = Path("/usr/lib/systemd/system") / UNIT

Runner = Callable[[Sequence[str]], None]


def install_service(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and the unit.")] = False,
    no_start: Annotated[bool, typer.Option("--no-start", help="Enable, but do not start now.")] = False,
    as_json: AsJson = False,
) -> int:
    """Install the systemd service and start it. Run as root, from a place that is not a home directory."""
    steps = _steps(may_start=not no_start)
    units = {name: unit_text(name, _program()) for name in UNITS}
    if dry_run:
        if as_json:
            output.as_json(
                {
                    "unit": units[UNIT],
                    "units": units,
                    "commands": [" ".join(step) for step in steps],
                    "installed": False,
                }
            )
            return Exit.OK
        for name, text in units.items():
            output.write(f"# {_UNIT_DIR / name}\n{text}")
        for step in steps:
            output.write(f"# {' '.join(step)}")
        return Exit.OK
    if _PACKAGED.exists():
        raise Fault(f"the Debian package has installed the service already; run: sudo systemctl enable --now {UNIT}")
    refuse_bad_place([Path(sys.prefix), Path(sys.base_prefix), Path(agent.__file__)])
    if os.geteuid() != 0:
        raise Fault(f"only root can install a service; run: sudo {_program()} install-service", Exit.USAGE)
    if shutil.which("systemctl") is None:
        raise Fault("this box has no systemd; start the daemon by other means: phonebridge run -c FILE")
    install(units, steps, _run)
    if as_json:
        output.as_json(
            {"unit": units[UNIT], "units": units, "commands": [" ".join(step) for step in steps], "installed": True}
        )
    else:
        output.write(_next(is_started=any("--now" in step for step in steps)))
    return Exit.OK


def unit_text(name: str, program: Path) -> str:
    """A unit, with the program that it starts."""
    text = files("agent").joinpath("units", name).read_text(encoding="utf-8")
    return text.replace(f"{_GOOD_PLACE}/bin/phonebridge ", f"{program} ")


def refuse_bad_place(places: Sequence[Path]) -> None:
    """Raises: Fault with the command to run instead, where the service could not see its own program."""
    for place in places:
        hidden = next((root for root in _HIDDEN if place.resolve().is_relative_to(root)), None)
        if hidden is not None:
            raise Fault(
                f"the service cannot run a program from under {hidden} ({place.resolve()}); run: "
                f"sudo /usr/bin/python3 -m venv {_GOOD_PLACE} && sudo {_GOOD_PLACE}/bin/pip install {_source()} && "
                f"sudo {_GOOD_PLACE}/bin/phonebridge install-service",
                Exit.USAGE,
            )


def install(units: Mapping[str, str], steps: Sequence[Sequence[str]], run: Runner, *, root: Path = Path("/")) -> None:
    """Write the units below `root` and run the steps. Raises: Fault."""
    folder = root / _UNIT_DIR.relative_to("/")
    command = root / _COMMAND.relative_to("/")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in units.items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o644)
        if not command.exists() and not command.is_symlink():
            command.parent.mkdir(parents=True, exist_ok=True)
            command.symlink_to(_program())
    except OSError as error:
        raise Fault(f"{error.filename} cannot be written: {error.strerror}") from error
    for step in steps:
        run(step)


# --- pieces -----------------------------------------------------------------------------------------


def _program() -> Path:
    return Path(sys.prefix) / "bin" / "phonebridge"


def _source() -> str:
    checkout = Path(agent.__file__).resolve().parents[1]
    return str(checkout) if (checkout / "pyproject.toml").exists() else f"phonebridge=={agent.__version__}"


def _steps(*, may_start: bool) -> list[list[str]]:
    steps = []
    if not _has_user():
        home = ["--home-dir", "/var/lib/phonebridge", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        steps.append(["useradd", "--system", "--user-group", *home, "--groups", "dialout", USER])
    steps.append(["install", "-d", "-m", "0750", "-g", USER, str(config.DEFAULT_PATH.parent)])
    if config.DEFAULT_PATH.exists():
        # Secrets stand in it: the service reads it, others do not.
        steps.append(["chown", f"root:{USER}", str(config.DEFAULT_PATH)])
        steps.append(["chmod", "0640", str(config.DEFAULT_PATH)])
    steps.append(["systemctl", "daemon-reload"])
    steps.append(["systemctl", "enable", "--now", UNITS[1]])
    if may_start and _is_configured():
        steps.append(["systemctl", "enable", "--now", UNIT])
    else:
        steps.append(["systemctl", "enable", UNIT])
    return steps


def _has_user() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def _is_configured() -> bool:
    try:
        config.load(config.DEFAULT_PATH)
    except config.ConfigError:
        return False
    return True


def _run(step: Sequence[str]) -> None:
    try:
        subprocess.run(step, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Fault(f"this step failed: {' '.join(step)}; mend it and run install-service again") from error


def _next(*, is_started: bool) -> str:
    if is_started:
        return "installed and started; see: phonebridge status"
    return (
        f"installed, not started; write {config.DEFAULT_PATH} (phonebridge doctor --routes helps), try it with "
        "phonebridge check-config, then run: sudo systemctl start phonebridge"
    )
