"""A server that is a directory: jobs are files in it, what is told are lines. Sees only gateway, model and contract."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from agent.model import Job, Message, Report
from agent.upstreams.api import UpstreamDown, UpstreamSettings
from drivers.settings import Ge

if TYPE_CHECKING:
    from agent.gateway import Gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSettings(UpstreamSettings):
    """Keys of `[[upstream]]` with type = "folder"."""

    directory: Path
    poll_interval_s: Annotated[float, Ge(0.01)] = 1.0


class FolderUpstream:
    """See `agent.upstreams.api.Upstream`. A job is `NAME.job`: the number in its first line, then the text."""

    kind: ClassVar[str] = "folder"
    Settings: ClassVar[type[UpstreamSettings]] = FolderSettings
    concurrency: ClassVar[int] = 1

    def __init__(self, settings: FolderSettings, gateway: Gateway) -> None:
        self.wants_inbound = True
        self._settings = settings
        self._gateway = gateway
        self._problem: str | None = None
        self._has_looked = False

    def identity(self) -> str:
        return f"folder {self._settings.directory}"

    async def run(self) -> None:
        while True:
            await self._pull()
            await asyncio.sleep(self._settings.poll_interval_s)

    async def _pull(self) -> None:
        if not self._settings.directory.is_dir():
            raise self._down()
        self._problem, self._has_looked = None, True
        for file in sorted(self._settings.directory.glob("*.job")):
            number, _, text = file.read_text(encoding="utf-8").partition("\n")
            # The name makes it idempotent: a crash before the next line, and it is offered again but not sent again.
            await self._gateway.accept(self._settings.name, [Job(number, text, remote_id=file.stem)])
            # Durable now, so that the server may forget it.
            file.unlink(missing_ok=True)

    async def report(self, report: Report) -> None:
        self._say("reports", {"job": report.message.remote_id, "state": report.state, "error": report.error})

    async def deliver(self, inbound: Message) -> None:
        # The uid is the same in every try, so that a reader can drop what it has.
        self._say("inbox", {"id": inbound.uid, "from": inbound.number, "text": inbound.text})

    def status(self) -> dict[str, str | int | float | bool | None]:
        return {"connected": self._has_looked and self._problem is None, "problem": self._problem}

    async def refresh(self) -> None:
        """This server cannot cancel."""

    def _say(self, name: str, what: dict[str, str | None]) -> None:
        try:
            with (self._settings.directory / name).open("a", encoding="utf-8") as lines:
                lines.write(f"{json.dumps(what)}\n")
        except FileNotFoundError as error:
            raise self._down() from error

    def _down(self) -> UpstreamDown:
        self._problem = f"{self._settings.directory} is not there; make it"
        return UpstreamDown(self._problem)
