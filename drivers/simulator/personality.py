"""What one kind of modem says and refuses, as data. A new vendor is a row here, no code.

Behaviour that a row switches lives with the commands; a row only names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class EmptySlot(Enum):
    """How +CMGR answers for a slot without a message."""

    INVALID_INDEX = "321"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class CnmiRange:
    """The values that +CNMI=? lists and +CNMI= accepts, field by field."""

    mode: tuple[int, ...] = (0, 1, 2)
    mt: tuple[int, ...] = (0, 1, 2, 3)
    bm: tuple[int, ...] = (0, 2)
    ds: tuple[int, ...] = (0, 1, 2)
    bfr: tuple[int, ...] = (0, 1)


@dataclass(frozen=True, slots=True)
class Personality:
    """One kind of modem.

    `boot_marks` are lines sent after a boot, with `{cpin}` for the SIM's state; `refused` are command names
    answered with ERROR; `iccid_commands` map a command to the prefix of its answer.
    """

    name: str
    manufacturer: str = "phonebridge"
    model: str = "SIM-1"
    revision: str = "SIM-1.0"
    boot_marks: tuple[str, ...] = ("RDY", "+CPIN: {cpin}", "SMS DONE")
    prompt: str = "\r\n> "
    cnmi: CnmiRange = field(default_factory=CnmiRange)
    me_capacity: int = 100
    sm_capacity: int = 30
    sr_capacity: int = 50
    empty_slot: EmptySlot = EmptySlot.INVALID_INDEX
    refused: frozenset[str] = frozenset()
    iccid_commands: tuple[tuple[str, str], ...] = (("+CCID", "+CCID: "), ("+ICCID", "+ICCID: "))


PERSONALITIES: Mapping[str, Personality] = {
    "generic": Personality("generic"),
}
