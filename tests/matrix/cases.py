"""The faults of the matrix as data: which ones are armed, and what a person does where only a person can help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Armed:
    """One fault as the simulator's control socket takes it; `times` 0 is until cleared."""

    name: str
    times: int = 1
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One column of the matrix.

    `faults` are armed one after the other while parts and inbound SMS are in flight. `helps` is what a person does
    once the route says that it needs one: an operation of the control socket. `pin` is the SIM's and the route's.
    `forbidden` are events that the simulator's log must not have. `needs` is a command without which a modem cannot
    be mended.
    """

    name: str
    faults: tuple[Armed, ...]
    helps: dict[str, Any] | None = None
    pin: str | None = None
    forbidden: tuple[str, ...] = ()
    needs: str = ""
    timeout_s: float = 180.0


def _case(name: str, fault: str, times: int = 1, **parameters: Any) -> Case:
    return Case(name, (Armed(fault, times, parameters),))


_HELD_S = 2.0

CASES: tuple[Case, ...] = (
    _case("no prompt", "no_prompt"),
    _case("prompt >CRLF", "prompt_form", 3, form="\r\n>\r\n"),
    _case("prompt bare >", "prompt_form", 3, form=">"),
    _case("prompt behind a URC", "urc_inside", 3, at="prompt", line="^RSSI:9"),
    _case("error after Ctrl-Z, sent", "error_after_ctrl_z", 2, on_air=True),
    _case("error after Ctrl-Z, not sent", "error_after_ctrl_z", 2, on_air=False),
    _case("vendor error", "vendor_error", 2),
    _case("late answer, after the deadline", "late_answer", seconds=3.0),
    _case("late answer, line free", "late_answer", seconds=3.0, busy=False),
    _case("answer lost", "lost_answer"),
    _case("hang at AT+CMGS", "hang", at="command", command="+CMGS", seconds=_HELD_S),
    _case("hang at the prompt", "hang", at="prompt", seconds=_HELD_S),
    _case("hang at Ctrl-Z", "hang", at="ctrl_z", seconds=_HELD_S),
    _case("hang before the answer", "hang", at="before_answer", seconds=_HELD_S),
    _case("slow read", "slow_command", 2, command="+CMGR", seconds=1.0),
    _case("echo stuck", "echo_stuck", 0),
    _case("echo of the PDU", "echo_pdu", 5),
    # A second of dialogue takes some ten: the time is for a busy machine.
    Case("one octet at a time", (Armed("chunk", 0, {"octets": 1, "gap_s": 0.0005}),), timeout_s=180.0),
    _case("garbage", "garbage", 6),
    _case("URC inside +CMGS", "urc_inside", 5, command="+CMGS", line="+CGEV: NW DETACH", after=0),
    _case("URC inside +CMGR", "urc_inside", 3, command="+CMGR", line="^RSSI:17", after=1),
    _case("URC with payload inside", "urc_inside", 2, command="+CMGS", line="+CREG: 1", after=1),
    _case("reboot at Ctrl-Z, not sent", "reboot_after_pdu", on_air=False),
    _case("reboot at Ctrl-Z, sent", "reboot_after_pdu", on_air=True),
    _case("reboot at a command", "reboot", command="+CMGS"),
    _case("reboot nobody tells of", "reboot", command="+CMGS", silent=True),
    _case("storage full", "storage_full", 4),
    Case(
        "CNMI refused",
        (Armed("cnmi_refused", 0), Armed("reboot", 1, {"command": "+CMGS"})),
    ),
    _case("message cannot be deleted", "delete_fails", 3),
    _case("deletion only said", "delete_fails", 3, lie=True),
    _case("stored twice", "stored_twice", 3),
    _case("indication lost", "indication_lost", 3),
    _case("indication without index", "indication_odd", 2),
    Case("list hangs", (Armed("indication_lost", 12), Armed("list_hangs", 1, {"seconds": 1.0}))),
    Case("list cut off", (Armed("indication_lost", 12), Armed("list_cut", 2))),
    Case("SIM asks for its PIN", (Armed("sim_locked", 1, {"command": "+CMGS"}),), pin="1234"),
    Case(
        "SIM asks for its PUK",
        (Armed("sim_locked", 1, {"command": "+CMGS", "puk": True}),),
        helps={"op": "sim", "pin": None, "pin_attempts": 3},
        forbidden=("pin",),
    ),
    _case("registration lost", "registration_lost", command="+CMGS", seconds=1.0),
    _case("unplugged in AT+CMGS", "unplug_at", point="command_byte", octets=9, seconds=0.3),
    _case("unplugged at the prompt", "unplug_at", point="prompt", seconds=0.3),
    _case("unplugged in the PDU", "unplug_at", point="pdu_byte", octets=7, seconds=0.3),
    _case("unplugged at Ctrl-Z", "unplug_at", point="ctrl_z", seconds=0.3),
    _case("unplugged before the answer", "unplug_at", point="before_answer", seconds=0.3),
    _case("unplugged in the answer", "unplug_at", point="answer_byte", octets=6, seconds=0.3),
    _case("reports scrambled", "reports_scrambled", 5),
    _case("text mode again", "text_mode", command="+CMGS"),
    Case("SMS by another service only", (Armed("sms_service", 0, {"only": 1}),), needs="+CGSMS"),
)
SWITCH_CASES: tuple[Case, ...] = (
    _case("SIM switch refused", "sim_switch", 2, how="refused"),
    _case("SIM switch only said", "sim_switch", 2, how="ignored"),
    _case("hang at the SIM switch", "sim_switch", how="hang", seconds=_HELD_S),
    _case("hang behind the SIM switch", "sim_switch", how="hang", seconds=_HELD_S, done=True),
    _case("reboot at the SIM switch", "sim_switch", how="reboot"),
    _case("reboot behind the SIM switch", "sim_switch", how="reboot", done=True),
    _case("unplugged at the SIM switch", "sim_switch", how="unplug", seconds=0.3),
    _case("unplugged behind the SIM switch", "sim_switch", how="unplug", seconds=0.3, done=True),
)
"""Of a modem with two SIM cards only."""
BY_NAME = {case.name: case for case in (*CASES, *SWITCH_CASES)}
