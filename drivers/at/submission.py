"""Sending one part: refused early where nothing can be sent, and after that always with a definite class of outcome.

What counts is whether the first octet of the PDU has left: before, nothing was sent; after, only an answer knows.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import fields, replace

from drivers import sms
from drivers.api import (
    NotReady,
    OutcomeUnknown,
    PartToSend,
    Refused,
    Registration,
    RouteRefused,
    SessionLost,
    SubmitError,
    Submitted,
    TryLater,
)
from drivers.at import causes, commands, sim_slot
from drivers.at.causes import CauseClass
from drivers.at.channel import BodyUnanswered, Channel, PromptMissing, PromptRefused
from drivers.at.request import Answer
from drivers.at.settings import AtSettings
from drivers.at.state import Modem

LINK_LOST_DELAYS_S = (0.0, 0.0, 5.0, 30.0)
"""The part is not to blame, and waits for the next session anyway."""

_LINK_HELD_S = 1.0
"""With CMMS=1 the network keeps the link for 1 to 5 s after a message (TS 27.005 §3.5.6)."""

_NO_SMSC = {"CMS 330"}
_MALFORMED = {"CMS 304", "CMS 305"}
_NO_PROMPT = "no prompt"
RESTS = "SIM rests"


class Submission:
    """The sending side of one session."""

    def __init__(self, channel: Channel, modem: Modem, settings: AtSettings) -> None:
        self._channel = channel
        self._modem = modem
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._can_hold_link = True
        self.is_resting = False
        self._sent_at = 0.0

    async def submit(self, part: PartToSend, durable: Awaitable[None], line: asyncio.Lock) -> Submitted:
        """Send one part as soon as the line is free; `durable` goes on meanwhile.

        Raises: SubmitError; what `durable` raises.
        """
        try:
            self._require_service()
            pdu, octets = encode(part)
        except SubmitError:
            if inspect.iscoroutine(durable):
                durable.close()
            raise
        ready = asyncio.ensure_future(durable)
        try:
            async with line:
                if self.is_resting:
                    raise NotReady("Another SIM of the modem has its turn.", code=RESTS)
                if self._modem.slot_switch is not None:
                    await self._verify_slot()
                try:
                    return await self._send(pdu, octets, ready, more_follow=part.more_follow)
                except SubmitError as error:
                    again = await self._mend(part, error)
                    if again is None:
                        raise
                    return await self._send_again(again, error)
        finally:
            # Left early, e.g. cancelled: a task of ours is not left alone, nor its error reported as unseen.
            if ready is not durable:
                ready.cancel()
                await asyncio.wait([ready])
                if not ready.cancelled():
                    ready.exception()

    def wants_sweep(self, error: SubmitError) -> bool:
        """Tell whether a memory is full."""
        return self._kind(error) is CauseClass.STORAGE

    def wants_upkeep(self, error: SubmitError) -> bool:
        """Tell whether the modem may have lost its service or its settings."""
        # A missing prompt may be a restart that nobody told of.
        return self._kind(error) is CauseClass.HOLD or error.code in _MALFORMED or error.code == _NO_PROMPT

    async def _send(self, pdu: str, octets: int, ready: asyncio.Future[None], *, more_follow: bool) -> Submitted:
        profile = self._modem.profile
        body_s = min(profile.body_s, self._settings.submit_timeout_s)
        try:
            if more_follow:
                await self._hold_link()
            answer = await self._channel.send_pdu(
                commands.submit(octets), pdu, ready, prompt_s=profile.prompt_s, body_s=body_s
            )
        except PromptRefused as refusal:
            await ready
            return self._read_failure(refusal.answer, handed_over=False)
        except PromptMissing as error:
            await self._recover()
            await ready
            cause = causes.NO_PROMPT
            raise TryLater(cause.sentence, delays_s=cause.delays_s, code=_NO_PROMPT) from error
        except BodyUnanswered as error:
            # The late answer is heard by the next session, which listens before it writes.
            self._channel.fail(SessionLost(str(error)))
            raise OutcomeUnknown(f"{causes.UNANSWERED.sentence} {error}") from error
        except SessionLost as error:
            await ready
            raise TryLater(str(error), delays_s=LINK_LOST_DELAYS_S, code="link lost") from error
        self._sent_at = self._loop.time()
        if answer.is_ok or answer.lines:
            return Submitted(commands.message_reference(answer))
        return self._read_failure(answer, handed_over=True)

    async def _verify_slot(self) -> None:
        """Make sure that the right SIM pays. Raises: NotReady; the session is lost then."""
        try:
            await sim_slot.verify(self._channel, self._modem.slot_switch, self._modem.slot)
        except SessionLost as error:
            raise NotReady(str(error)) from error

    def _read_failure(self, answer: Answer, *, handed_over: bool) -> Submitted:
        """Raise what the error says; the one error that means "sent" is returned as such."""
        failure = causes.error(answer.final.text, handed_over=handed_over, maker=self._modem.profile.codes)
        if failure is None:
            return Submitted(None)
        if self._kind(failure) is CauseClass.SIM:
            # The next session looks at the SIM afresh, and says what is wrong with it.
            self._channel.fail(SessionLost(str(failure)))
        raise failure

    async def _mend(self, part: PartToSend, error: SubmitError) -> PartToSend | None:
        """Return what to send in place of a refused part, once; None where nothing is to be mended."""
        smsc = self._modem.sim.smsc
        if error.code in _NO_SMSC and smsc is not None and self._channel.lost is None:
            # The modem forgot what it had when the session began.
            with suppress(SessionLost):
                if (await self._channel.exchange(commands.set_smsc(smsc))).is_ok:
                    return part
            return None
        return self._plainer(part, error)

    def _plainer(self, part: PartToSend, error: SubmitError) -> PartToSend | None:
        """Return the part without what the network may object to; None where that is not why, or nothing is left."""
        cause = causes.of_error(error, self._modem.profile.codes)
        if cause is None or not causes.wants_plain(cause) or self._channel.lost is not None:
            return None
        is_malformed = error.code in _MALFORMED
        plain = replace(part, status_report=False, validity_s=None)
        if "message_class" in {field.name for field in fields(part)}:
            plain = replace(plain, message_class=None)  # type: ignore[call-arg, unused-ignore]
        # A modem that fell back to text mode finds every PDU malformed, the plainest too.
        return plain if plain != part or is_malformed else None

    async def _send_again(self, part: PartToSend, first: SubmitError) -> Submitted:
        """Try once more; the part that was refused before never left. Raises: SubmitError."""
        pdu, octets = encode(part)
        with suppress(SessionLost):
            await self._channel.exchange(commands.PDU_MODE)
        if self._channel.lost is not None:
            raise first
        # What had to be durable is: the first try awaited it.
        done = self._loop.create_future()
        done.set_result(None)
        sent = await self._send(pdu, octets, done, more_follow=part.more_follow)
        return replace(sent, report_asked=part.status_report)

    async def _hold_link(self) -> None:
        """Ask the network to keep the radio link for the next part, where the modem can (CMMS)."""
        if not self._can_hold_link or self._loop.time() < self._sent_at + _LINK_HELD_S:
            return
        self._can_hold_link = (await self._channel.exchange(commands.MORE_TO_SEND)).is_ok

    async def _recover(self) -> None:
        """Escape whatever the modem waits for; where that fails the session is lost, and nothing was sent."""
        with suppress(SessionLost):
            await self._channel.resynchronise()

    def _require_service(self) -> None:
        """Refuse what cannot be sent now.

        Raises: NotReady; RouteRefused where waiting does not help; TryLater on a lost link.
        """
        if self._channel.lost is not None:
            raise TryLater(str(self._channel.lost), delays_s=LINK_LOST_DELAYS_S, code="link lost")
        registration = self._modem.registration
        if registration is Registration.ROAMING and not self._settings.roaming:
            raise RouteRefused("The modem is roaming, and `roaming` is off for this route.", is_certain=True)
        # A modem that tells nothing of its registration is given the benefit of the doubt.
        if self._modem.domains and not registration.has_service:
            reason = "is denied service by the network" if registration is Registration.DENIED else "has no network"
            raise NotReady(f"The modem {reason}.")
        if self._modem.sim.smsc is None:
            sentence = "The SIM card has no SMSC number; set `smsc` for this route."
            raise RouteRefused(sentence, code="CMS 330", is_certain=True)

    def _kind(self, error: SubmitError) -> CauseClass | None:
        cause = causes.of_error(error, self._modem.profile.codes)
        return cause.kind if cause is not None else None


def encode(part: PartToSend) -> tuple[str, int]:
    """Return the PDU in hexadecimal, and the octets of its TPDU that CMGS counts.

    Raises: Refused.
    """
    try:
        concatenation = None
        if part.total > 1:
            concatenation = sms.Concatenation(part.reference, part.total, part.sequence)
        tpdu = sms.Submit(
            recipient=part.recipient,
            alphabet=sms.Alphabet(part.alphabet),
            body=part.body,
            concatenation=concatenation,
            validity_s=part.validity_s,
            status_report=part.status_report,
            message_class=part.message_class,
            elements=sms.decode_header(part.header),
        ).encode()
    except ValueError as error:
        raise Refused(f"The part cannot be encoded: {error}.") from error
    return sms.pdu_hex(tpdu), len(tpdu)
