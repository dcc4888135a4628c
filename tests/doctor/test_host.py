"""The box on made trees: power, clock, disk, permissions, other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.doctor import host
from agent.doctor.note import Level, Note
from tests.doctor import trees

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
SENSOR = "sys/class/hwmon/hwmon1"


def _file(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text + "\n")


@pytest.mark.parametrize(
    ("files", "levels"),
    [
        pytest.param({}, [], id="no sensor: nothing is claimed"),
        pytest.param({f"{SENSOR}/name": "rpi_volt", f"{SENSOR}/in0_lcrit_alarm": "0"}, [Level.OK], id="well"),
        pytest.param({f"{SENSOR}/name": "rpi_volt", f"{SENSOR}/in0_lcrit_alarm": "1"}, [Level.PROBLEM], id="now"),
        pytest.param({f"{SENSOR}/name": "cpu", f"{SENSOR}/in0_lcrit_alarm": "1"}, [Level.OK], id="another sensor"),
        pytest.param({FIRMWARE: "0"}, [Level.OK], id="firmware: well"),
        pytest.param({FIRMWARE: "50005"}, [Level.PROBLEM], id="firmware: now"),
        pytest.param({FIRMWARE: "50000"}, [Level.NOTE], id="firmware: since the start"),
        pytest.param({FIRMWARE: "80000"}, [Level.OK], id="firmware: only hot"),
    ],
)
def test_power(tmp_path: Path, files: dict[str, str], levels: list[Level]) -> None:
    for name, text in files.items():
        _file(tmp_path, name, text)
    found = host.power(tmp_path)
    assert [note.level for note in found] == levels
    assert all((note.remedy is None) == (note.level is Level.OK) for note in found)


@pytest.mark.parametrize(
    ("file", "level"),
    [("run/systemd/timesync/synchronized", Level.OK), ("sys/class/rtc/rtc0/name", Level.OK), ("etc/x", Level.NOTE)],
)
def test_clock(tmp_path: Path, file: str, level: Level) -> None:
    _file(tmp_path, file, "")
    assert [note.level for note in host.clock(tmp_path)] == [level]


def test_a_read_only_card_is_found_by_its_mount_point(tmp_path: Path) -> None:
    (tmp_path / "var/lib/phonebridge").mkdir(parents=True)
    _file(tmp_path, "proc/mounts", "/dev/root / ext4 rw 0 0\n/dev/mmcblk0p3 /var/lib ext4 ro,noatime 0 0")
    (note,) = host.disk(tmp_path, Path("/var/lib/phonebridge"))
    assert note.level is Level.PROBLEM and "read-only" in note.finding
    (note,) = host.disk(tmp_path, Path("/srv"))
    assert "read-only" not in note.finding


@pytest.mark.parametrize(("free", "level"), [(50 << 20, Level.PROBLEM), (500 << 20, Level.NOTE), (5 << 30, Level.OK)])
def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    monkeypatch.setattr(host.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free, "total": 32 << 30})())
    assert [note.level for note in host.disk(tmp_path, Path("/x"))] == [level]


def test_programs_that_take_modems_are_named_with_what_stops_them(tmp_path: Path) -> None:
    trees.process(tmp_path, 612, "ModemManager")
    trees.process(tmp_path, 700, "gammu-smsd")
    trees.process(tmp_path, 701, "bash")
    found = {note.finding.split(" ")[0]: note for note in host.others(tmp_path)}
    assert set(found) == {"ModemManager", "gammu-smsd"}
    assert "PID 612" in found["ModemManager"].finding and found["ModemManager"].level is Level.PROBLEM
    assert "systemctl disable --now ModemManager" in str(found["ModemManager"].remedy)
    _file(tmp_path, "etc/udev/rules.d/60-phonebridge.rules", 'ENV{ID_MM_DEVICE_IGNORE}="1"')
    assert host.others(tmp_path)[0].level is Level.NOTE


@pytest.mark.parametrize(
    ("passwd", "group", "judge"),
    [
        pytest.param("root:x:0:0", "dialout:x:20:", lambda notes: notes == [], id="no service user"),
        pytest.param(
            "phonebridge:x:990:990", "dialout:x:20:pi,phonebridge", lambda notes: notes[0].level is Level.OK, id="well"
        ),
        pytest.param(
            "phonebridge:x:990:990",
            "dialout:x:20:pi",
            lambda notes: "usermod -aG dialout phonebridge" in notes[0].remedy,
            id="not a member",
        ),
    ],
)
def test_service_user(tmp_path: Path, passwd: str, group: str, judge: Callable[[list[Note]], bool]) -> None:
    _file(tmp_path, "etc/passwd", passwd)
    _file(tmp_path, "etc/group", group)
    assert judge(host.service_user(tmp_path))
