"""A route that puts each part as a file into a directory. Knows nothing of the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from drivers.api import (
    AS_TEXT,
    Candidate,
    Diagnosis,
    DriverError,
    Link,
    OpenContext,
    PartToSend,
    PlannedPart,
    PlanOptions,
    PortAbsent,
    Registration,
    Session,
    SessionLost,
    Sim,
    Submitted,
    Swept,
    Unplannable,
    Ussd,
)
from drivers.settings import STRICT

_LONGEST_CHARACTERS = 160
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSettings:
    """Keys of `[[route]]` with driver = "folder"."""

    __pydantic_config__: ClassVar = STRICT

    directory: Path


class FolderSession:
    """One life of the directory: when it is gone, the session is lost, and the agent opens another."""

    def __init__(self, directory: Path, context: OpenContext) -> None:
        self._directory = directory
        self._context = context
        self._count = 0

    @property
    def sim(self) -> Sim:
        return Sim(f"folder:{self._directory}")

    @property
    def link(self) -> Link:
        return Link(registration=Registration.HOME, operator=self._directory.name)

    async def run(self) -> None:
        # Nothing waits here that came in earlier: said once, so that the agent stops waiting for evidence.
        await self._context.emit(Swept(self.sim.iccid))
        while self._directory.is_dir():
            await asyncio.sleep(_LOOK_S)
        raise SessionLost(f"{self._directory} is gone.")

    async def submit(self, part: PartToSend, durable: Awaitable[None]) -> Submitted:
        # The journal must know of the attempt before anything of it can be seen from outside.
        await durable
        self._count += 1
        file = self._directory / f"{part.recipient}-{id(self)}-{self._count}.txt"
        try:
            with file.open("xb") as out:
                out.write(part.body)
        except FileNotFoundError as error:
            raise SessionLost(f"{self._directory} is gone.") from error
        # No reference, since no report will ever come.
        return Submitted(None, report_asked=False)

    async def terminal(self, command: str, timeout_s: float) -> list[str]:
        raise DriverError("a directory has no terminal")

    async def ussd(self, code: str, timeout_s: float) -> Ussd:
        raise DriverError("a directory has no USSD")

    async def close(self) -> None:
        return None


class FolderDriver:
    """See `drivers.api.Driver`."""

    name: ClassVar[str] = "folder"
    Settings: ClassVar[type[Any]] = FolderSettings

    def plan(self, text: str, max_parts: int, options: PlanOptions = AS_TEXT) -> tuple[PlannedPart, ...]:
        if not text or options.data is not None or options.port is not None:
            raise Unplannable("a directory takes texts only")
        pieces = [text[at : at + _LONGEST_CHARACTERS] for at in range(0, len(text), _LONGEST_CHARACTERS)]
        if len(pieces) > max_parts:
            raise Unplannable(f"the text needs {len(pieces)} parts, {max_parts} are allowed")
        return tuple(PlannedPart("text", piece.encode()) for piece in pieces)

    def hardware(self, settings: FolderSettings) -> str | None:
        return None

    def clash(self, settings: FolderSettings, other: FolderSettings) -> str | None:
        return "write into one directory" if settings.directory == other.directory else None

    async def open(self, settings: FolderSettings, context: OpenContext) -> Session:
        if not settings.directory.is_dir():
            raise PortAbsent(f"{settings.directory} is not there; make it")
        return FolderSession(settings.directory, context)

    async def wait_for_port(self, settings: FolderSettings) -> None:
        while not settings.directory.is_dir():
            await asyncio.sleep(_LOOK_S)

    def discover(self) -> Iterable[Candidate]:
        return ()

    async def diagnose(self, candidate: Candidate) -> Diagnosis:
        return Diagnosis(candidate, ok=False, finding="Directories are not looked for.", remedy="Configure one.")
