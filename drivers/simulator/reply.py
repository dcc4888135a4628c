"""What a command's handler returns: information lines, a failure or not, and what the line does next."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """A final result other than OK. `kind` is `CME`, `CMS`, `TEXT` (`text` as it is) or empty for a bare ERROR."""

    kind: str = ""
    code: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class OpenPrompt:
    """The line collects a PDU of so many TPDU octets; `stores` is True for +CMGW, False for +CMGS."""

    octets: int
    stores: bool = False


@dataclass(frozen=True, slots=True)
class SendStored:
    """+CMSS: the stored SUBMIT (with its SMSC field) goes on the air."""

    pdu: bytes


@dataclass(frozen=True, slots=True)
class Reboot:
    """The modem answers OK and reboots."""


Effect = OpenPrompt | SendStored | Reboot


@dataclass(frozen=True, slots=True)
class Reply:
    """One command's outcome; without a failure the final result is OK, unless an effect takes over.

    `has_final` False: the modem forgets the final result.
    """

    lines: tuple[str, ...] = ()
    failure: Failure | None = None
    effect: Effect | None = None
    has_final: bool = True


OK = Reply()
ERROR = Reply(failure=Failure())


def cme(code: int) -> Reply:
    """+CME ERROR: `code` (27.007 §9.2)."""
    return Reply(failure=Failure("CME", code))


def cms(code: int) -> Reply:
    """+CMS ERROR: `code` (27.005 §3.2.5)."""
    return Reply(failure=Failure("CMS", code))


CME_TEXTS = {
    3: "operation not allowed", 4: "operation not supported", 10: "SIM not inserted", 11: "SIM PIN required",
    12: "SIM PUK required", 13: "SIM failure", 14: "SIM busy", 16: "incorrect password", 21: "invalid index",
    22: "not found", 30: "no network service", 50: "incorrect parameters", 100: "unknown",
}  # fmt: skip


def failure_text(failure: Failure, error_level: int) -> str:
    """The final result code under +CMEE=`error_level`, which governs CME errors only (27.005 §3.2.5)."""
    if failure.kind == "TEXT":
        return failure.text
    if failure.kind == "CMS":
        return f"+CMS ERROR: {failure.code}"
    if failure.kind == "CME" and error_level == 1:
        return f"+CME ERROR: {failure.code}"
    if failure.kind == "CME" and error_level == 2:
        return f"+CME ERROR: {CME_TEXTS.get(failure.code, CME_TEXTS[100])}"
    return "ERROR"
