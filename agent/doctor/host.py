"""The box itself, from /sys, /proc, /etc and the disk: power, clock, room, permissions, and who else wants modems.

Opens no port and writes nothing. Every path lies below a root, so that a made tree or a copy of another box serves.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from agent.clock import Clock
from agent.doctor.note import Level, Note

LOW_BYTES, TIGHT_BYTES = 100 << 20, 1 << 30
"""Under the first the journal will soon not fit; a Pi's card with less than the second is worth a look."""
_SERVICE_USER = "phonebridge"
_NO_SENSE_BEFORE = 2025
# What get_throttled of the Pi's firmware tells, by bit.
_UNDER_VOLTAGE_NOW, _UNDER_VOLTAGE_EVER = 1 << 0, 1 << 16
_FIRMWARE = Path("sys/devices/platform/soc/soc:firmware/get_throttled")
_ASK_S = 3.0
_OTHERS = {
    "ModemManager": "sudo systemctl disable --now ModemManager, or keep it away from this modem by a udev rule "
    '(ENV{ID_MM_DEVICE_IGNORE}="1")',
    "gammu-smsd": "sudo systemctl disable --now gammu-smsd",
    "smsd": "sudo systemctl disable --now smstools",
    "wvdial": "end it",
    "pppd": "end it",
}
"""Programs that take modems, by the kernel's name of them (15 octets), and how to stop them."""


def examine(root: Path, state_dir: Path) -> list[Note]:
    """All of it. `root` is "/" for this box."""
    return [*power(root), *clock(root), *disk(root, state_dir), *others(root), *service_user(root)]


def power(root: Path) -> list[Note]:
    """Under-voltage, by the kernel's sensor or the firmware; nothing where the box has neither."""
    remedy = "Use the Pi's own power supply and a short cable, and put the modem on a powered hub: it draws 2 A bursts."
    throttled = _throttled(root)
    is_low = any(_read(file.parent / "name") == "rpi_volt" and _read(file) == "1"
                 for file in sorted(root.glob("sys/class/hwmon/*/in0_lcrit_alarm")))  # fmt: skip
    if is_low or (throttled or 0) & _UNDER_VOLTAGE_NOW:
        return [Note("power", Level.PROBLEM, "The supply voltage is too low right now.", remedy)]
    if (throttled or 0) & _UNDER_VOLTAGE_EVER:
        return [Note("power", Level.NOTE, "The supply voltage was too low at least once since the start.", remedy)]
    has_sensor = throttled is not None or any(root.glob("sys/class/hwmon/*/in0_lcrit_alarm"))
    return [Note("power", Level.OK, "The supply voltage is well.")] if has_sensor else []


def clock(root: Path) -> list[Note]:
    """Whether the wall clock can be right."""
    is_here = root == Path("/")
    is_synchronised = (root / "run/systemd/timesync/synchronized").exists() or (root / "sys/class/rtc/rtc0").exists()
    if is_here and datetime.now(UTC).year < _NO_SENSE_BEFORE:
        finding = f"The clock says {datetime.now(UTC):%Y-%m-%d}, which cannot be."
        return [Note("clock", Level.PROBLEM, finding, "sudo timedatectl set-ntp true, and check the network.")]
    if is_synchronised or (is_here and Clock().is_synchronised()):
        return [Note("clock", Level.OK, "The clock is synchronised.")]
    return [
        Note(
            "clock",
            Level.NOTE,
            "Nothing says that the clock is right: no message expires and no schedule fires until it is.",
            "sudo timedatectl set-ntp true; where there is no network, add a real-time clock.",
        )
    ]


def disk(root: Path, state_dir: Path) -> list[Note]:
    """Room for the journal, and whether its disk can be written at all."""
    place = root / str(state_dir).lstrip("/")
    while not place.exists() and place != place.parent:
        place = place.parent
    usage = shutil.disk_usage(place)
    free = f"{usage.free / 1e6:,.0f} MB of {usage.total / 1e6:,.0f} MB are free"
    remedy = (
        "Free some space: sudo journalctl --vacuum-size=100M, sudo apt-get clean; or set agent.state_dir elsewhere."
    )
    if _is_read_only(root, place):
        remedy = "The card may be worn out: look at dmesg, copy the journal away, and take a new card."
        return [Note("disk", Level.PROBLEM, f"The disk of {state_dir} is mounted read-only.", remedy)]
    if usage.free < LOW_BYTES:
        return [Note("disk", Level.PROBLEM, f"The disk of {state_dir} is nearly full: {free}.", remedy)]
    if usage.free < TIGHT_BYTES:
        return [Note("disk", Level.NOTE, f"The disk of {state_dir} is getting full: {free}.", remedy)]
    return [Note("disk", Level.OK, f"On the disk of {state_dir} {free}.")]


def others(root: Path) -> list[Note]:
    """Running programs that take modems away."""
    found: dict[str, list[str]] = {}
    for process in sorted((root / "proc").glob("[0-9]*")):
        name = _read(process / "comm")
        if name in _OTHERS:
            found.setdefault(name, []).append(process.name)
    return [
        Note(
            "other programs",
            Level.PROBLEM if name != "ModemManager" or not _is_kept_away(root) else Level.NOTE,
            f"{name} (PID {', '.join(pids)}) is running and takes modems.",
            f"Stop it: {_OTHERS[name]}.",
        )
        for name, pids in found.items()
    ]


def service_user(root: Path) -> list[Note]:
    """Whether the service's user may open serial ports."""
    if not re.search(rf"^{_SERVICE_USER}:", _read(root / "etc/passwd"), re.MULTILINE):
        return []
    members = re.search(r"^dialout:[^:]*:[0-9]*:(.*)$", _read(root / "etc/group"), re.MULTILINE)
    if members is None or _SERVICE_USER in members[1].split(","):
        return [Note("permissions", Level.OK, f"The user {_SERVICE_USER} may open serial ports (group dialout).")]
    return [
        Note(
            "permissions",
            Level.PROBLEM,
            f"The user {_SERVICE_USER} is not in the group dialout and may not open serial ports.",
            f"sudo usermod -aG dialout {_SERVICE_USER} && sudo systemctl restart phonebridge",
        )
    ]


def _throttled(root: Path) -> int | None:
    """What the Pi's firmware says, in bits; None where there is none to ask."""
    text = _read(root / _FIRMWARE)
    if not text and root == Path("/") and (program := shutil.which("vcgencmd")):
        try:
            done = subprocess.run(
                [program, "get_throttled"], check=False, capture_output=True, text=True, timeout=_ASK_S
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        text = done.stdout
    match = re.search(r"(?:0x)?([0-9a-fA-F]+)\s*$", text)
    return int(match[1], 16) if match else None


def _is_read_only(root: Path, place: Path) -> bool:
    """By the longest mount point above the place."""
    best, options = "", ""
    inner = "/" + str(place.resolve().relative_to(root.resolve())) if place.is_relative_to(root) else str(place)
    for line in _read(root / "proc/mounts").splitlines():
        words = line.split()
        if len(words) < 4:
            continue
        point = words[1].rstrip("/")
        if (inner == point or inner.startswith(point + "/")) and len(point) >= len(best):
            best, options = point, words[3]
    return "ro" in options.split(",")


def _is_kept_away(root: Path) -> bool:
    """Whether some udev rule tells ModemManager to leave devices alone."""
    rules = [file for folder in ("etc/udev/rules.d", "lib/udev/rules.d", "usr/lib/udev/rules.d")
             for file in (root / folder).glob("*phonebridge*.rules")]  # fmt: skip
    return any("ID_MM_" in _read(file) for file in rules)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
