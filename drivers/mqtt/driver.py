"""The driver of pools: connected to the broker before it gives a session away. See `drivers.api.Driver`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import AsyncExitStack
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
)
from drivers.mqtt import keys, planning
from drivers.mqtt.settings import PoolSettings

if TYPE_CHECKING:
    from drivers.mqtt.link import Broker
    from drivers.mqtt.pool import PoolSession

# Nothing here is plugged in, so PortAbsent is never raised; who waits all the same asks again this late.
_PORTLESS_WAIT_S = 1.0
_CLIENT_ID_FACT = "client id"


class PoolDriver:
    """Carries SMS by the gateways of one pool."""

    name: ClassVar[str] = "mqtt"
    Settings: ClassVar[type[PoolSettings]] = PoolSettings

    def plan(self, text: str, max_parts: int, options: PlanOptions = AS_TEXT) -> tuple[PlannedPart, ...]:
        return planning.plan(text, max_parts, options)

    def hardware(self, settings: PoolSettings) -> str | None:
        return None

    def clash(self, settings: PoolSettings, other: PoolSettings) -> str | None:
        if settings.pool == other.pool:
            return f'are the same pool "{settings.pool}"; one route carries all of its gateways'
        return None

    async def open(self, settings: PoolSettings, context: OpenContext) -> PoolSession:
        # Imported here: whoever only checks a configuration, or has no such route, does not pay for it.
        from drivers.mqtt.ledger import Ledger  # noqa: PLC0415
        from drivers.mqtt.link import Link, LinkDown, LinkRefused  # noqa: PLC0415
        from drivers.mqtt.pool import PoolSession  # noqa: PLC0415

        # The pool stands for the SIM: messages are bound to it, and their evidence belongs to it.
        sim = Sim(iccid=f"mqtt:{settings.pool}")
        broker = await _broker(settings, await _client_id(settings, context, sim.iccid))
        ledger = Ledger(context.memory, sim.iccid)
        await ledger.load()
        async with AsyncExitStack() as stack:
            try:
                link = await stack.enter_async_context(Link(broker))
                session = PoolSession(link, settings, context, ledger, sim)
                await session.greet()
            except LinkRefused as error:
                raise PersonNeeded(_sentence(error)) from error
            except LinkDown as error:
                raise NoAnswer(_sentence(error)) from error
            session.keep(stack.pop_all())
            return session

    async def wait_for_port(self, settings: PoolSettings) -> None:
        await asyncio.sleep(_PORTLESS_WAIT_S)

    def discover(self) -> Iterable[Candidate]:
        return ()

    async def diagnose(self, candidate: Candidate) -> Diagnosis:
        return Diagnosis(
            candidate,
            ok=False,
            finding="A pool of gateways is nothing that can be plugged in.",
            remedy='Set url and pool of a [[route]] with driver = "mqtt".',
        )


async def _client_id(settings: PoolSettings, context: OpenContext, key: str) -> str:
    """The same one at each connection, so that the broker keeps what comes meanwhile; and nobody else's."""
    if settings.client_id is not None:
        return settings.client_id
    known = await context.memory.recall(key, _CLIENT_ID_FACT)
    if known is None:
        known = f"phonebridge-pool-{secrets.token_hex(6)}"
        await context.memory.remember(key, _CLIENT_ID_FACT, known)
    return known


async def _broker(settings: PoolSettings, client_id: str) -> Broker:
    """Raises: PersonNeeded for a password or a certificate that cannot be used."""
    from drivers.mqtt.link import Broker, tls_context  # noqa: PLC0415

    tls = None
    if keys.is_tls(settings.url):
        try:
            tls = await asyncio.to_thread(tls_context, settings.ca_file, settings.cert_file, settings.key_file)
        except OSError as error:  # ssl.SSLError is one
            raise PersonNeeded(
                f"ca_file, cert_file or key_file cannot be used ({error.strerror or error}); they hold certificates "
                "and an unencrypted key in PEM form."
            ) from error
    host, port = keys.host_and_port(settings.url)
    return Broker(
        host=host,
        port=port,
        client_id=client_id,
        tls=tls,
        username=settings.username,
        password=settings.read_password(),
        keepalive_s=settings.keepalive_s,
        session_expiry_s=settings.session_expiry_s,
        receive_maximum=settings.receive_maximum,
    )


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
