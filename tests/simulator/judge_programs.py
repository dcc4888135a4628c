"""Debian's gammu-smsd and smstools as they are, each with a spool of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import debian

_STOP_S = 10.0

GAMMU = """
[gammu]
device = {port}
connection = at115200
use_locking = no
synchronizetime = no

[smsd]
service = files
inboxpath = {spool}/inbox/
outboxpath = {spool}/outbox/
sentsmspath = {spool}/sent/
errorsmspath = {spool}/error/
inboxformat = unicode
logfile = {spool}/log
commtimeout = 1
receivefrequency = 1
loopsleep = 1
statusfrequency = 0
checksecurity = 0
checkbattery = 0
checksignal = 0
checknetwork = 0
smsc = +491710760000
deliveryreport = sms
"""

SMSTOOLS = """
devices = GSM1
outgoing = {spool}/outgoing
checked = {spool}/checked
incoming = {spool}/incoming
report = {spool}/report
failed = {spool}/failed
sent = {spool}/sent
logfile = {spool}/log
delaytime = 1
delaytime_mainprocess = 1
trust_outgoing = yes
ignore_outgoing_priority = yes
spool_directory_order = yes
errorsleeptime = 1
blocktime = 5

[GSM1]
device = {port}
incoming = yes
report = yes
check_network = 0
status_signal_quality = no
detect_message_routing = no
detect_unexpected_input = no
poll_faster = 100
startsleeptime = 0
rtscts = no
memory_start = 1
primary_memory = ME
secondary_memory = SR
secondary_memory_max = 50
"""


class Judge:
    """One program's spool and its way to be run."""

    def __init__(self, root: Path, spool: Path) -> None:
        self.root = root
        self.spool = spool
        self.environment = debian.environment(root)

    def prepare(self, template: str, port: Path, *directories: str) -> Path:
        """Makes the spool's directories and the configuration file."""
        for name in directories:
            (self.spool / name).mkdir(parents=True)
        configuration = self.spool / "configuration"
        configuration.write_text(template.format(port=port, spool=self.spool))
        return configuration

    @contextmanager
    def running(self, *command: str | Path) -> Iterator[None]:
        """The program runs inside the block, and has ended after it."""
        with (self.spool / "output").open("wb") as output:
            process = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)
            try:
                yield
            finally:
                process.terminate()
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def files(self, directory: str) -> list[bytes]:
        """The contents of a spool directory's files, by file name."""
        return [path.read_bytes() for path in sorted((self.spool / directory).iterdir())]

    def wait_for(self, what: str, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Polls a condition; on its failure the program's log is shown."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                log = self.spool / "log"
                tail = log.read_text(errors="replace")[-3000:] if log.exists() else "(no log)"
                raise AssertionError(f"{what} did not happen within {timeout_s} s; log:\n{tail}")
            time.sleep(0.02)
