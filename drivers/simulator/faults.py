"""Injected faults: which exist, with which parameters, and which are armed.

A fault is a row of FAULTS; the code at its point asks `take`. One that fires is logged with where and when.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.simulator.log import EventLog

Parameter = str | int | float | bool | None


class FaultError(ValueError):
    """The request names no such fault, or a parameter that it does not have."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault: what it does, in a sentence, its parameters with their defaults.

    A lasting one has no times: it holds from when it is armed until it is cleared.
    """

    summary: str
    defaults: Mapping[str, Parameter] = field(default_factory=dict)
    is_lasting: bool = False


FAULTS: Mapping[str, FaultKind] = {
    "no_prompt": FaultKind("+CMGS is accepted but the prompt never comes"),
    "prompt_form": FaultKind("the prompt has another form", {"form": "\r\n>\r\n"}),
    "cms_error": FaultKind(
        "the submit is answered +CMS ERROR; at = answer (after the radio time) or command (no prompt)",
        {"code": 500, "at": "answer", "on_air": False},
    ),
    "error_after_ctrl_z": FaultKind("the submit is answered with a bare ERROR", {"on_air": False}),
    "late_answer": FaultKind(
        "on the air in time, the answer `seconds` later; with busy false commands work meanwhile",
        {"seconds": 5.0, "busy": True},
    ),
    "lost_answer": FaultKind("on the air, the answer never comes; other commands work"),
    "hang": FaultKind(
        "answers nothing for `seconds` (0: until a reboot); at = now, command, prompt, ctrl_z, before_answer; "
        "at = command: only at that `command`, if given",
        {"seconds": 0.0, "at": "now", "command": None},
    ),
    "reboot_after_pdu": FaultKind("reboots on Ctrl-Z; on_air: after sending", {"on_air": False}),
    "unplug_at": FaultKind(
        "unplugged at point = command_byte (after `octets` characters of AT+CMGS), prompt, pdu_byte (after `octets` "
        "characters), ctrl_z (not sent), before_answer, answer_byte (after `octets` of the answer; both sent); "
        "plugged in again after `seconds` (0: by the plug operation)",
        {"point": "ctrl_z", "octets": 1, "seconds": 0.0},
    ),
    "reboot": FaultKind(
        "reboots when a command (or that `command`) comes; silent: it is back at once without a mark, settings lost",
        {"command": None, "silent": False},
    ),
    "unplug": FaultKind("unplugged when a command comes, for `seconds`", {"command": None, "seconds": 0.0}),
    "slow_command": FaultKind(
        "the next command (or that `command`) is answered `seconds` late; the modem hears nothing meanwhile",
        {"command": None, "seconds": 5.0},
    ),
    "vendor_error": FaultKind(
        "the submit is answered with the temporary +CMS ERROR of the vendor's own", {"on_air": False}
    ),
    "sms_service": FaultKind(
        "a submit over another service than `only`, a value of +CGSMS, is answered +CMS ERROR: 500", {"only": 1}
    ),
    "sim_locked": FaultKind(
        "when a command comes, the SIM asks for its PIN (a SIM without one gets `pin`), or for its PUK",
        {"command": None, "pin": "1234", "puk": False},
    ),
    "registration_lost": FaultKind(
        "when a command comes, the network is gone for `seconds` (0: until set again)",
        {"command": None, "seconds": 1.0},
    ),
    "smsc_lost": FaultKind("when a command comes, the SMSC is forgotten", {"command": None}),
    "text_mode": FaultKind("when a command comes, the modem falls back to text mode", {"command": None}),
    "sim_switch": FaultKind(
        "the command that chooses the other SIM is refused, ignored (OK, and nothing), or the modem hangs for "
        "`seconds` over it, reboots or is unplugged for `seconds`, as `how` says; done: after it switched",
        {"how": "refused", "done": False, "seconds": 1.0},
    ),
    "storage_full": FaultKind("an arriving message finds no room, and the modem says so"),
    "stored_twice": FaultKind("an arriving message is stored and announced twice"),
    "indication_lost": FaultKind("an arriving message is stored and not announced"),
    "indication_odd": FaultKind("an arriving message is stored and announced as `line`", {"line": "+CMTI: ,-1"}),
    "list_hangs": FaultKind("+CMGL never ends; the modem hears again after `seconds` (0: a reboot)", {"seconds": 2.0}),
    "list_cut": FaultKind("+CMGL breaks off behind `lines` of its lines, with OK", {"lines": 1}),
    "reports_scrambled": FaultKind(
        "the network keeps `count` reports back, for `seconds` at most, and sends the last one first",
        {"count": 4, "seconds": 1.0},
    ),
    "echo_pdu": FaultKind("the PDU is echoed although echo is off"),
    "echo_stuck": FaultKind("commands are echoed although echo is off", is_lasting=True),
    "garbage": FaultKind("`hex` bytes stand before the next answer", {"hex": "00ff5e7e0d0a"}),
    "urc_inside": FaultKind(
        "`line` stands in the next answer (to `command`, if given) behind `after` of its lines; "
        "at = prompt: before the prompt",
        {"line": "^RSSI: 17", "command": None, "at": "answer", "after": 1},
    ),
    "cnmi_refused": FaultKind("+CNMI= is refused, or only with this `ds`", {"ds": None, "code": 303}),
    "delete_fails": FaultKind("+CMGD fails, or with lie says OK and deletes nothing", {"code": 320, "lie": False}),
    "chunk": FaultKind("output comes `octets` at a time, `gap_s` apart", {"octets": 1, "gap_s": 0.001}, True),
}
# Matches every kind: only for submits to a recipient that ends in these digits.
_RECIPIENT = "recipient"


@dataclass(slots=True)
class Fault:
    """An armed fault; `left` None means until cleared."""

    name: str
    left: int | None
    parameters: dict[str, Parameter]

    def number(self, name: str) -> float:
        """A parameter as a number."""
        value = self.parameters[name]
        return float(value) if isinstance(value, int | float) else 0.0

    def text(self, name: str) -> str:
        """A parameter as text, empty for none."""
        value = self.parameters[name]
        return "" if value is None else str(value)

    def is_set(self, name: str) -> bool:
        """A parameter as a condition."""
        return bool(self.parameters[name])


class Faults:
    """The armed faults of one modem."""

    def __init__(self, modem: int, log: EventLog) -> None:
        self._modem = modem
        self._log = log
        self.armed: list[Fault] = []

    def arm(self, name: str, times: int | None, parameters: Mapping[str, Parameter]) -> Fault:
        """Adds a fault for `times` firings (None: until cleared). Raises FaultError."""
        kind = FAULTS.get(name)
        if kind is None:
            raise FaultError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
        for key, value in parameters.items():
            if key not in kind.defaults and key != _RECIPIENT:
                raise FaultError(f"fault {name} has no parameter {key!r}; it has {', '.join(kind.defaults)}")
            _check(key, value, kind.defaults.get(key))
        fault = Fault(name, None if kind.is_lasting else times, {_RECIPIENT: None, **kind.defaults, **parameters})
        self.armed.append(fault)
        return fault

    def clear(self, name: str | None) -> int:
        """Disarms one kind, or all: how many there were."""
        kept = [fault for fault in self.armed if name is not None and fault.name != name]
        cleared = len(self.armed) - len(kept)
        self.armed = kept
        return cleared

    def find(self, name: str, *, recipient: str | None = None, **wanted: Parameter) -> Fault | None:
        """The first armed fault of that kind whose parameters are as wanted (None there matches all).

        With a `recipient` condition it is found only by a caller that knows the recipient.
        """
        for fault in self.armed:
            if fault.name == name and _matches(fault, recipient, wanted):
                return fault
        return None

    def take(
        self,
        name: str,
        *,
        point: str,
        submit: int | None = None,
        inbound: int | None = None,
        recipient: str | None = None,
        **wanted: Parameter,
    ) -> Fault | None:
        """`find`, and the fault fires: counted, logged, disarmed when it was the last time."""
        if not self.armed:
            return None
        fault = self.find(name, recipient=recipient, **wanted)
        if fault is not None:
            self.fire(fault, point=point, submit=submit, inbound=inbound)
        return fault

    def fire(self, fault: Fault, *, point: str, submit: int | None = None, inbound: int | None = None) -> None:
        """Counts and logs one firing of a found fault."""
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                self.armed.remove(fault)
        left = fault.left
        self._log.write(self._modem, "fault", name=fault.name, point=point, submit=submit, inbound=inbound, left=left)


def _check(key: str, value: Parameter, default: Parameter) -> None:
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    if is_number and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise FaultError(f"parameter {key} is a number, not {value!r}")
    if isinstance(default, bool | str) and not isinstance(value, type(default)):
        raise FaultError(f"parameter {key} is a {type(default).__name__}, not {value!r}")
    if key == "hex":
        bytes.fromhex(str(value))


def _matches(fault: Fault, recipient: str | None, wanted: Mapping[str, Parameter]) -> bool:
    condition = fault.parameters[_RECIPIENT]
    if condition is not None and (recipient is None or not recipient.endswith(str(condition))):
        return False
    return all(fault.parameters[key] in (None, value) for key, value in wanted.items())
