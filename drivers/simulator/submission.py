"""One submit, from the accepted +CMGS to its final result: prompt, PDU, Ctrl-Z, radio time, air, answer.

Every fault of that way has its point here. `air` is logged, and the network has the TPDU, before the answer
is written.
"""

import asyncio
from collections.abc import Callable, Iterator
from enum import Enum

from drivers.simulator import tpdu
from drivers.simulator.device import Device
from drivers.simulator.disturbance import Power
from drivers.simulator.faults import Fault
from drivers.simulator.log import Value
from drivers.simulator.output import Output
from drivers.simulator.reply import Failure, failure_text
from drivers.simulator.storage import MessageStatus, Stored

_CTRL_Z = 0x1A
_ESC = 0x1B
_MAX_PDU_CHARACTERS = 1024
_NO_SERVICE = Failure("CMS", 331)
_INVALID_PDU = Failure("CMS", 304)
_LAST_OCTETS_S = 0.02


class Phase(Enum):
    """Where a submit is."""

    IDLE = "idle"
    COLLECTING = "collecting"
    IN_THE_AIR = "in_the_air"


class Submission:
    """The submit that the line is busy with, `number` in the log.

    `carry` hands a submit number, TP-MR and TPDU to the network.
    """

    def __init__(
        self,
        device: Device,
        output: Output,
        power: Power,
        carry: Callable[[int, int, tpdu.Submit], None],
        numbers: Iterator[int],
    ) -> None:
        self._device = device
        self._output = output
        self._power = power
        self._carry = carry
        self._numbers = numbers
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._late_timer: asyncio.TimerHandle | None = None
        self._is_on_air = False
        self.phase = Phase.IDLE
        self.radio_time_s = device.options.radio_time_s
        self.number = 0
        self._octets = 0
        self._stores = False
        self._is_prompted = False
        self._has_echo = False
        self._buffer = bytearray()

    def begin(self, octets: int, *, stores: bool = False) -> None:
        """+CMGS (or +CMGW with `stores`) was accepted: the prompt, unless a fault stands there."""
        self.number = next(self._numbers)
        self._octets, self._stores = octets, stores
        self._is_on_air = False
        self._buffer.clear()
        self._log("submit_begin", octets=octets, stores=stores)
        faults = self._device.faults
        self._has_echo = self._device.settings.has_echo or self._device.personality.echoes_pdu
        form = self._device.personality.prompt
        self._is_prompted = True
        if faults.armed:
            if refusal := self._take("cms_error", "command", at="command"):
                self._answer(Failure("CMS", int(refusal.number("code"))))
                return
            if unplug := self._take("unplug_at", "prompt", point="prompt"):
                self._power.unplug(unplug.number("seconds"))
                return
            if hang := self._take("hang", "prompt", at="prompt"):
                self._power.hang(hang.number("seconds"))
                return
            if self._take("echo_pdu", "prompt"):
                self._has_echo = True
            if urc := self._take("urc_inside", "prompt", at="prompt"):
                self._output.urc(urc.text("line"))
            if other := self._take("prompt_form", "prompt"):
                form = other.text("form")
            self._is_prompted = self._take("no_prompt", "prompt") is None
        self.phase = Phase.COLLECTING
        self._output.collect(True)
        if self._is_prompted:
            self._output.raw(form.encode("latin-1"))

    def collect(self, data: bytes) -> int:
        """Takes typed PDU characters up to Ctrl-Z or ESC: how many octets of `data` were used."""
        if not self._is_prompted and data.strip(b"\x1b\r\n"):
            self._device.log.write(
                self._device.number,
                "violation",
                kind="pdu_without_prompt",
                submit=self.number,
                data=data.hex(),
            )
            self._is_prompted = True  # said once
        ends = [place for place in (data.find(_CTRL_Z), data.find(_ESC)) if place >= 0]
        used = min(ends) + 1 if ends else len(data)
        typed = data[: used - 1] if ends else data
        if not self._buffer:
            typed = typed.lstrip(b"\r\n")  # the line feed of a client that ends commands with CR LF
        self._buffer += typed
        if self._has_echo:
            self._output.raw(data[:used])
        if self._device.faults.armed and self._is_unplugged_inside():
            return len(data)
        if ends and data[used - 1] == _ESC:
            self._abort()
        elif ends:
            self._received()
        elif len(self._buffer) > _MAX_PDU_CHARACTERS:
            self._output.collect(False)
            self._answer(_INVALID_PDU)
        return used

    def send_stored(self, pdu: bytes) -> None:
        """+CMSS: a stored SUBMIT takes the same way, without prompt."""
        self.number = next(self._numbers)
        self._is_on_air = False
        self._log("submit_begin", octets=len(pdu) - 1 - pdu[0], stores=False)
        self._send(tpdu.read_submit(pdu))

    def cancel(self, why: str) -> None:
        """The modem lost power, reboots or was frozen: what is not on the air stays unsent."""
        for timer in (self._timer, self._late_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._late_timer = None
        if self.phase is not Phase.IDLE:
            self._log("abort", why=why, on_air=self._is_on_air)
        self.phase = Phase.IDLE
        self._output.collect(False)

    def _abort(self) -> None:
        self.phase = Phase.IDLE
        self._log("abort", why="esc", on_air=False)
        self._output.collect(False)
        self._output.answer("+CMGS", (), None)

    def _is_unplugged_inside(self) -> bool:
        fault = self._device.faults.find("unplug_at", point="pdu_byte")
        if fault is None or len(self._buffer) < fault.number("octets"):
            return False
        self._device.faults.fire(fault, point=f"pdu_byte {len(self._buffer)}", submit=self.number)
        self._power.unplug(fault.number("seconds"))
        return True

    def _received(self) -> None:
        """Ctrl-Z came: the PDU is complete."""
        text = self._buffer.decode("latin-1").strip()
        try:
            octets = bytes.fromhex(text) if " " not in text else b""
            submit = tpdu.read_submit(octets)
            error = "" if len(submit.tpdu) == self._octets else f"{len(submit.tpdu)} TPDU octets"
        except ValueError as failure:  # TpduError too
            submit, error = None, str(failure)
        self._log("pdu", pdu=text.upper(), error=error or None)
        # The line is busy before what waited is written: nobody may take that for a free line.
        self.phase = Phase.IN_THE_AIR
        self._output.collect(False)
        if submit is None or error:
            self._answer(_INVALID_PDU)
        elif self._stores:
            self._store(octets, len(submit.tpdu))
        elif submit.smsc is None and not self._device.service_centre():
            self._answer(Failure("CMS", 330))
        else:
            self._send(submit)

    def _store(self, octets: bytes, tpdu_octets: int) -> None:
        memory = self._device.memory(self._device.settings.memories[1])
        stored = Stored(octets, tpdu_octets, MessageStatus.UNSENT, None)
        index = memory.store(stored) if memory is not None else None
        if index is None:
            self._answer(Failure("CMS", 322))
        else:
            self._answer(None, f"+CMGW: {index}")

    def _send(self, submit: tpdu.Submit) -> None:
        self.phase = Phase.IN_THE_AIR
        recipient = submit.recipient.number
        reboot: Fault | None = None
        if self._device.faults.armed:
            if unplug := self._take("unplug_at", "ctrl_z", recipient, point="ctrl_z"):
                self._power.unplug(unplug.number("seconds"))
                return
            if hang := self._take("hang", "ctrl_z", recipient, at="ctrl_z"):
                self._power.hang(hang.number("seconds"))
                return
            reboot = self._take("reboot_after_pdu", "ctrl_z", recipient)
            if reboot and not reboot.is_set("on_air"):
                self._power.reboot("fault")
                return
        if self.radio_time_s > 0:
            self._timer = self._loop.call_later(self.radio_time_s, self._complete, submit, reboot)
        else:
            self._complete(submit, reboot)

    def _complete(self, submit: tpdu.Submit, reboot: Fault | None) -> None:
        """The radio time is over."""
        self._timer = None
        sim = self._device.sim
        if sim is None or not self._device.is_registered:
            self._answer(_NO_SERVICE)
            return
        recipient = submit.recipient.number
        failure: Failure | None = None
        on_air = True
        if self._device.faults.armed:
            if refusal := self._take("cms_error", "answer", recipient, at="answer"):
                failure, on_air = Failure("CMS", int(refusal.number("code"))), refusal.is_set("on_air")
            elif bare := self._take("error_after_ctrl_z", "answer", recipient):
                failure, on_air = Failure(), bare.is_set("on_air")
            elif self._is_wrong_service(recipient):
                failure, on_air = Failure("CMS", 500), False
            elif own := self._take("vendor_error", "answer", recipient):
                failure, on_air = Failure("CMS", self._device.personality.vendor_error), own.is_set("on_air")
        reference: int | None = None
        if on_air:
            reference = sim.next_reference()
            self._is_on_air = True
            self._log("air", **_air_fields(submit, reference))
            self._carry(self.number, reference, submit)
        if reboot is not None:
            self._power.reboot("fault")
        elif failure is not None or reference is None:
            self._answer(failure)
        elif not self._device.faults.armed or not self._is_answer_disturbed(reference, recipient):
            self._answer(None, f"+CMGS: {reference}")

    def _is_wrong_service(self, recipient: str) -> bool:
        fault = self._device.faults.find("sms_service", recipient=recipient)
        if fault is None or fault.number("only") == self._device.settings.sms_service:
            return False
        self._device.faults.fire(fault, point="answer", submit=self.number)
        return True

    def _is_answer_disturbed(self, reference: int, recipient: str) -> bool:
        point = "before_answer"
        if unplug := self._take("unplug_at", point, recipient, point=point):
            self._power.unplug(unplug.number("seconds"))
        elif cut := self._take("unplug_at", "answer_byte", recipient, point="answer_byte"):
            said = f"\r\n+CMGS: {reference}\r\n\r\nOK\r\n".encode()
            self._output.raw(said[: int(cut.number("octets"))])
            # What is in the tty when it goes away is lost: the client gets a moment to read it.
            self._timer = self._loop.call_later(_LAST_OCTETS_S, self._power.unplug, cut.number("seconds"))
        elif hang := self._take("hang", point, recipient, at=point):
            self._power.hang(hang.number("seconds"))
        elif self._take("lost_answer", point, recipient):
            self._log("answer", answer=None)
            self.phase = Phase.IDLE
        elif late := self._take("late_answer", point, recipient):
            number = self.number
            if not late.is_set("busy"):
                self.phase = Phase.IDLE
            delay_s = late.number("seconds")
            self._late_timer = self._loop.call_later(delay_s, self._answer_late, number, reference)
        else:
            return False
        return True

    def _answer_late(self, number: int, reference: int) -> None:
        self._late_timer = None
        line = f"+CMGS: {reference}"
        said = None if self._output.is_muted else line
        self._device.log.write(self._device.number, "answer", submit=number, answer=said, late=True)
        if self.phase is Phase.IN_THE_AIR and number == self.number:
            self.phase = Phase.IDLE
        self._output.answer("+CMGS", (line,), None)

    def _answer(self, failure: Failure | None, *lines: str) -> None:
        self.phase = Phase.IDLE
        # The log has the code itself, whatever +CMEE makes of it on the line.
        text = lines[0] if failure is None else failure_text(failure, 1)
        # A modem that hangs carries on with its radio, but says nothing.
        self._log("answer", answer=None if self._output.is_muted else text)
        self._output.answer("+CMGS", lines, failure)

    def _take(self, name: str, where: str, recipient: str | None = None, **wanted: str) -> Fault | None:
        # `point` is both a parameter of unplug_at and the place that the log names.
        fault = self._device.faults.find(name, recipient=recipient, **wanted)
        if fault is not None:
            self._device.faults.fire(fault, point=where, submit=self.number)
        return fault

    def _log(self, event: str, **fields: Value) -> None:
        self._device.log.write(self._device.number, event, submit=self.number, **fields)


def _air_fields(submit: tpdu.Submit, reference: int) -> dict[str, Value]:
    data = submit.user_data
    joined = data.concatenation
    return {
        "mr": reference,
        "to": submit.recipient.number,
        "toa": submit.recipient.kind,
        "text": data.text,
        "coding": data.coding.value,
        "ref": joined.reference if joined else None,
        "total": joined.total if joined else 1,
        "seq": joined.sequence if joined else 1,
        "ref_bits": joined.bits if joined else None,
        "srr": submit.has_report_request,
        "pid": submit.protocol,
        "dcs": submit.coding_scheme,
        "vp": submit.validity.hex().upper(),
        "udh": data.header.hex().upper(),
        "data": data.octets.hex().upper() if data.text is None else None,
        "national": [data.locking or 0, data.single or 0],
        "smsc": submit.smsc.number if submit.smsc else None,
        "tpdu": submit.tpdu.hex().upper(),
    }
