"""What a session looks at now and then while nothing happens: signal, registration, settings, the SIM, the balance.

It is the heart-beat too: a frozen modem is noticed here, and one that restarted without a word.
"""

from __future__ import annotations

import asyncio
import re

import structlog

from drivers.api import BalanceRead, DriverError, Link, LinkChanged, OpenContext, SessionError, SessionLost
from drivers.at import commands, startup
from drivers.at.care import Care
from drivers.at.channel import PDU_MODE_QUERY, Channel
from drivers.at.errors import Ailing
from drivers.at.recovery import Trouble
from drivers.at.settings import AtSettings
from drivers.at.state import Modem
from drivers.at.ussd import UssdDialogue

UPKEEP_S = 45.0
"""Signal, registration and a heart-beat in one; often enough to notice a frozen modem within a minute."""
UPKEEP_WITHOUT_SERVICE_S = 5.0
"""Modems that do not tell of their registration must not keep messages waiting."""

_USSD_S = 180.0
_HOUR_S = 3600.0


class Upkeep:
    """The regular look of one session. `line` is held for its commands."""

    def __init__(
        self,
        channel: Channel,
        modem: Modem,
        settings: AtSettings,
        context: OpenContext,
        *,
        line: asyncio.Lock,
        care: Care,
        ussd: UssdDialogue,
    ) -> None:
        self.due_at = 0.0
        self._channel = channel
        self._modem = modem
        self._settings = settings
        self._context = context
        self._line = line
        self._care = care
        self._ussd = ussd
        self._loop = asyncio.get_running_loop()
        self._asks_for_numbers = True
        self._log = structlog.get_logger().bind(route=context.route)

    async def look(self) -> None:
        """Read signal and registration, and make sure that the modem still has our settings and our SIM.

        Raises: SessionLost; Ailing where a rung of the ladder is due; errors of `emit`.
        """
        modem, channel = self._modem, self._channel
        before = modem.link
        async with self._line:
            await self._read_signal()
            was = modem.registration
            await startup.query_registration(channel, modem)
            if modem.registration.has_service and (modem.operator is None or was is not modem.registration):
                modem.operator = commands.operator(await channel.exchange(commands.OPERATOR_QUERY))
            await self._verify()
            await self._verify_sim()
            if self._asks_for_numbers:
                self._asks_for_numbers = False
                # Where there are no calls, the modem refuses it: so be it.
                await channel.exchange(commands.CALLER_NUMBER)
        await self._judge(before)

    async def ask_for_balance(self) -> None:
        """Ask by USSD where that is configured and due. Raises: SessionLost; errors of `emit`."""
        code, iccid, now = self._settings.balance_code, self._modem.sim.iccid, self._loop.time()
        asked_at = self._care.balances.get(iccid)
        every_s = self._settings.balance_every_h * _HOUR_S
        if code is None or not self._modem.registration.has_service:
            return
        if asked_at is not None and now - asked_at < every_s:
            return
        self._care.balances[iccid] = now
        try:
            answer = await self._ussd.ask(code, _USSD_S)
        except SessionError:
            raise
        except DriverError as error:
            self._log.warning("balance_unknown", reason=str(error))
            return
        await self._context.emit(
            BalanceRead(iccid, answer.text, balance_in(answer.text, self._settings.balance_pattern))
        )

    async def _judge(self, before: Link) -> None:
        modem, now = self._modem, self._loop.time()
        has_service = modem.registration.has_service or not modem.domains
        self.due_at = now + (UPKEEP_S if has_service else UPKEEP_WITHOUT_SERVICE_S)
        if modem.link != before:
            await self._context.emit(LinkChanged(modem.link))
        if has_service:
            step = self._care.has_service(now)
            if step is not None:
                await self._context.emit(step)
        elif self._care.is_stranded(now):
            self._care.ail(Trouble.NO_SERVICE)
            raise self._lose(Ailing("The modem has been without a network for long.", Trouble.NO_SERVICE))

    async def _read_signal(self) -> None:
        modem = self._modem
        modem.signal_dbm = commands.signal_dbm(await self._channel.exchange(commands.SIGNAL))
        if modem.signal_dbm is None and modem.has_extended_signal:
            answer = await self._channel.exchange(commands.EXTENDED_SIGNAL)
            modem.has_extended_signal = answer.is_ok
            modem.signal_dbm = commands.extended_signal_dbm(answer)

    async def _verify(self) -> None:
        """Notice a restart that nobody told of: it puts CNMI and CMGF back."""
        mode = await self._channel.exchange(PDU_MODE_QUERY)
        is_reset = mode.is_ok and mode.first.replace(" ", "").endswith(":1")
        wanted = self._modem.routing
        if wanted is not None and not is_reset:
            check = await self._channel.exchange(commands.ROUTING_QUERY)
            found = commands.routing(check) if check.is_ok else None
            is_reset = found is not None and (found.mt, found.ds) != (wanted.mt, wanted.ds)
        if is_reset:
            raise self._lose(SessionLost("The modem restarted and lost its settings."))

    async def _verify_sim(self) -> None:
        """Notice that the SIM was changed: everything that is kept by ICCID is another's now."""
        command, ours = self._modem.iccid_command, self._modem.sim.iccid
        if not command or ours.startswith("imei:"):
            return
        if command == commands.ICCID_FILE.text:
            found = commands.iccid_of_file(await self._channel.exchange(commands.ICCID_FILE))
        else:
            found = commands.iccid_digits(await self._channel.exchange(commands.iccid(command)))
        if found is not None and found != ours:
            raise self._lose(SessionLost(f"The SIM card was changed; the new one ends in {found[-4:]}."))

    def _lose(self, error: SessionLost) -> SessionLost:
        self._channel.fail(error)
        return error


def balance_in(text: str, pattern: str | None) -> str | None:
    """Return the first group of the pattern, else all that it matches; None where it does not. Pure."""
    found = re.search(pattern, text) if pattern is not None else None
    if found is None:
        return None
    return found[1] if found.re.groups else found[0]
