"""What went wrong with a submit: from a final result to the exception of the contract. Pure.

Codes above 511 mean different things at different makers, and are looked up by the maker first.
"""

from __future__ import annotations

import re

from drivers.api import NotReady, OutcomeUnknown, Refused, RouteRefused, SubmitError, TryLater
from drivers.at.cause_tables import (
    BARE_ERROR,
    CME,
    CMS,
    NO_PROMPT,
    TEXTS,
    UNANSWERED,
    UNLISTED,
    VENDOR_CME,
    VENDOR_CMS,
    Cause,
    CauseClass,
)
from drivers.values import dataclass

__all__ = ["CME", "CMS", "NO_PROMPT", "UNANSWERED", "VENDOR_CME", "VENDOR_CMS", "Cause", "CauseClass", "Code"]

_RESULT = re.compile(r"\+(CM[ES]) ERROR[\s:]*(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Code:
    """A final result that is an error: its kind ("CMS", "CME" or "ERROR"), and its number where it has one."""

    kind: str
    number: int | None = None
    text: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.number}" if self.number is not None else f"{self.kind} {self.text}".strip()


def parse(final: str) -> Code:
    """Return the code of a final result; texts of AT+CMEE=2 become their numbers."""
    found = _RESULT.fullmatch(final.strip())
    if found is None:
        return Code("ERROR")
    kind, rest = found[1].upper(), found[2].strip().strip('"')
    if rest.isascii() and rest.isdigit() and len(rest) < 7:
        return Code(kind, int(rest))
    named = TEXTS.get(rest.lower())
    return Code(*named) if named is not None else Code(kind, None, rest[:80])


def find(code: Code, maker: str = "") -> Cause:
    """Return the row of a code, the maker's own first; a row for "everything else" where there is none."""
    if code.number is None:
        return BARE_ERROR
    vendor, common = (VENDOR_CME, CME) if code.kind == "CME" else (VENDOR_CMS, CMS)
    return vendor.get(maker, {}).get(code.number) or common.get(code.number, UNLISTED)


def of_error(error: SubmitError, maker: str = "") -> Cause | None:
    """Return the row that an error came from; None where it came from no code."""
    kind, _, number = (error.code or "").partition(" ")
    if kind not in ("CMS", "CME") or not number.isdigit():
        return None
    return find(Code(kind, int(number)), maker)


def wants_plain(cause: Cause) -> bool:
    """Tell whether the part may pass without validity, report and class."""
    return cause.kind is CauseClass.REENCODE or cause.is_plain_first


def error(final: str, *, handed_over: bool, maker: str = "") -> SubmitError | None:
    """Return what to raise for the final result of a submit; None where it counts as sent.

    `handed_over` says that the PDU had left. Before, nothing is ever unknown; after, a bare ERROR is.
    """
    code = parse(final)
    cause = find(code, maker)
    if handed_over and code.number is None:
        cause = UNANSWERED
    sentence, raw = cause.sentence, str(code)
    match cause.kind:
        case CauseClass.DUPLICATE:
            return None
        case CauseClass.UNKNOWN if handed_over:
            return OutcomeUnknown(sentence, code=raw)
        case CauseClass.UNKNOWN:
            return TryLater(BARE_ERROR.sentence, delays_s=BARE_ERROR.delays_s, code=raw)
        case CauseClass.TRANSIENT | CauseClass.STORAGE:
            return TryLater(sentence, delays_s=cause.delays_s, code=raw)
        case _:
            return _PLAIN[cause.kind](sentence, code=raw)


_PLAIN: dict[CauseClass, type[Refused] | type[RouteRefused] | type[NotReady]] = {
    CauseClass.PERMANENT: Refused,
    CauseClass.REENCODE: Refused,
    CauseClass.ACCOUNT: RouteRefused,
    CauseClass.HOLD: NotReady,
    CauseClass.SIM: NotReady,
}


def is_late_answer(final: str) -> bool:
    """Tell whether a stray error settles a submit: a cause of the network's own, never one of a storage command."""
    code = parse(final)
    if code.kind != "CMS" or code.number is None or find(code).kind is CauseClass.UNKNOWN:
        return False
    return code.number < 256 or code.number == 331
