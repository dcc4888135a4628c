"""What gateways say of the jobs that they were given, taken into the ledger and told to the agent.

A gateway's word counts for the assignment that it was given, by the job's id. What was moved after an unknown outcome
has two: whichever says first that it was sent leads, and the other is asked to leave it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from drivers.api import Emit, MayBeDouble, ReportOutcome, StatusReport
from drivers.mqtt.ledger import Entry, Ledger, Phase
from drivers.mqtt.payloads import JobStatus, Status
from drivers.values import dataclass

NO_TP_ST = -1
"""`StatusReport.status` of a report that is no TPDU."""
_FINAL_FAILURES = {
    Status.FAILED: "The gateway could not send it",
    Status.EXPIRED: "The gateway could not send it before its validity ended",
    Status.CANCELLED: "It was cancelled at the gateway",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One status of one assignment."""

    device: str
    turn: int
    status: JobStatus


class Answers:
    """Of one session. `take_back(entry, turn)` asks a gateway to leave a job."""

    def __init__(self, ledger: Ledger, emit: Emit, iccid: str, take_back: Callable[[Entry, int], None]) -> None:
        self._ledger = ledger
        self._emit = emit
        self._iccid = iccid
        self._take_back = take_back

    async def take(self, number: int, answers: list[Answer]) -> None:
        """What was said of one job, in its order; durable when it returns. What is not of this pool is passed over."""
        for answer in answers:
            entry = self._ledger.get(number)
            if entry is None or not 0 < answer.turn <= len(entry.devices):
                continue
            if entry.devices[answer.turn - 1] == answer.device:
                await self._settle(entry, answer)

    async def newest_is_taken(self) -> None:
        """After a restart: the last job may be known here while its Submitted never became durable."""
        entries = self._ledger.entries()
        if entries:
            await self.report(entries[-1], "taken", ReportOutcome.PENDING, "The pool has it.")

    async def give_up(self, entry: Entry, policy: str) -> Entry | None:
        """Its gateway is gone, or has lost its journal: nobody can say whether it was sent. None where that is the end
        of it, else the entry, flagged and with nobody."""
        why = f"The gateway {entry.device} is gone, and nobody can say whether it sent this"
        if policy == "fail" or entry.may_be_double:
            await self.report(entry, "given up", ReportOutcome.FAILED, f"{why}; it was not sent again.")
            await self._ledger.drop(entry.number)
            return None
        sentence = f"{why}: it goes by another one, and may arrive twice."
        await self._emit(MayBeDouble(self._iccid, entry.number, sentence))
        return await self._ledger.put(replace(entry, phase=Phase.WAITING, may_be_double=True))

    async def report(self, entry: Entry, mark: str, outcome: ReportOutcome, sentence: str) -> None:
        """The agent takes one with the same mark only once."""
        await self._emit(
            StatusReport(
                iccid=self._iccid,
                tp_mr=entry.number,
                recipient=entry.recipient,
                status=NO_TP_ST,
                outcome=outcome,
                sentence=sentence,
                tpdu=f"{entry.number} {mark}".encode(),
            )
        )

    async def _settle(self, entry: Entry, answer: Answer) -> None:
        status, turn = answer.status, answer.turn
        if status.may_be_double and not entry.may_be_double:
            sentence = f"The gateway {answer.device} sent it again after an unknown outcome; it may arrive twice."
            await self._emit(MayBeDouble(self._iccid, entry.number, sentence))
            entry = await self._ledger.put(replace(entry, may_be_double=True))
        is_current = turn == entry.turn and entry.phase is not Phase.WAITING
        match status.status:
            case Status.ACCEPTED | Status.HELD:
                if is_current and entry.phase is Phase.ASSIGNED:
                    self._ledger.note(replace(entry, phase=Phase.ACCEPTED))
            case Status.SENT:
                if entry.phase is not Phase.SENT:
                    await self._sent(entry, answer)
            case Status.DELIVERED:
                await self.report(entry, "delivered", ReportOutcome.DELIVERED, f"By the gateway {answer.device}.")
                self._take_back_others(entry, turn)
                await self._ledger.drop(entry.number)
            case Status.RELEASED:
                if is_current and entry.phase is not Phase.SENT:
                    await self._ledger.put(replace(entry, phase=Phase.WAITING))
            case _:
                if is_current:
                    sentence = status.error or f"{_FINAL_FAILURES[status.status]}."
                    await self.report(entry, f"failed {turn}", ReportOutcome.FAILED, sentence)
                    await self._ledger.drop(entry.number)

    async def _sent(self, entry: Entry, answer: Answer) -> None:
        by = f" by its route {answer.status.route}" if answer.status.route else ""
        await self.report(entry, "sent", ReportOutcome.PENDING, f"The gateway {answer.device} has sent it{by}.")
        self._take_back_others(entry, answer.turn)
        await self._ledger.put(entry.sent(answer.turn))

    def _take_back_others(self, entry: Entry, turn: int) -> None:
        # Those before the newest were released, or asked to when the job was moved.
        newest = len(entry.devices)
        if turn != newest and entry.phase is not Phase.WAITING:
            self._take_back(entry, newest)
