"""What is fuzzed: one input is a dialogue, cut into chunks, through the parser and all that reads its lines.

An input's first octets choose the command that waits and the sizes of the chunks, so that whoever mutates octets
mutates those too. Nothing here is caught: whatever escapes is a finding.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.at import commands, events, urcs
from drivers.at.parser import IDLE, MAX_LINE_OCTETS, Expectation, Kind, Line, Parser
from drivers.at.request import Answer

EXPECTATIONS = (
    IDLE,
    Expectation("AT+CSQ", ("+CSQ",)),
    Expectation("AT+CREG?", ("+CREG",)),
    Expectation("AT+CMGL=4", ("+CMGL",), payload=True),
    Expectation("AT+CMGR=1", ("+CMGR",), payload=True),
    Expectation("AT+CMGS=20", ("+CMGS",)),
    Expectation("AT+CGMM", ("+CGMM",), bare=True),
    Expectation("ATD*100#;", ("+CUSD",), call=True),
)
_HEAD_OCTETS = 4
_READERS: tuple[Callable[[Answer], object], ...] = (
    commands.text,
    commands.iccid_digits,
    commands.pin_state,
    commands.pin_tries,
    commands.own_number,
    commands.smsc,
    commands.storages,
    commands.usages,
    commands.current_storages,
    commands.routing,
    commands.routing_choices,
    commands.signal_dbm,
    commands.operator,
    commands.listed,
    commands.message_reference,
)


class Wrong(AssertionError):
    """The parser broke one of its promises."""


def execute(data: bytes, veteran: Parser) -> None:
    """Run one input. `veteran` has seen all inputs before: what it keeps must stay bounded.

    Raises: Wrong, and whatever the code under test raises.
    """
    head, dialogue = data[:_HEAD_OCTETS].ljust(_HEAD_OCTETS, b"\0"), data[_HEAD_OCTETS:]
    expectation = EXPECTATIONS[head[0] % len(EXPECTATIONS)]
    whole = _parse(Parser(), expectation, dialogue, (1 << 20,))
    cut = _parse(Parser(), expectation, dialogue, tuple(1 + octet % 64 for octet in head[1:]))
    if whole != cut:
        raise Wrong(f"chunks matter: {whole} != {cut}")
    _parse(veteran, expectation, dialogue, (1 << 20,))
    veteran.reset()
    kept = kept_octets(veteran)
    if kept > MAX_LINE_OCTETS:
        raise Wrong(f"{kept} octets are kept")
    _read(whole)


def kept_octets(parser: Parser) -> int:
    """Octets of an unfinished line that a parser holds."""
    return len(parser._buffer)


def _parse(parser: Parser, expectation: Expectation, data: bytes, sizes: tuple[int, ...]) -> list[Line]:
    parser.expect(expectation)
    found: list[Line] = []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found += parser.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    return found


def _read(lines: list[Line]) -> None:
    """Let everything that looks into lines look into these."""
    infos: list[Line] = []
    for line in lines:
        urcs.name(line.text)
        commands.indication(line)
        commands.registration(line, is_answer=line.kind is Kind.INFO)
        if line.payload is not None:
            events.decode("8949000000000000001", line.payload)
        if line.kind is Kind.INFO:
            infos.append(line)
        elif line.kind is Kind.FINAL:
            answer = Answer(tuple(infos), line)
            infos = []
            for reader in _READERS:
                reader(answer)
            commands.message_read(answer, 1)
