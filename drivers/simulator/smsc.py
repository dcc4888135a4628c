"""The network behind one modem: takes submits, makes reports and replies, holds what the modem cannot take.

A TPDU leaves the queue only when the modem took it (and, where it must, acknowledged it): nothing vanishes.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drivers.simulator import segments, tpdu
from drivers.simulator.device import Device
from drivers.simulator.faults import Fault
from drivers.simulator.log import Value
from drivers.simulator.routing import Acceptance, Arrival, Router


@dataclass(frozen=True, slots=True)
class Delivery:
    """A text for the modem, `copies` of each part; `order` lists 1-based parts (empty: all in order).

    `iccid` None is the SIM that is in the modem now.
    """

    sender: str
    text: str
    delay_s: float = 0.0
    gap_s: float = 0.0
    order: tuple[int, ...] = ()
    copies: int = 1
    reference: int | None = None
    reference_bits: int = 8
    scheme: int | None = None
    iccid: str | None = None


@dataclass(frozen=True, slots=True)
class ReportOf:
    """What a status report is about; `submit` None for one that was made up by hand."""

    recipient: tpdu.Address
    reference: int
    submitted_s: float
    submit: int | None


@dataclass(slots=True)
class Behaviour:
    """How this network treats submits; the control socket changes it."""

    has_reports: bool
    report_delay_s: float
    report_jitter_s: float
    report_statuses: tuple[int, ...]
    auto_reply: str | None
    auto_reply_delay_s: float


class MessageCentre:
    """One modem's message centre; `numbers` gives the ids of inbound TPDUs."""

    def __init__(self, device: Device, router: Router, numbers: Iterator[int]) -> None:
        options = device.options
        self._device = device
        self._router = router
        self._numbers = numbers
        self._loop = asyncio.get_running_loop()
        self._random = random.Random(options.seed + device.number)
        self.behaviour = Behaviour(
            options.has_reports,
            options.report_delay_s,
            options.report_jitter_s,
            options.report_statuses,
            options.auto_reply,
            options.auto_reply_delay_s,
        )
        self.queue: list[Arrival] = []
        self._reported_held: set[int] = set()
        self._kept_back: list[Arrival] = []
        self._awaiting: Arrival | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None

    def carry(self, submit_number: int, reference: int, submit: tpdu.Submit) -> None:
        """A submit is on the air: its report and its reply are on their way."""
        behaviour = self.behaviour
        iccid = self._device.inserted.iccid
        if submit.has_report_request and behaviour.has_reports:
            delay = 0.0
            about = ReportOf(submit.recipient, reference, time.time(), submit_number)
            for status in behaviour.report_statuses:
                delay += behaviour.report_delay_s + self._random.random() * behaviour.report_jitter_s
                self._later(delay, self.report, about, status, iccid)
        joined = submit.user_data.concatenation
        if behaviour.auto_reply is not None and (joined is None or joined.sequence == joined.total):
            reply = Delivery(submit.recipient.number, behaviour.auto_reply)
            self._later(behaviour.auto_reply_delay_s, self.deliver, reply)

    def report(self, about: ReportOf, status: int, iccid: str) -> int:
        """Sends a status report towards that SIM: its inbound id."""
        octets = tpdu.write_status_report(about.reference, about.recipient, about.submitted_s, time.time(), status)
        inbound = next(self._numbers)
        self._log(
            "report_sent", inbound=inbound, submit=about.submit, mr=about.reference,
            to=about.recipient.number, status=status,
        )  # fmt: skip
        arrival = Arrival(inbound, iccid, octets, True, about.submit)
        if not self._device.faults.armed or not self._is_kept_back(arrival):
            self._enqueue(arrival)
        return inbound

    def _is_kept_back(self, arrival: Arrival) -> bool:
        """Fault: reports wait for each other, and the last one goes first."""
        fault = self._device.faults.find("reports_scrambled")
        if fault is None:
            return False
        self._kept_back.append(arrival)
        if len(self._kept_back) == 1:
            self._loop.call_later(fault.number("seconds"), self._let_go, fault)
        if len(self._kept_back) >= fault.number("count"):
            self._let_go(fault)
        return True

    def _let_go(self, fault: Fault) -> None:
        kept, self._kept_back = self._kept_back, []
        if len(kept) > 1 and fault in self._device.faults.armed:
            self._device.faults.fire(fault, point=f"{len(kept)} reports", submit=kept[-1].submit)
        for arrival in reversed(kept):
            self._enqueue(arrival)

    def deliver(self, delivery: Delivery) -> list[int]:
        """Sends a text towards the modem: the inbound ids of its parts, as sent. Raises TpduError."""
        reference = self._random.randrange(256) if delivery.reference is None else delivery.reference
        parts = segments.deliver_parts(
            delivery.sender,
            delivery.text,
            time.time(),
            reference=reference,
            reference_bits=delivery.reference_bits,
            scheme=delivery.scheme,
        )
        by_sequence = {part.sequence: part for part in parts}
        order = delivery.order or tuple(by_sequence)
        if any(sequence not in by_sequence for sequence in order):
            raise tpdu.TpduError(f"parts_order names a part beyond {len(parts)}")
        inbounds: list[int] = []
        delay = delivery.delay_s
        for sequence in order:
            part = by_sequence[sequence]
            for _ in range(delivery.copies):
                inbound = next(self._numbers)
                inbounds.append(inbound)
                self._log(
                    "inbound", inbound=inbound, sender=delivery.sender, text=part.text, whole=delivery.text,
                    ref=reference if part.total > 1 else None, seq=part.sequence, total=part.total,
                    tpdu=part.tpdu.hex().upper(),
                )  # fmt: skip
                iccid = delivery.iccid or self._device.inserted.iccid
                self._later(delay, self._enqueue, Arrival(inbound, iccid, part.tpdu, False))
                delay += delivery.gap_s
        return inbounds

    def deliver_pdu(self, octets: bytes, *, is_checked: bool = True) -> int:
        """Sends a DELIVER TPDU (without SMSC field) as it is: its inbound id.

        Raises TpduError for what is none, unless it is not to be checked.
        """
        inbound = next(self._numbers)
        try:
            deliver = tpdu.read_deliver(octets)
        except tpdu.TpduError:
            if is_checked:
                raise
            self._log("inbound", inbound=inbound, sender=None, text=None, whole=None,
                      ref=None, seq=1, total=1, tpdu=octets.hex().upper())  # fmt: skip
        else:
            joined = deliver.user_data.concatenation
            self._log(
                "inbound", inbound=inbound, sender=deliver.sender.number, text=deliver.user_data.text,
                whole=None, ref=joined.reference if joined else None,
                seq=joined.sequence if joined else 1, total=joined.total if joined else 1,
                tpdu=octets.hex().upper(),
            )  # fmt: skip
        self._enqueue(Arrival(inbound, self._device.inserted.iccid, octets, False))
        return inbound

    def pump(self) -> None:
        """Offers what waits to the modem, in order; a kind that was refused once is not offered further."""
        refused: dict[bool, str] = {}
        for arrival in tuple(self.queue):
            if self._awaiting is not None:
                return
            if arrival.is_report in refused:
                self._note_held(arrival, refused[arrival.is_report])
                continue
            if arrival.iccid != self._device.inserted.iccid:
                self._note_held(arrival, "other_sim")
                continue
            match self._router.accept(arrival):
                case Acceptance.TAKEN:
                    self._leave(arrival)
                case Acceptance.AWAITING_ACKNOWLEDGEMENT:
                    self._awaiting = arrival
                    timeout_s = self._device.options.acknowledge_timeout_s
                    self._timeout = self._loop.call_later(timeout_s, self._unacknowledged)
                case Acceptance.UNREACHABLE:
                    refused = {False: "unreachable", True: "unreachable"}
                    self._note_held(arrival, "unreachable")
                case Acceptance.FULL:
                    refused[arrival.is_report] = "full"
                    self._note_held(arrival, "full")
        if self.queue and self._awaiting is None:
            self._retry_later()

    def acknowledge(self, *, is_positive: bool) -> bool:
        """+CNMA: False where nothing waits for it. A negative one leaves the TPDU here for another try."""
        arrival = self._awaiting
        if arrival is None:
            return False
        self._log("cnma", inbound=arrival.inbound, positive=is_positive)
        self.forget_awaiting()
        if is_positive:
            self._leave(arrival)
            self._loop.call_soon(self.pump)
        else:
            self._retry_later()
        return True

    def forget_awaiting(self) -> None:
        """Nobody will acknowledge any more (or somebody just did): the TPDU stays queued."""
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        self._awaiting = None

    def _unacknowledged(self) -> None:
        if self._awaiting is not None:
            self._log("ack_timeout", inbound=self._awaiting.inbound)
        self.forget_awaiting()
        self._router.switch_off()
        self._retry_later()

    def _enqueue(self, arrival: Arrival) -> None:
        self.queue.append(arrival)
        self.pump()

    def _leave(self, arrival: Arrival) -> None:
        self.queue.remove(arrival)
        self._reported_held.discard(arrival.inbound)

    def _retry_later(self) -> None:
        if self._retry is None:
            self._retry = self._loop.call_later(self._device.options.retry_s, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.pump()

    def _note_held(self, arrival: Arrival, why: str) -> None:
        if arrival.inbound not in self._reported_held:
            self._reported_held.add(arrival.inbound)
            self._log("held", inbound=arrival.inbound, why=why)

    def _later(self, delay_s: float, call: Callable[..., object], *arguments: object) -> None:
        if delay_s > 0:
            self._loop.call_later(delay_s, call, *arguments)
        else:
            self._loop.call_soon(call, *arguments)

    def _log(self, event: str, **fields: Value) -> None:
        self._device.log.write(self._device.number, event, **fields)
