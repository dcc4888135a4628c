"""What one kind of modem says and refuses, as data: the fields, and what each of them switches.

Behaviour that a field switches lives with the commands; a row only names it. The rows are in `personalities`.
"""

from dataclasses import dataclass, field
from enum import Enum


class EmptySlot(Enum):
    """How +CMGR answers for a slot without a message."""

    INVALID_INDEX = "321"
    OK = "ok"
    ZEROES = "+CMGR: 0,,0"


class MemoryForm(Enum):
    """How +CPMS=? writes its groups."""

    GROUPS = '("ME","SM"),("ME","SM"),("ME","SM")'
    NESTED = '(("SM","BM","SR"),("SM"))'
    PLAIN = '"SM","SM","SM"'
    EMPTY = "nothing behind the colon"


class IccidForm(Enum):
    """How the ICCID is written."""

    PLAIN = "8949..."
    QUOTED = '"8949..."'
    PADDED = "8949...F"
    SWAPPED = "9894...: the semi-octets of EF_ICCID as they lie on the SIM"


class UssdDialect(Enum):
    """What +CUSD takes and answers."""

    CHARACTER_SET = "by +CSCS, dcs 15"
    UCS2 = "UCS2 in hexadecimal with dcs 15, whatever +CSCS says"
    PACKED = "GSM 7-bit packed, in hexadecimal, both ways; plain text is refused"


@dataclass(frozen=True, slots=True)
class CnmiRange:
    """The values that +CNMI=? lists and +CNMI= accepts, field by field; `lies` are listed values of ds it refuses."""

    mode: tuple[int, ...] = (0, 1, 2)
    mt: tuple[int, ...] = (0, 1, 2, 3)
    bm: tuple[int, ...] = (0, 2)
    ds: tuple[int, ...] = (0, 1, 2)
    bfr: tuple[int, ...] = (0, 1)
    lies: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SimSwitch:
    """One command that chooses between two SIM slots; `first` is the number of the first slot.

    `answer` is what follows the prefix in the answer to the query. `needs_radio_off`: refused while +CFUN is 1.
    `key` is a command line without which it is refused, asked once per power-up.
    """

    command: str
    first: int = 0
    answer: str = "{slot}"
    needs_radio_off: bool = False
    key: str = ""


_GROUPS = (("ME", "SM", "SR"), ("ME", "SM"), ("ME", "SM"))


@dataclass(frozen=True, slots=True)
class Personality:
    """One kind of modem.

    Marks are lines sent after a boot, with `{cpin}` for the SIM's state: `boot_marks` when the modem can be talked
    to, `sim_marks` when the SIM is ready, `sms_marks` when the message store is. `ready_share` is how long the store
    needs after the boot, as a share of the boot time; the SIM needs half of that, and until then SMS commands are
    answered with `busy_code`.
    `refused` are command names answered as unknown; `accepted` are answered OK and do nothing; `resets` reboot.
    `iccid_commands` map a command to the prefix of its answer, `pin_counters` to its lines, with {pin}, {puk} and
    {state}. `silencer` is the command and argument that ends the noise.
    `memory_groups` are the memories per argument of +CPMS, `memory_arguments` how many it takes at once,
    `memories` what is set after power-up. Reports of CNMI ds=2 go to `report_memory`, empty for mem3; with
    `has_false_sr` they are announced and lost.
    With `forgets_slot` a reboot puts the first SIM slot in use again.
    `guard_s` is how long after a final result the modem is deaf. `vendor_error` is a temporary +CMS ERROR of the
    vendor's own. `needs_phase_2_plus`: mt 2 and 3 and ds 1 are refused without +CSMS=1.
    """

    name: str
    manufacturer: str = "phonebridge"
    model: str = "SIM-1"
    revision: str = "SIM-1.0"
    has_identity_prefix: bool = False
    boot_marks: tuple[str, ...] = ("RDY", "+CPIN: {cpin}", "SMS DONE")
    sim_marks: tuple[str, ...] = ()
    sms_marks: tuple[str, ...] = ()
    ready_share: float = 0.0
    busy_code: int = 302
    noise: tuple[str, ...] = ()
    noise_gap_s: float = 0.5
    silencer: tuple[str, str] | None = None
    full_mark: str = ""
    prompt: str = "\r\n> "
    echoes_pdu: bool = False
    guard_s: float = 0.0
    unknown_final: str = ""
    has_cpin_ok: bool = True
    cnmi: CnmiRange = field(default_factory=CnmiRange)
    needs_phase_2_plus: bool = False
    memory_groups: tuple[tuple[str, ...], ...] = _GROUPS
    memory_form: MemoryForm = MemoryForm.GROUPS
    memory_arguments: tuple[int, ...] = (1, 2, 3)
    memories: tuple[str, str, str] = ("ME", "ME", "ME")
    me_capacity: int = 100
    sm_capacity: int = 30
    sr_capacity: int = 50
    report_memory: str = "SR"
    has_false_sr: bool = False
    empty_slot: EmptySlot = EmptySlot.INVALID_INDEX
    character_set: str = "IRA"
    smsc_is_ucs2: bool = False
    smsc_has_type: bool = True
    vendor_error: int = 500
    refused: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()
    resets: tuple[str, ...] = ()
    reset_functions: tuple[int, ...] = ()
    iccid_commands: tuple[tuple[str, str], ...] = (("+CCID", "+CCID: "), ("+ICCID", "+ICCID: "))
    iccid_form: IccidForm = IccidForm.PLAIN
    pin_counters: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("+CPINR", ("+CPINR: SIM PIN,{pin},3", "+CPINR: SIM PUK,{puk},10")),
    )
    ussd: UssdDialect = UssdDialect.CHARACTER_SET
    is_ussd_before_ok: bool = False
    sim_switches: tuple[SimSwitch, ...] = ()
    forgets_slot: bool = False
