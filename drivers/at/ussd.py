"""USSD by AT+CUSD (TS 27.007 §7.15): three ways to write the request, and every way to read the answer.

Vendors disagree on both, so the request steps through the forms until one is taken, and the answer is decided by its
content. Knows nothing of balances.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any

from drivers import sms
from drivers.api import DriverError, SessionLost, Ussd
from drivers.at import commands, fields
from drivers.at.channel import Channel
from drivers.at.parser import Line
from drivers.at.profiles import UssdForm
from drivers.at.request import Request
from drivers.at.state import Modem

REQUEST_S = 30.0
CODE = re.compile(r"[0-9*#+]{1,160}")

_CANCEL = Request("AT+CUSD=2", ("+CUSD",), 10.0)
_UCS2_SET = Request('AT+CSCS="UCS2"', timeout_s=10.0)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_EXPECTS_ANSWER, _UNSUPPORTED = 1, 4
_SENTENCES = {
    2: "The network ended the request without an answer.",
    3: "Another program on the SIM card answered the request.",
    4: "The network or the modem does not support this request.",
    5: "The network did not answer the request in time.",
}
_PLAUSIBLE_BLOCKS = frozenset({0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0E, 0x1E, 0x20, 0x21})
"""High octets of the scripts that operators answer in; packed septets read as UCS2 rarely keep to them."""


class UssdDialogue:
    """The one USSD dialogue that a session can have at a time. `line` is held for each command only."""

    def __init__(self, channel: Channel, modem: Modem, line: asyncio.Lock) -> None:
        self._channel = channel
        self._modem = modem
        self._line = line
        self._answer: asyncio.Future[Line] | None = None

    @property
    def is_asking(self) -> bool:
        """Whether an answer is waited for."""
        return self._answer is not None

    def take(self, line: Line) -> None:
        """Take a +CUSD that came by itself; one that nobody waits for is the network's own idea."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(line)

    async def ask(self, code: str, timeout_s: float) -> Ussd:
        """See `drivers.api.Session.ussd`."""
        if not CODE.fullmatch(code):
            raise DriverError("A USSD code has digits, * and # only, e.g. *100#.")
        if self._answer is not None:
            raise DriverError("Another USSD request is under way on this route; try again in a minute.")
        try:
            refusal = "The modem does not take USSD requests."
            for form in self._modem.profile.ussd:
                found = await self._try(code, form, timeout_s)
                if isinstance(found, Ussd):
                    return found
                refusal = found
            raise DriverError(refusal)
        finally:
            self._answer = None

    async def _try(self, code: str, form: UssdForm, timeout_s: float) -> Ussd | str:
        """Ask in one form; a sentence where another form may fare better."""
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with self._line:
                if form is UssdForm.UCS2:
                    await self._channel.exchange(_UCS2_SET)
                sent = await self._channel.exchange(request(code, form))
            if not sent.is_ok:
                return f"The modem refused the request ({sent.final.text[:40]})."
            if sent.lines:
                self.take(sent.lines[0])
            line = await self._wait(self._answer, code, timeout_s)
            status, text, raw = read(line)
            if text is None:
                if status == _UNSUPPORTED:
                    return _SENTENCES[_UNSUPPORTED]
                raise DriverError(_SENTENCES.get(status, "The network answered nothing."))
            if status == _EXPECTS_ANSWER:
                await self._cancel()
            return Ussd(text, raw, expects_answer=status == _EXPECTS_ANSWER)
        finally:
            if form is UssdForm.UCS2:
                await self._restore()

    async def _wait(self, answer: asyncio.Future[Line], code: str, timeout_s: float) -> Line:
        lost = asyncio.ensure_future(self._channel.wait_lost())
        try:
            waiters: list[asyncio.Future[Any]] = [answer, lost]
            await asyncio.wait(waiters, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if lost.done():
                raise lost.result()
            await self._cancel()
            raise DriverError(f"The network did not answer {code} within {timeout_s:g} s.")
        finally:
            lost.cancel()
            await asyncio.wait([lost])

    async def _cancel(self) -> None:
        async with self._line:
            await self._channel.exchange(_CANCEL)

    async def _restore(self) -> None:
        with suppress(SessionLost):
            async with self._line:
                await self._channel.exchange(commands.CHARACTER_SET)


def request(code: str, form: UssdForm) -> Request:
    """Return AT+CUSD for a code of digits, * and #."""
    match form:
        case UssdForm.UCS2:
            shown = code.encode("utf-16-be").hex().upper()
        case UssdForm.PACKED:
            shown = pack(code).hex().upper()
        case _:
            shown = code
    return Request(f'AT+CUSD=1,"{shown}",15', ("+CUSD",), REQUEST_S)


def pack(text: str) -> bytes:
    """Pack septets; seven bits to spare are filled with a CR, lest they read as @ (TS 23.038 §6.1.2.3.1)."""
    septets = sms.encode_gsm7(text)
    return sms.pack_septets(septets + b"\r" if len(septets) % 8 == 7 else septets)


def read(line: Line) -> tuple[int, str | None, str]:
    """Return status, text and raw string of +CUSD: m[,"str"[,dcs]]; no text where there is no string."""
    # Some put line breaks or quotes into the string: what stands between the first and the last quote is it.
    value = fields.value(line.text) if ":" in line.text else ""
    head, quote, rest = value.partition('"')
    status = fields.number(head.strip().rstrip(",")) or 0
    if not quote:
        parts = fields.split(value)
        raw, dcs = (parts[1], parts[2] if len(parts) > 2 else "") if len(parts) > 1 else ("", "")
    else:
        raw, _, dcs = rest.rpartition('"') if '"' in rest else (rest, "", "")
    found = fields.number(dcs.strip().lstrip(","))
    return status, (decode(raw, found) if raw else None), raw


def decode(raw: str, dcs: int | None) -> str:
    """Decode by content: the coding that is named comes first, and what does not give a sensible text is passed over.

    DCS as in TS 23.038 §5: 0x48 and 0x11 are UCS2, 0x44 octets, all else the GSM alphabet.
    """
    if not _HEX.fullmatch(raw) or (raw.isdigit() and len(raw) < 8):
        return raw
    octets = bytes.fromhex(raw)
    is_ucs2 = dcs is not None and (dcs == 0x11 or dcs & 0xCC == 0x48)
    ucs2 = _ucs2(octets, is_certain=is_ucs2)
    if ucs2 is not None:
        return ucs2
    if dcs is not None and dcs & 0xCC == 0x44:
        return octets.decode("latin-1")
    packed = _unpacked(octets)
    return packed if packed is not None else raw


def _ucs2(octets: bytes, *, is_certain: bool) -> str | None:
    if len(octets) % 2 or (not is_certain and not _PLAUSIBLE_BLOCKS.issuperset(octets[::2])):
        return None
    try:
        text = octets.decode("utf-16-be")
    except UnicodeDecodeError:
        return None
    return text.rstrip("\0") if is_certain or _is_sensible(text) else None


def _unpacked(octets: bytes) -> str | None:
    text = sms.decode_gsm7(sms.unpack_septets(octets, len(octets) * 8 // 7))
    if len(octets) % 7 == 0:
        text = text.removesuffix("\r").removesuffix("@")
    return text if _is_sensible(text) else None


def _is_sensible(text: str) -> bool:
    return bool(text) and all(character.isprintable() or character in "\r\n\t" for character in text)
