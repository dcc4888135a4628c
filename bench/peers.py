"""gammu-smsd and smstools as Debian ships them, and python-gsmmodem-new, the library, with a minimal program around it.

The Debian packages are unpacked into a cache, so that no service of theirs starts; the library gets a venv of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from bench.contender import Contender, recipient
from tests import debian

_ROOT = Path(__file__).resolve().parents[1]
_LIBRARY = "python-gsmmodem-new==0.13.0"
_PROGRAM = Path(__file__).with_name("library_program.py")
_BARE_PROGRAM = Path(__file__).with_name("bare_program.py")

# What any installation must say: paths, the port, and the SMSC that the SIM has too.
_GAMMU = """\
[gammu]
device = {port}
connection = at115200
use_locking = no
[smsd]
service = files
inboxpath = {spool}/inbox/
outboxpath = {spool}/outbox/
sentsmspath = {spool}/sent/
errorsmspath = {spool}/error/
logfile = {spool}/log
debuglevel = 0
{more}
"""
_SMSTOOLS = """\
devices = {names}
outgoing = {spool}/outgoing
checked = {spool}/checked
failed = {spool}/failed
incoming = {spool}/incoming
report = {spool}/report
sent = {spool}/sent
logfile = {spool}/log
receive_before_send = no
autosplit = 3
{more}
"""
_SMSTOOLS_MODEM = """
[{name}]
device = {port}
incoming = yes
rtscts = no
report = {report}
memory_start = 1
{more}
"""


def prepare() -> None:
    """Fetch what is not here yet, so that it is not measured with a first start. Raises: CalledProcessError."""
    debian.judges()
    _library_python()


class _Spooling(Contender):
    """A program that takes and gives files."""

    keeps_messages = True
    outgoing = ""
    incoming = ""

    def environment(self) -> Mapping[str, str]:
        return debian.environment(debian.judges())

    def inbound(self) -> int:
        return sum(1 for _ in (self.directory / self.incoming).iterdir())

    def _hand_over(self, name: str, content: bytes) -> None:
        # Written elsewhere and renamed: a program that looks meanwhile must not see half of it.
        fresh = self.directory / f"fresh-{name}"
        fresh.write_bytes(content)
        fresh.rename(self.directory / self.outgoing / name)


class Gammu(_Spooling):
    """`settings` are the keys of [smsd] beside the paths."""

    outgoing = "outbox"
    incoming = "inbox"

    def __init__(self, name: str, settings: str) -> None:
        super().__init__()
        self.name = name
        self._settings = settings

    def prepare(self, directory: Path, ports: Sequence[Path], *, reports: bool) -> None:
        self.directory = directory
        for part in ("inbox", "outbox", "sent", "error"):
            (directory / part).mkdir(parents=True)
        more = self._settings + ("\ndeliveryreport = sms" if reports else "")
        (directory / "configuration").write_text(_GAMMU.format(port=ports[0], spool=directory, more=more))

    def command(self) -> list[str]:
        return [str(debian.judges() / "usr/bin/gammu-smsd"), "-c", str(self.directory / "configuration")]

    def queue(self, texts: Sequence[str], *, first: int = 0) -> None:
        for number, text in enumerate(texts, start=first):
            # The file name holds date, time, counter and recipient; it sends in their order.
            clock = f"{number // 3600 % 24:02d}{number // 60 % 60:02d}{number % 60:02d}"
            self._hand_over(f"OUT20260101_{clock}_00_+{recipient(number)}_a.txt", text.encode())


class Smstools(_Spooling):
    """`settings` are global keys, `modem_settings` those of each modem."""

    outgoing = "outgoing"
    incoming = "incoming"

    def __init__(self, name: str, settings: str, modem_settings: str) -> None:
        super().__init__()
        self.name = name
        self._settings = settings
        self._modem_settings = modem_settings
        self._report = False

    def prepare(self, directory: Path, ports: Sequence[Path], *, reports: bool) -> None:
        self.directory = directory
        self._report = reports
        for part in ("outgoing", "checked", "failed", "incoming", "report", "sent"):
            (directory / part).mkdir(parents=True)
        names = [f"GSM{number}" for number in range(len(ports))]
        content = _SMSTOOLS.format(names=",".join(names), spool=directory, more=self._settings)
        for name, port in zip(names, ports, strict=True):
            answer = "yes" if reports else "no"
            content += _SMSTOOLS_MODEM.format(name=name, port=port, report=answer, more=self._modem_settings)
        (directory / "configuration").write_text(content)

    def command(self) -> list[str]:
        files = ["-p", str(self.directory / "pid"), "-i", str(self.directory / "information")]
        return [str(debian.judges() / "usr/sbin/smsd"), "-t", "-c", str(self.directory / "configuration"), *files]

    def queue(self, texts: Sequence[str], *, first: int = 0) -> None:
        report = "Report: yes\n" if self._report else ""
        for number, text in enumerate(texts, start=first):
            self._hand_over(f"m{number:06d}", f"To: {recipient(number)}\n{report}\n{text}".encode("latin-1"))


class Library(Contender):
    """Nothing is kept on disk: what is in its memory when it ends is gone."""

    name = "python-gsmmodem-new"

    def prepare(self, directory: Path, ports: Sequence[Path], *, reports: bool) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "inbox").write_bytes(b"")
        self._arguments = [str(ports[0]), "on" if reports else "off", str(directory / "inbox")]

    def command(self) -> list[str]:
        return [str(_library_python()), str(_PROGRAM), *self._arguments]

    def queue(self, texts: Sequence[str], *, first: int = 0) -> None:
        assert self.process is not None and self.process.stdin is not None
        for number, text in enumerate(texts, start=first):
            self.process.stdin.write(f"+{recipient(number)} {text}\n".encode())
        self.process.stdin.flush()

    def inbound(self) -> int:
        return (self.directory / "inbox").read_bytes().count(b"\n")


class Bare(Library):
    """No gateway at all: the limit of what the emulated modem and this machine allow."""

    name = "the bare line"

    def prepare(self, directory: Path, ports: Sequence[Path], *, reports: bool) -> None:
        super().prepare(directory, ports, reports=reports)
        self._arguments = [str(port) for port in ports]

    def command(self) -> list[str]:
        return [sys.executable, str(_BARE_PROGRAM), *self._arguments]


@cache
def _library_python() -> Path:
    """A Python that has the library; made the first time."""
    place = _ROOT / ".cache" / "library-peer"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _LIBRARY]
        # Without this project on its path: pip would complain that the library's venv lacks its packages.
        subprocess.run(install, check=True, env={**os.environ, "PYTHONPATH": ""})
        (place / "complete").touch()
    return python


_GAMMU_TUNED = """\
commtimeout = 1
receivefrequency = 1
loopsleep = 1
statusfrequency = 0
checksecurity = 0
checkbattery = 0
checksignal = 0
checknetwork = 0
smsc = +491710760000"""
_SMSTOOLS_FAST = """\
delaytime = 1
delaytime_mainprocess = 1
notifier = yes
trust_outgoing = yes
ignore_outgoing_priority = yes
spool_directory_order = yes
errorsleeptime = 1
blocktime = 5"""
_SMSTOOLS_FAST_MODEM = """\
check_network = 0
status_signal_quality = no
detect_message_routing = no
detect_unexpected_input = no
poll_faster = 100
startsleeptime = 0"""


def gammu_default() -> Contender:
    return Gammu("gammu-smsd, default", "")


def gammu_tuned() -> Contender:
    return Gammu("gammu-smsd, tuned", _GAMMU_TUNED)


def gammu_spin() -> Contender:
    """Never sleeps in its loop: the fastest it gets, with one core busy for ever."""
    spin = _GAMMU_TUNED.replace("commtimeout = 1", "commtimeout = 0").replace("loopsleep = 1", "loopsleep = 0")
    return Gammu("gammu-smsd, spinning", spin)


def smstools_default() -> Contender:
    return Smstools("smstools, default", "", "")


def smstools_fast() -> Contender:
    return Smstools("smstools, fastest", _SMSTOOLS_FAST, _SMSTOOLS_FAST_MODEM)


def library() -> Contender:
    return Library()
