"""Bytes from a modem → lines and prompts, each classified before anyone sees it. Sans-IO.

Every line is an information line of the running command, a final result, a URC, or stray: known to nobody, and
therefore never the end of a command. The result does not depend on how the bytes were cut into chunks.
Knows neither what a command means nor what time it is.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from drivers.at import fields, urcs
from drivers.values import dataclass

MAX_LINE_OCTETS = 2048
"""A longest sensible line is a PDU of some 360 digits or a list of storages; what is beyond is junk."""


class Kind(Enum):
    """The class of a line."""

    INFO = auto()
    FINAL = auto()
    PROMPT = auto()
    URC = auto()
    STRAY = auto()


@dataclass(frozen=True, slots=True)
class Line:
    """One classified line.

    `name` is the prefix of a URC or an information line (`+CMTI`), or the final result's word. `payload` is the line
    that belonged to it: the PDU of +CMT, +CDS, +CMGL and +CMGR.
    """

    kind: Kind
    text: str
    name: str = ""
    payload: str | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What may answer the command that runs.

    `prefixes` name its information lines; with `bare` also lines without a prefix are its own; with `payload` each
    information line takes the next line. `call` says that NO CARRIER and the like end it.
    """

    echo: str
    prefixes: tuple[str, ...] = ()
    bare: bool = False
    payload: bool = False
    call: bool = False


IDLE = Expectation(echo="")

_ENDS = re.compile(rb"[\r\n]+")
_JUNK = bytes(octet for octet in range(0x20)) + b"\x7f"
_LEADING_JUNK = bytes(range(0x21)) + bytes(range(0x7F, 0x100))
_HEX = re.compile(r"[0-9A-Fa-f]+")
_PAYLOAD_LIKE = re.compile(r"[0-9A-Fa-f][^\s:,]*")
_FINAL = re.compile(
    r"(OK|NA|ABORTED|TOO MANY PARAMETERS|COMMAND NOT SUPPORT(?:ED)?)"
    r"|(ERROR|MODEM ERROR)(?:\s*:.*)?"
    r"|(\+CM[ES] ERROR)(?:[\s:].*)?",
    re.IGNORECASE,
)
_CALL_FINALS = ("NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE")


class Parser:
    """Keeps the octets of an unfinished line and what waits for its payload; nothing else."""

    def __init__(self) -> None:
        self._buffer = b""
        self._overlong = False
        self._expectation = IDLE
        self._echo = ""
        self._urc: Line | None = None
        self._info: Line | None = None
        self._is_foreign_ok_due = False

    def expect(self, expectation: Expectation) -> None:
        """Say which command runs from now on; `IDLE` where none does."""
        self._expectation = expectation
        self._echo = expectation.echo.upper()
        self._info = None

    def expect_echo(self, text: str) -> None:
        """Also drop this text where the modem echoes it, e.g. the PDU."""
        self._echo = text.upper()

    def reset(self) -> None:
        """Forget what the broken-off command waited for; octets of a URC that is under way are kept."""
        self._info = None
        self._is_foreign_ok_due = False

    def feed(self, chunk: bytes) -> list[Line]:
        """Take octets as they came and return what is complete."""
        found: list[Line] = []
        *complete, rest = _ENDS.split(self._buffer + chunk if self._buffer else chunk)
        for raw in complete:
            self._line(raw, found)
            self._overlong = False
        self._buffer = self._unfinished(rest, found)
        return found

    def _unfinished(self, rest: bytes, found: list[Line]) -> bytes:
        """Look for a prompt, which no line end follows, and bound what is kept."""
        if self._overlong:
            return b""
        rest = _without_prompts(rest, found)
        if len(rest) > MAX_LINE_OCTETS:
            found.append(_overlong(rest))
            self._overlong = True
            return b""
        return rest

    def _line(self, raw: bytes, found: list[Line]) -> None:
        if self._overlong:
            return
        bare = _without_prompts(raw, found)
        if len(bare) > MAX_LINE_OCTETS:
            found.append(_overlong(bare))
            return
        text = bare.decode("latin-1").strip()
        if text:
            self._classify(text, found)

    def _classify(self, text: str, found: list[Line]) -> None:
        if self._urc is None and self._info is None:
            self._fresh(text, found)
        elif _HEX.fullmatch(text):
            self._complete(text, found)
        else:
            self._interrupted(text, found)

    def _complete(self, payload: str | None, found: list[Line]) -> None:
        """Give the payload to the one that waits; a URC inside a listing is the inner of the two."""
        head, self._urc = self._urc, None
        if head is None:
            head, self._info = self._info, None
        if head is not None:
            found.append(Line(head.kind, head.text, head.name, payload))

    def _interrupted(self, text: str, found: list[Line]) -> None:
        """Take a line that is no PDU while one is awaited: the wait goes on across URCs and noise."""
        is_info = self._is_info(text)
        if is_info or self._final(text) is not None:
            # What was awaited does not come any more.
            if self._urc is not None:
                self._complete(None, found)
            if self._info is not None:
                self._complete(None, found)
            self._fresh(text, found)
            return
        urc = urcs.name(text)
        if urc is None and _PAYLOAD_LIKE.fullmatch(text) and not self._is_echo(text):
            # A PDU with an octet gone wrong: kept, so that somebody can look at it.
            self._complete(text, found)
            return
        if urc in urcs.WITH_PAYLOAD and self._urc is not None:
            self._complete(None, found)
        self._fresh(text, found)

    def _fresh(self, text: str, found: list[Line]) -> None:
        final = self._final(text)
        if final is not None and self._is_foreign_ok_due:
            self._is_foreign_ok_due = False
            found.append(Line(Kind.STRAY, final.text, final.name))
        elif final is not None:
            # What stands behind it in the same chunk belongs to nobody.
            self._expectation = IDLE
            found.append(final)
        elif self._is_info(text):
            info = Line(Kind.INFO, text, urcs.prefix(text))
            if self._expectation.payload:
                self._info = info
            else:
                found.append(info)
        elif (urc := urcs.name(text)) is not None:
            line = Line(Kind.URC, text, urc)
            if urc in urcs.WITH_PAYLOAD:
                self._urc = line
            else:
                found.append(line)
        elif self._is_echo(text):
            pass
        elif self._expectation.bare:
            found.append(Line(Kind.INFO, text))
        else:
            name = urcs.prefix(text)
            # The late answer of a submit that somebody gave up; its OK must not end the command that runs now.
            self._is_foreign_ok_due |= name == "+CMGS"
            found.append(Line(Kind.STRAY, text, name))

    def _is_echo(self, text: str) -> bool:
        return bool(self._echo) and text.upper() == self._echo

    def _is_info(self, text: str) -> bool:
        """Tell whether the line has a prefix of the running command and is not its URC namesake."""
        prefixes = self._expectation.prefixes
        if not prefixes or not text.upper().startswith(prefixes):
            return False
        prefix = urcs.prefix(text)
        if prefix not in prefixes or prefix in urcs.NEVER_ANSWERS:
            return False
        return prefix not in urcs.SAME_PREFIX or _is_registration_answer(text)

    def _final(self, text: str) -> Line | None:
        if len(text) > 160 or text[0] not in "OoEe+CcTtMmNnAaBb":
            return None
        found = _FINAL.fullmatch(text)
        if found is not None:
            return Line(Kind.FINAL, text, (found[1] or found[2] or found[3]).upper())
        if self._expectation.call:
            upper = text.upper()
            if upper in _CALL_FINALS or upper.startswith("CONNECT"):
                return Line(Kind.FINAL, text, upper)
        return None


def _is_registration_answer(text: str) -> bool:
    """Tell `+CREG: 0,1` (answer) from `+CREG: 1` and `+CREG: 1,"5E25","605F"` (URC): the second field is stat."""
    parts = fields.split(fields.value(text))
    return len(parts) >= 2 and parts[1].isdigit() and len(parts[1]) <= 2


def _without_prompts(raw: bytes, found: list[Line]) -> bytes:
    """Strip junk, and prompts at the start of a line: `>` is one with and without a line end or blanks around it."""
    bare = raw.translate(None, _JUNK).lstrip(_LEADING_JUNK)
    while bare.startswith(b">"):
        found.append(Line(Kind.PROMPT, ">"))
        bare = bare[1:].lstrip(_LEADING_JUNK)
    return bare


def _overlong(raw: bytes) -> Line:
    return Line(Kind.STRAY, raw[:64].decode("latin-1").strip() + "…", "")
