"""One life of the route: posts messages, asks what became of them, keeps price and credit in sight.

What is posted is SENT for the agent once the service named a sending; what the service says later comes as status
reports with the entry's number as TP-MR. A post without a usable answer is looked for in the service's list, by
recipient, text and time; the agent's own policy decides only where it is not found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NoReturn

from drivers.api import (
    DriverError,
    Link,
    LinkChanged,
    NotReady,
    OpenContext,
    OutcomeUnknown,
    PartToSend,
    Refused,
    Registration,
    ReportOutcome,
    RouteRefused,
    SessionLost,
    Sim,
    StatusReport,
    SubmitError,
    Submitted,
    Swept,
    Ussd,
)
from drivers.values import dataclass
from drivers.yazsana import rows
from drivers.yazsana.client import (
    Away,
    Client,
    Declined,
    Fault,
    KeyRefused,
    Limited,
    NoCredit,
    NoSuchPath,
    NotSent,
    Unsure,
)
from drivers.yazsana.ledger import Entry, Ledger
from drivers.yazsana.settings import YazsanaSettings

NO_TP_ST = -1
"""`StatusReport.status` of a report that is no TPDU."""
# Waits between the looks for a post without an answer while its route waits; then it waits for the later looks.
_LOOKS_AT_ONCE_S = (0.5, 1.5, 3.0)
_LOOK_FOR_MS = 3_600_000
# The list's times and ours may be some seconds apart, since HTTP tells the time in whole seconds.
_CLOCK_SLACK_MS = 5_000
_PAGE_ROWS = 100
_MOST_PAGES = 10
_SAME_BEGINNING_CHARACTERS = 20
# Waits where the service names none.
_LIMITED_S, _AWAY_S = 30.0, 15.0
# A request without a usable answer is followed by a look at the account this late.
_RECONSIDER_S = 1.0
_HOUR_MS = 3_600_000

_FAILED = {"not_sent": "The service could not send it", "no_signal": "The recipient's phone had no signal"}


@dataclass(slots=True)
class _Due:
    """When an entry is asked for next, by the loop's clock."""

    at: float
    wait_s: float


class YazsanaSession:
    """A `drivers.api.Session`."""

    def __init__(
        self,
        client: Client,
        settings: YazsanaSettings,
        context: OpenContext,
        *,
        sim: Sim,
        service: rows.Service,
        credit: str | None,
        ledger: Ledger,
    ) -> None:
        self._client = client
        self._settings = settings
        self._context = context
        self._sim = sim
        self._service = service
        self._ledger = ledger
        self._link = _described(Link(registration=Registration.HOME), service, credit)
        self._due: dict[int, _Due] = {}
        self._wake = asyncio.Event()
        self._held_until: float | None = None
        self._must_look_at_account = False

    @property
    def sim(self) -> Sim:
        return self._sim

    @property
    def link(self) -> Link:
        return self._link

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for entry in self._ledger.entries():
            self._ask_soon(entry.number, at_once=entry.sending is None)
        if self._context.leftover:
            await self._tell_newest()
        next_account = loop.time() + self._settings.account_refresh_s
        while True:
            self._wake.clear()
            try:
                if self._must_look_at_account or loop.time() >= next_account:
                    self._must_look_at_account = False
                    await self._refresh_account()
                    next_account = loop.time() + self._settings.account_refresh_s
                await self._release()
                if self._held_until is None:
                    await self._look()
                    await self._poll()
                    await self._context.emit(Swept(self._sim.iccid))
            except Limited as fault:
                await self._hold(fault, _LIMITED_S)
            except KeyRefused as fault:
                raise SessionLost(str(fault)) from fault
            except (Away, Unsure) as fault:
                # The next session opens only where the service answers again.
                raise SessionLost(str(fault)) from fault
            self._due = {number: due for number, due in self._due.items() if self._ledger.get(number) is not None}
            wait_s = max(0.0, min([next_account, *(due.at for due in self._due.values())]) - loop.time())
            if self._must_look_at_account:
                wait_s = min(wait_s, _RECONSIDER_S)
            if self._held_until is not None:
                wait_s = max(0.0, self._held_until - loop.time())
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def submit(self, part: PartToSend, durable: Awaitable[None]) -> Submitted:
        await durable
        if part.alphabet != "text" or part.total != 1:
            raise Refused("This message was planned for another kind of route.")
        number = rows.number(part.recipient)
        if number is None:
            raise Refused(f"{self._client.host} takes only numbers with country code, e.g. +905…")
        text = part.body.decode()
        entry = await self._ledger.intend(part.recipient, text, self._client.server_ms())
        body = {"to": number, "message": text, "serviceId": self._service.id}
        try:
            data = await self._client.post(self._settings.send_path, body)
            sending = _checked(data)
        except NotSent as fault:
            await self._ledger.drop(entry.number)
            await self._refuse(fault)
        except Unsure as fault:
            found = await self._look_at_once(entry)
            if found is None:
                self._ask_soon(entry.number, at_once=False)
                raise OutcomeUnknown(str(fault), code=fault.code) from fault
            sending = found
        if self._context.status_reports:
            await self._ledger.found(entry.number, sending)
            self._ask_soon(entry.number, at_once=False)
        else:
            await self._ledger.drop(entry.number)
        return Submitted(entry.number)

    async def terminal(self, command: str, timeout_s: float) -> list[str]:
        raise DriverError("A route over HTTP has no AT terminal.")

    async def ussd(self, code: str, timeout_s: float) -> Ussd:
        raise DriverError("A route over HTTP has no USSD.")

    async def close(self) -> None:
        await self._client.close()

    # --- answers to a post --------------------------------------------------------------------------

    async def _refuse(self, fault: NotSent) -> NoReturn:
        """Turn what certainly sent nothing into the contract's error. Raises: SubmitError."""
        error: SubmitError
        if isinstance(fault, Limited):
            await self._hold(fault, _LIMITED_S)
            error = NotReady(str(fault), code=fault.code)
        elif isinstance(fault, Away):
            await self._hold(fault, _AWAY_S)
            self._must_look_at_account = True
            error = NotReady(str(fault), code=fault.code)
        elif isinstance(fault, KeyRefused | NoCredit | NoSuchPath):
            self._must_look_at_account = True
            self._wake.set()
            error = RouteRefused(str(fault), code=fault.code)
        else:
            error = Refused(str(fault), code=fault.code)
        raise error from fault

    async def _hold(self, fault: Fault, default_s: float) -> None:
        """Send nothing and ask nothing for a while, and say why."""
        wait_s = default_s if fault.retry_after_s is None else fault.retry_after_s
        self._held_until = asyncio.get_running_loop().time() + wait_s
        self._link = replace(self._link, registration=Registration.SEARCHING, problem=str(fault))
        await self._context.emit(LinkChanged(self._link))
        self._wake.set()

    async def _release(self) -> None:
        if self._held_until is None or asyncio.get_running_loop().time() < self._held_until:
            return
        self._held_until = None
        self._link = replace(self._link, registration=Registration.HOME, problem=None)
        await self._context.emit(LinkChanged(self._link))

    # --- account ------------------------------------------------------------------------------------

    async def _refresh_account(self) -> None:
        """Price and credit as they are now. Raises: Fault; SessionLost where the service is gone."""
        try:
            service, credit = await read_account(self._client, self._settings)
        except rows.Malformed as error:
            raise SessionLost(f"The answer of {self._client.host} {error}.") from error
        except (Declined, NoSuchPath, NoCredit) as fault:
            raise SessionLost(str(fault)) from fault
        if service is None:
            raise SessionLost(f"{self._client.host} does not offer the service any more.")
        self._service = service
        link = _described(self._link, service, credit)
        if link != self._link:
            self._link = link
            await self._context.emit(LinkChanged(link))

    # --- what became of them ------------------------------------------------------------------------

    def _ask_soon(self, number: int, *, at_once: bool) -> None:
        wait_s = self._settings.poll_first_s
        now = asyncio.get_running_loop().time()
        self._due[number] = _Due(now if at_once else now + wait_s, wait_s)
        self._wake.set()

    def _ask_later(self, number: int) -> None:
        due = self._due[number]
        due.at = asyncio.get_running_loop().time() + due.wait_s
        due.wait_s = min(2 * due.wait_s, self._settings.poll_longest_s)

    def _is_due(self, entry: Entry) -> bool:
        due = self._due.get(entry.number)
        return due is not None and due.at <= asyncio.get_running_loop().time()

    async def _poll(self) -> None:
        """Ask for every sending that is due. Raises: Fault."""
        for entry in self._ledger.entries():
            if entry.sending is None or not self._is_due(entry):
                continue
            self._ask_later(entry.number)
            try:
                found = await self._items(entry.sending)
            except (Declined, NoSuchPath, NoCredit, rows.Malformed):
                found = ()
            except Unsure:
                # Whether the service works at all is for the account's own requests to say.
                self._must_look_at_account = True
                return
            item = next((item for item in found if item.to == rows.number(entry.recipient)), None)
            age_ms = self._client.server_ms() - entry.at_ms
            await self._judge(entry, item, is_over=age_ms > self._settings.give_up_after_h * _HOUR_MS)

    async def _judge(self, entry: Entry, item: rows.Item | None, *, is_over: bool) -> None:
        status = "" if item is None else item.status
        is_refunded = item is not None and item.is_refunded
        outcome, sentence = ReportOutcome.PENDING, ""
        if status == "sent":
            outcome = ReportOutcome.DELIVERED if self._settings.sent_is_delivered else ReportOutcome.PENDING
            sentence = "The service has sent it."
        elif status == "not_sent" or (status == "no_signal" and (is_over or is_refunded)):
            outcome = ReportOutcome.FAILED
            sentence = _FAILED[status] + ("; its price was refunded." if is_refunded else ".")
        elif status == "no_signal":
            sentence = "The recipient's phone has no signal; the service may still reach it."
        if sentence:
            await self._report(entry, f"{entry.sending} {status} {outcome}", outcome, sentence)
        if status == "sent" or outcome is ReportOutcome.FAILED or is_over:
            self._due.pop(entry.number, None)
            await self._ledger.drop(entry.number)

    async def _report(self, entry: Entry, mark: str, outcome: ReportOutcome, sentence: str) -> None:
        """The agent takes one with the same mark only once."""
        await self._context.emit(
            StatusReport(
                iccid=self._sim.iccid,
                tp_mr=entry.number,
                recipient=entry.recipient,
                status=NO_TP_ST,
                outcome=outcome,
                sentence=sentence,
                tpdu=mark.encode(),
            )
        )

    async def _items(self, sending: str) -> tuple[rows.Item, ...]:
        path = self._settings.items_path.replace("{id}", sending)
        return rows.items(await self._client.get(path, page=0, limit=_PAGE_ROWS))

    # --- posts without an answer --------------------------------------------------------------------

    async def _tell_newest(self) -> None:
        """The last post may be known here while its SENT never became durable."""
        known = [entry for entry in self._ledger.entries() if entry.sending is not None]
        if known:
            await self._report(known[-1], f"{known[-1].sending} taken", ReportOutcome.PENDING, "The service has it.")

    async def _look_at_once(self, entry: Entry) -> str | None:
        """Look for a post whose answer did not come, while its route waits. The sending's id where it is there."""
        for wait_s in _LOOKS_AT_ONCE_S:
            await asyncio.sleep(wait_s)
            try:
                found = await self._search([entry])
            except (Fault, rows.Malformed):
                continue
            if entry.number in found:
                return found[entry.number]
        return None

    async def _look(self) -> None:
        """Look for all posts whose answer did not come and that are due. Raises: Fault."""
        now_ms = self._client.server_ms()
        due = [entry for entry in self._ledger.entries() if entry.sending is None and self._is_due(entry)]
        if not due:
            return
        for entry in due:
            self._ask_later(entry.number)
        try:
            found = await self._search(due)
        except (Declined, NoSuchPath, NoCredit, rows.Malformed):
            return
        except Unsure:
            self._must_look_at_account = True
            return
        for entry in due:
            if entry.number in found:
                sending = found[entry.number]
                await self._ledger.found(entry.number, sending)
                self._ask_soon(entry.number, at_once=True)
                await self._report(entry, f"{sending} taken", ReportOutcome.PENDING, "The service has it.")
            elif now_ms - entry.at_ms > _LOOK_FOR_MS:
                self._due.pop(entry.number, None)
                await self._ledger.drop(entry.number)

    async def _search(self, wanted: list[Entry]) -> dict[int, str]:
        """Sendings with the recipient and text of these entries, not older than they. Raises: Fault, Malformed."""
        open_ = {entry.number: entry for entry in wanted}
        since_ms = min(entry.at_ms for entry in wanted) - _CLOCK_SLACK_MS
        found: dict[int, str] = {}
        page, pages = 0, 1
        while open_ and page < min(pages, _MOST_PAGES):
            data = await self._client.get(
                self._settings.sendings_path, page=page, limit=_PAGE_ROWS, startDate=_iso(since_ms), source="api"
            )
            listed, pages = rows.sendings(data)
            page += 1
            for sending in listed:
                likely = [entry for entry in open_.values() if _may_be(sending, entry)]
                if not likely or self._ledger.knows(sending.id) or sending.id in found.values():
                    continue
                items = await self._items(sending.id)
                for entry in likely:
                    if any(item.to == rows.number(entry.recipient) and item.message == entry.text for item in items):
                        found[entry.number] = sending.id
                        del open_[entry.number]
                        break
        return found


async def read_account(client: Client, settings: YazsanaSettings) -> tuple[rows.Service | None, str | None]:
    """The chosen service, None where it is not one; and the organisation's credit, where one is charged.

    Raises: Fault, Malformed.
    """
    service = rows.choose(rows.services(await client.get(settings.services_path)), settings.service)
    if settings.org_id is None:
        return service, None
    found = rows.organisations(await client.get(settings.organizations_path))
    organisation = next((one for one in found if one.id == settings.org_id), None)
    if organisation is None:
        raise KeyRefused(f"The key belongs to no organisation {settings.org_id}; check org_id.")
    return service, organisation.credit


def _checked(data: object) -> str:
    try:
        return rows.sending_id(data)
    except rows.Malformed as error:
        raise Unsure(f"The answer {error}.") from error


def _may_be(sending: rows.Listed, entry: Entry) -> bool:
    beginning = (entry.text or "")[:_SAME_BEGINNING_CHARACTERS]
    is_same = sending.sample[:_SAME_BEGINNING_CHARACTERS] == beginning
    return is_same and sending.created_ms >= entry.at_ms - _CLOCK_SLACK_MS


def _described(link: Link, service: rows.Service, credit: str | None) -> Link:
    return replace(
        link,
        operator=service.name,
        manufacturer="Yazsana",
        price=f"{service.unit_price} {service.currency}".strip(),
        credit=credit,
    )


def _iso(utc_ms: int) -> str:
    at = datetime.fromtimestamp(utc_ms / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
