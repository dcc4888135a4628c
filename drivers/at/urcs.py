"""What a modem says unasked, as data: which lines are URCs, and which of them tell of a restart.

Knows no I/O and no session; the parser asks it for the class of a line, the session for its meaning.
"""

from __future__ import annotations

import re

WITH_PAYLOAD = frozenset({"+CMT", "+CDS", "+CBM"})
"""URCs that take the next line, wherever they stand (TS 27.005 §3.4.1)."""

NEVER_ANSWERS = WITH_PAYLOAD | {"+CMTI", "+CDSI", "+CBMI"}
"""Prefixes that no command is answered by."""

SAME_PREFIX = frozenset({"+CREG", "+CGREG", "+CEREG", "+C5GREG"})
"""Prefixes of both answer and URC, told apart by the fields (TS 27.007 §7.2)."""

PREFIXES = (
    NEVER_ANSWERS
    | SAME_PREFIX
    | frozenset(
        """
    +CUSD +CRING +CLIP +CPIN +CCWA +CLCC +CIEV +CTZV +CTZE +CTZU +CTZR +CGEV +CSSU +CSSI +COLP +CDIP +CNAP
    +CFUN +CSQ +CSQN +CMTE +CNSMOD +NITZ +CLTS +CALV +CGREGEXT +CUSATP +CUSATEND +SMS +SIM +SPIC +STIN +CPBREADY
    +QIND +QUSIM +QNITZ +QIURC +QCSQ +QUSBCFG +PBREADY +UUSORD +ZUSIMR +ZDONR +ZPASR +ZPSTM +ZEND +PACSP
    +SPNWNAME +PSBEARER +MSTK +STKPCI +XSIM +CRSMU +WIND +XCIEV
    ^RSSI ^BOOT ^MODE ^DSFLOWRPT ^HCSQ ^CSNR ^SRVST ^SIMST ^SMMEMFULL ^STIN ^NWTIME ^LWURC ^EONS ^CEND ^ORIG
    ^CONF ^CONN ^DDTMF ^NDISSTAT ^NDISEND ^PDPDEACT ^POSITION ^ECCLIST ^LTERSRP ^THERM ^SYSSTART ^SHUTDOWN ^SBC
    ^EXIT ^STN ^DATACONNECT
    *PSUTTZ *PSNWID *EMRDY *E2NAP *ACTIVE *ATREADY *ISIMAID *RADIOPOWER *EPEE *EGIND DST #QSS #STN #ECM
    _OSIGQ _OUWCTI _OCTI _OSSYSI %NWSTATE %IPDPACT
    """.split()  # noqa: SIM905 - a list of a hundred quoted words hides what is in it
    )
)
"""What stands before the colon or the first blank of a known URC."""

LINES = frozenset(
    {
        "RING", "RDY", "CALL READY", "SMS READY", "SMS DONE", "PB DONE", "+PBREADY", "+SIM READY", "+SIM DROP",
        "+SMS FULL", "UNDER-VOLTAGE WARNNING", "UNDER-VOLTAGE WARNING", "UNDER-VOLTAGE POWER DOWN",
        "OVER-VOLTAGE WARNNING", "OVER-VOLTAGE WARNING", "OVER-VOLTAGE POWER DOWN", "POWER DOWN", "NORMAL POWER DOWN",
        "POWERED DOWN", "*EMRDY", "^SYSSTART", "^SHUTDOWN", "START", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE",
        "APP RDY", "ENTER PIN", "+PACSP0", "+PACSP1",
    }
)  # fmt: skip
"""URCs without parameters, upper case. The four of a call are finals only where a call command waits."""

RESTARTED = frozenset({"RDY", "^SYSSTART", "START", "APP RDY"})
"""The modem starts: everything that was set is lost."""

GOING_DOWN = frozenset(
    {
        "POWERED DOWN",
        "POWER DOWN",
        "NORMAL POWER DOWN",
        "^SHUTDOWN",
        "UNDER-VOLTAGE POWER DOWN",
        "OVER-VOLTAGE POWER DOWN",
    }
)
"""The modem says goodbye."""

DOUBTFUL = frozenset({"+CPIN", "CALL READY", "SMS READY", "^BOOT", "*EMRDY", "+PBREADY"})
"""May tell of a restart, or be noise (^BOOT is repeated by some sticks): look whether the settings still hold."""

STORAGE_FULL = frozenset({"+SMS FULL", "^SMMEMFULL"})
"""No room for inbound: sweep at once."""

VENDOR_RESTARTED = frozenset({"*ATREADY", "+WIND", "+SIM READY"})
"""Names of what some makers' profiles call a boot mark: forgotten like the others once a boot is over."""

_PREFIX = re.compile(r"[+^*#%_&$]?[A-Za-z0-9]+")


def prefix(text: str) -> str:
    """Return what names the line: `+CMTI` of `+CMTI: "SM",3`, upper case; empty where it has no such form."""
    found = _PREFIX.match(text)
    return found.group().upper() if found else ""


def name(text: str) -> str | None:
    """Return the name of a URC, or None where the line is not known as one."""
    upper = text.upper()
    if upper in LINES:
        return upper
    found = prefix(text)
    if found in PREFIXES or found.startswith("+UU"):
        if found == "+SMS":
            return "+SMS FULL" if upper.startswith("+SMS FULL") else "+SMS"
        return found
    return "VOICE CALL" if upper.startswith(("VOICE CALL", "MISSED_CALL")) else None
