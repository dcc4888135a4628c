"""The driver: knows key, service and organisation before it gives a session away. See `drivers.api.Driver`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from drivers.api import (
    AS_TEXT,
    Candidate,
    Diagnosis,
    NoAnswer,
    OpenContext,
    PersonNeeded,
    PlannedPart,
    PlanOptions,
    Sim,
    Unplannable,
)
from drivers.yazsana import rows
from drivers.yazsana.settings import YazsanaSettings

if TYPE_CHECKING:
    from drivers.yazsana.client import Client
    from drivers.yazsana.session import YazsanaSession

# Nothing here is plugged in, so PortAbsent is never raised; who waits all the same asks again this late.
_PORTLESS_WAIT_S = 1.0


class YazsanaDriver:
    """Carries SMS by Yazsana's Customer API."""

    name: ClassVar[str] = "yazsana"
    Settings: ClassVar[type[YazsanaSettings]] = YazsanaSettings

    def plan(self, text: str, max_parts: int, options: PlanOptions = AS_TEXT) -> tuple[PlannedPart, ...]:
        if options.data is not None or options.port is not None or options.is_flash:
            raise Unplannable("Yazsana carries plain text only: no data, no application port, no flash messages.")
        if not text:
            raise Unplannable("The message is empty.")
        length = rows.characters(text)
        if length > rows.LONGEST_TEXT_CHARACTERS:
            raise Unplannable(
                f"The text has {length} characters; Yazsana takes {rows.LONGEST_TEXT_CHARACTERS} at most, "
                "and a text is never cut."
            )
        try:
            return (PlannedPart("text", text.encode()),)
        except UnicodeEncodeError as error:
            raise Unplannable("The text has half a surrogate pair, which is no character.") from error

    def hardware(self, settings: YazsanaSettings) -> str | None:
        return None

    def clash(self, settings: YazsanaSettings, other: YazsanaSettings) -> str | None:
        return None

    async def open(self, settings: YazsanaSettings, context: OpenContext) -> YazsanaSession:
        # Imported here: whoever only checks a configuration, or has no such route, does not pay for it.
        from drivers.yazsana.client import Client, tls_context  # noqa: PLC0415

        key = settings.read_key()
        tls = await asyncio.to_thread(tls_context)
        client = Client(settings.base_url, key, settings.org_id, tls=tls, timeout_s=settings.timeout_s)
        try:
            return await self._session(client, settings, context)
        except BaseException:
            await client.close()
            raise

    async def wait_for_port(self, settings: YazsanaSettings) -> None:
        await asyncio.sleep(_PORTLESS_WAIT_S)

    def discover(self) -> Iterable[Candidate]:
        return ()

    async def diagnose(self, candidate: Candidate) -> Diagnosis:
        return Diagnosis(
            candidate,
            ok=False,
            finding="A route over HTTP is nothing that can be plugged in.",
            remedy='Set base_url and api_key of a [[route]] with driver = "yazsana".',
        )

    async def _session(self, client: Client, settings: YazsanaSettings, context: OpenContext) -> YazsanaSession:
        from drivers.yazsana.client import Away, Fault, Limited, Unsure  # noqa: PLC0415
        from drivers.yazsana.ledger import Ledger  # noqa: PLC0415
        from drivers.yazsana.session import YazsanaSession, read_account  # noqa: PLC0415

        try:
            user = rows.user_id(await client.get(settings.user_path))
            service, credit = await read_account(client, settings)
            if service is None:
                offered = rows.services(await client.get(settings.services_path))
                raise PersonNeeded(_no_service(settings.service, offered, client.host))
        except rows.Malformed as error:
            raise PersonNeeded(f"The answer of {client.host} {error}; check base_url and the paths.") from error
        except (Away, Limited, Unsure) as fault:
            raise NoAnswer(str(fault)) from fault
        except Fault as fault:
            raise PersonNeeded(str(fault)) from fault
        # Whose credit it is stands for the SIM: messages are bound to it, and their evidence belongs to it.
        iccid = f"yazsana:{user}" if settings.org_id is None else f"yazsana:{user}:{settings.org_id}"
        ledger = Ledger(context.memory, iccid)
        await ledger.load()
        return YazsanaSession(
            client, settings, context, sim=Sim(iccid=iccid), service=service, credit=credit, ledger=ledger
        )


def _no_service(wanted: str | None, offered: tuple[rows.Service, ...], host: str) -> str:
    names = ", ".join(f'"{service.name}"' for service in offered) or "none"
    if wanted is None:
        return f"{host} offers several services or none; set service to one of: {names}."
    return f'{host} offers no one service "{wanted}"; set service to one of: {names}.'
