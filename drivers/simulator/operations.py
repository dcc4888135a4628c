"""The operations of the control socket, as a table from `op` to function. Works on plain JSON objects.

A wrong request raises OperationError (or a ValueError of the part that refused), whose text is the answer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drivers.simulator.faults import FAULTS
from drivers.simulator.modem import Modem
from drivers.simulator.smsc import Delivery, ReportOf
from drivers.simulator.tpdu import address_of, split_smsc

Json = dict[str, Any]
_DOMAINS = {"creg": "+CREG", "cgreg": "+CGREG", "cereg": "+CEREG"}


class OperationError(ValueError):
    """The request cannot be carried out; the text is one sentence for its sender."""


def perform(modems: Sequence[Modem], request: Json) -> Json:
    """One request; returns the fields of its answer. Raises ValueError, KeyError, TypeError."""
    name = request.get("op")
    operation = OPERATIONS.get(str(name))
    if operation is None:
        raise OperationError(f"no operation {name!r}; there are {', '.join(OPERATIONS)}, quit")
    number = request.get("modem", 0)
    if not isinstance(number, int) or not 0 <= number < len(modems):
        raise OperationError(f"no modem {number!r}; there are {len(modems)}")
    return operation(modems[number], {key: request[key] for key in request if key not in ("op", "modem")})


def _deliver(modem: Modem, request: Json) -> Json:
    delivery = Delivery(
        sender=str(request["from"]),
        text=str(request["text"]),
        delay_s=float(request.get("delay_s", 0)),
        gap_s=float(request.get("gap_s", 0)),
        order=tuple(int(part) for part in request.get("parts_order", ())),
        copies=2 if request.get("duplicate") else 1,
        reference=request.get("reference"),
        reference_bits=int(request.get("reference_bits", 8)),
        scheme=request.get("dcs"),
        iccid=request.get("iccid"),
    )
    if delivery.reference_bits not in (8, 16):
        raise OperationError("reference_bits is 8 or 16")
    return {"inbound": modem.centre.deliver(delivery)}


def _deliver_pdu(modem: Modem, request: Json) -> Json:
    octets = bytes.fromhex(str(request["pdu"]))
    if request.get("has_smsc"):
        octets = split_smsc(octets)[1]
    inbound = modem.centre.deliver_pdu(octets, is_checked=not request.get("unchecked"))
    return {"inbound": [inbound]}


def _report(modem: Modem, request: Json) -> Json:
    recipient = address_of(str(request["to"]))
    status = int(request.get("status", 0))
    submitted_s = float(request.get("submitted_ms", time.time() * 1000)) / 1000
    about = ReportOf(recipient, int(request["mr"]) % 256, submitted_s, request.get("submit"))
    return {"inbound": [modem.centre.report(about, status, modem.device.inserted.iccid)]}


def _fault(modem: Modem, request: Json) -> Json:
    times = request.pop("times", 1)
    fault = modem.arm(str(request.pop("name")), int(times) if times else None, request)
    return {"name": fault.name, "left": fault.left, "parameters": fault.parameters}


def _clear(modem: Modem, request: Json) -> Json:
    return {"cleared": modem.clear_faults(request.get("name"))}


def _faults(modem: Modem, _: Json) -> Json:
    armed = [{"name": fault.name, "left": fault.left, **fault.parameters} for fault in modem.faults.armed]
    known = {name: {"summary": kind.summary, "parameters": dict(kind.defaults)} for name, kind in FAULTS.items()}
    return {"armed": armed, "known": known}


def _reboot(modem: Modem, request: Json) -> Json:
    modem.reboot("control", is_silent=bool(request.get("silent")))
    return {}


def _unplug(modem: Modem, request: Json) -> Json:
    modem.unplug(float(request.get("seconds", 0)))
    return {}


def _plug(modem: Modem, _: Json) -> Json:
    modem.plug()
    return {}


def _registration(modem: Modem, request: Json) -> Json:
    states = modem.device.radio.states
    for key, domain in _DOMAINS.items():
        if (state := request.get(key, request.get("state"))) is not None:
            states[domain] = int(state)
    modem.device.log.write(modem.number, "registration", **{key: states[name] for key, name in _DOMAINS.items()})
    modem.state_changed()
    return {key: states[name] for key, name in _DOMAINS.items()}


def _signal(modem: Modem, request: Json) -> Json:
    modem.device.radio.rssi = int(request["rssi"])
    return {"rssi": modem.device.radio.rssi}


def _sim(modem: Modem, request: Json) -> Json:
    device = modem.device
    if request.get("swap"):
        device.insert_sim(None)
    if "insert" in request and not device.insert_sim(str(request["insert"])):
        raise OperationError(f"no SIM {request['insert']} was ever in this modem")
    if "present" in request:
        device.has_sim = bool(request["present"])
    sim = device.card(str(request["iccid"])) if "iccid" in request else device.inserted
    if sim is None:
        raise OperationError(f"no SIM {request['iccid']} was ever in this modem")
    if "pin" in request:
        sim.pin = str(request["pin"]) if request["pin"] is not None else None
        sim.is_unlocked = not request.get("locked", True)
    sim.pin_attempts = int(request.get("pin_attempts", sim.pin_attempts))
    sim.smsc = str(request.get("smsc", sim.smsc))
    sim.last_reference = (int(request["next_mr"]) - 1) % 256 if "next_mr" in request else sim.last_reference
    device.log.write(modem.number, "sim", present=device.has_sim, iccid=sim.iccid, state=sim.state.value)
    modem.state_changed()
    return {"present": device.has_sim, "iccid": sim.iccid, "imsi": sim.imsi, "state": sim.state.value}


def _stats(modem: Modem, _: Json) -> Json:
    counts = modem.device.log.counts(modem.number)
    return {
        "events": counts,
        "queued": len(modem.centre.queue),
        "plugged": modem.terminal is not None,
        "phase": modem.submission.phase.value,
        "lost_octets": modem.terminal.lost_octets if modem.terminal else 0,
    }


def _storage(modem: Modem, request: Json) -> Json:
    device = modem.device
    memories = [device.me, device.inserted.memory, device.sr]
    if "capacity" in request:
        changed = {memory.name: memory for memory in memories}[str(request["memory"])]
        changed.capacity = int(request["capacity"])
        modem.space_freed()
    return {
        memory.name: {
            "capacity": memory.capacity,
            "messages": [
                {
                    "index": index,
                    "status": int(item.status),
                    "inbound": item.inbound,
                    "pdu": item.pdu.hex().upper(),
                }
                for index, item in sorted(memory.slots.items())
            ],
        }
        for memory in memories
    }


def _network(modem: Modem, request: Json) -> Json:
    behaviour = modem.centre.behaviour
    if "reports" in request:
        behaviour.has_reports = bool(request["reports"])
    if "report_statuses" in request:
        behaviour.report_statuses = tuple(int(status) for status in request["report_statuses"])
    if "auto_reply" in request:
        behaviour.auto_reply = request["auto_reply"]
    behaviour.report_delay_s = float(request.get("report_delay_s", behaviour.report_delay_s))
    behaviour.report_jitter_s = float(request.get("report_jitter_s", behaviour.report_jitter_s))
    behaviour.auto_reply_delay_s = float(request.get("auto_reply_delay_s", behaviour.auto_reply_delay_s))
    modem.device.ussd = str(request.get("ussd", modem.device.ussd))
    modem.device.ussd_mode = int(request.get("ussd_mode", modem.device.ussd_mode))
    modem.submission.radio_time_s = float(request.get("radio_time_s", modem.submission.radio_time_s))
    return {}


def _call(modem: Modem, request: Json) -> Json:
    modem.caller.call(str(request["from"]), int(request.get("rings", 4)), float(request.get("gap_s", 3.0)))
    return {}


def _urc(modem: Modem, request: Json) -> Json:
    modem.urc(str(request["line"]))
    return {}


OPERATIONS: Mapping[str, Callable[[Modem, Json], Json]] = {
    "deliver": _deliver,
    "deliver_pdu": _deliver_pdu,
    "report": _report,
    "fault": _fault,
    "clear_faults": _clear,
    "faults": _faults,
    "reboot": _reboot,
    "unplug": _unplug,
    "plug": _plug,
    "registration": _registration,
    "signal": _signal,
    "sim": _sim,
    "stats": _stats,
    "storage": _storage,
    "network": _network,
    "urc": _urc,
    "call": _call,
}
