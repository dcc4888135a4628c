"""A client of the simulator at the byte seam: raw os.read and os.write on the pty, with deadlines."""

from __future__ import annotations

import os
import re
import select
import termios
import time
import tty
from pathlib import Path

# SUBMIT to +46708251358, "hellohello", with and without a status report request; built by hand after TS 23.040.
PLAIN = "0011000B916407281553F80000AA0AE8329BFD4697D9EC37"
WITH_REPORT = "0031000B916407281553F80000AA0AE8329BFD4697D9EC37"
RECIPIENT = "+46708251358"


def tpdu_octets(pdu: str) -> int:
    """The number for AT+CMGS: octets behind the SMSC field."""
    return len(pdu) // 2 - 1 - int(pdu[:2], 16)


class Line:
    """An open port. What was read and not yet expected stays in `seen`."""

    def __init__(self, port: Path) -> None:
        self.descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.descriptor, termios.TCSANOW)  # the default would discard what waits in the line
        self.seen = b""

    def write(self, data: bytes) -> None:
        os.write(self.descriptor, data)

    def expect(self, pattern: bytes, timeout_s: float = 3.0) -> bytes:
        """Everything up to the end of the first match; the rest is kept."""
        deadline = time.monotonic() + timeout_s
        while (match := re.search(pattern, self.seen, re.DOTALL)) is None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.descriptor], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} in {self.seen!r}")
            self.seen += os.read(self.descriptor, 65536)
        taken, self.seen = self.seen[: match.end()], self.seen[match.end() :]
        return taken

    def silence(self, for_s: float) -> None:
        """Nothing may come for so long."""
        deadline = time.monotonic() + for_s
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.descriptor], [], [], left)[0]:
                self.seen += os.read(self.descriptor, 65536)
        assert self.seen == b""

    def command(self, text: str, timeout_s: float = 3.0) -> list[str]:
        """A command's lines, the final result last; empty lines are left out."""
        self.write(text.encode() + b"\r")
        final = rb"(^|\r\n)(OK|ERROR|\+CM[ES] ERROR: [^\r]*|COMMAND NOT SUPPORT)\r\n"
        answer = self.expect(final, timeout_s).decode("latin-1")
        return [line for line in answer.split("\r\n") if line]

    def prompt(self, pdu: str) -> None:
        """AT+CMGS up to the prompt."""
        self.write(f"AT+CMGS={tpdu_octets(pdu)}\r".encode())
        self.expect(rb"\r\n> ")

    def submit(self, pdu: str, timeout_s: float = 3.0) -> list[str]:
        """A whole submit; its answer's lines."""
        self.prompt(pdu)
        self.write(pdu.encode() + b"\x1a")
        answer = self.expect(rb"\r\n(OK|ERROR|\+CM[ES] ERROR: \d+)\r\n", timeout_s).decode()
        return [line for line in answer.split("\r\n") if line]

    def expect_hang_up(self, timeout_s: float = 3.0) -> None:
        """The port must become one whose device is gone."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.descriptor], [], [], left)[0]:
                try:
                    if os.read(self.descriptor, 65536) == b"":
                        return
                except OSError:
                    return
        raise AssertionError("the port is still there")

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
