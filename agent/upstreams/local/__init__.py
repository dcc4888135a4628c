"""The gateway as its own server: `[[upstream]]` with type = "local".

Importing this is light, since the configuration check does it; the server is loaded when it runs.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import structlog

from agent import memory
from agent.config import ConfigError, secret
from agent.journal.schema import JournalError
from agent.model import Message, Report
from agent.upstreams.api import Check, UpstreamDown, UpstreamSettings
from agent.upstreams.local import diagnosis, key, pools, telling
from agent.upstreams.local.context import Local
from agent.upstreams.local.devices import Devices
from agent.upstreams.local.guard import Hosts
from agent.upstreams.local.settings import LocalSettings

if TYPE_CHECKING:
    from agent.gateway import Gateway
    from agent.upstreams.local.server import Server

_log = structlog.get_logger("local")


class LocalUpstream:
    """One local server. Its messages live in our own journal, so a report is only a webhook."""

    kind: ClassVar[str] = "local"
    Settings: ClassVar[type[UpstreamSettings]] = LocalSettings
    concurrency: ClassVar[int] = 16

    def __init__(self, settings: LocalSettings, gateway: Gateway) -> None:
        """Raises: ConfigError."""
        self.wants_inbound = True
        self._settings = settings
        self._key = secret(settings.api_key, settings.api_key_file, f"upstream[{settings.name}].api_key")
        if self._key is not None and not self._key.strip():
            raise ConfigError(f"upstream[{settings.name}].api_key_file: {settings.api_key_file} is empty")
        self._local = Local(settings.name, settings, gateway, Devices(gateway, settings.sms_rate, settings.prices))
        self._local.passphrase = secret(
            settings.passphrase, settings.passphrase_file, f"upstream[{settings.name}].passphrase"
        )
        self._server: Server | None = None
        self._address: str | None = None

    @staticmethod
    async def diagnose(settings: LocalSettings, device_name: str) -> Sequence[Check]:
        """See `upstreams.api.Diagnosable`."""
        host = "127.0.0.1" if settings.host == "0.0.0.0" else "::1" if settings.host == "::" else settings.host
        return await diagnosis.diagnose(host, settings.port)

    def identity(self) -> str:
        """Always the same: another address is the same journal."""
        return "local"

    async def run(self) -> None:
        """Serve until cancelled. Raises: UpstreamDown where the port cannot be used; OSError; JournalError."""
        local = self._local
        accounts = local.accounts
        generated = None
        if self._key is None:
            generated = await asyncio.to_thread(key.generated, local.gateway.settings.state_dir)
        accounts.set_configured_key(self._key or generated or "")
        await accounts.owner()
        await accounts.ensure_routes(list(local.gateway.routes))
        local.stopping.clear()
        listener, app = await asyncio.to_thread(_prepared, local, _hosts(self._settings))
        port = listener.getsockname()[1]
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        self._address = f"http://{host}:{port}"
        _log.info("serving", upstream=local.name, address=self._address)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(accounts.run(), name=f"keys {local.name}")
                group.create_task(pools.run(local), name=f"pools {local.name}")
                group.create_task(_heart(local), name=f"heart {local.name}")
                self._server = _server(app, listener, self._settings.trusted_proxies)
                await self._server.run(self._stopping)
        finally:
            listener.close()
            self._server = self._address = None

    async def report(self, report: Report) -> None:
        try:
            await telling.tell_state(self._local, report)
        except JournalError as error:
            raise UpstreamDown(str(error)) from error

    async def deliver(self, inbound: Message) -> None:
        try:
            await telling.tell_inbound(self._local, inbound)
        except JournalError as error:
            raise UpstreamDown(str(error)) from error

    def status(self) -> dict[str, str | int | float | bool | None]:
        return {
            "address": self._address,
            "connections": 0 if self._server is None else self._server.connections,
            "registration": self._settings.registration,
            "problem": None,
        }

    async def refresh(self) -> None:
        """Cancellations are in the journal before they are answered."""

    def _stopping(self) -> None:
        """End the event streams, which would hold up the server's end."""
        self._local.stopping.set()
        self._local.gateway.committed()


def _prepared(local: Local, hosts: Hosts) -> tuple[socket.socket, Any]:
    """The listening socket and the application. In a thread: importing the server takes long on a small box."""
    from agent.upstreams.local.app import build  # noqa: PLC0415
    from agent.upstreams.local.server import listen  # noqa: PLC0415

    listener = listen(local.settings.host, local.settings.port)
    app = build(local, hosts)
    memory.tidy()
    return listener, app


async def _heart(local: Local) -> None:
    from agent.upstreams.local.smsgate import heart  # noqa: PLC0415

    await heart.run(local)


def _server(app: Any, listener: socket.socket, proxies: Sequence[str]) -> Server:
    from agent.upstreams.local.server import Server  # noqa: PLC0415

    return Server(app, listener, proxies)


def _hosts(settings: LocalSettings) -> Hosts:
    """The address it binds and this machine's own names, beside what the configuration adds."""
    names = (settings.host, "localhost", "127.0.0.1", "::1", *settings.allowed_hosts)
    if settings.is_wildcard:
        own = socket.gethostname()
        names = (*names, own, f"{own}.local")
    return Hosts(names, any_address=settings.is_wildcard)
