"""What an upstream keeps for itself in the journal: credentials it was given, lists it must know while offline.

Values may be secrets: they are shown nowhere and logged nowhere.
"""

from __future__ import annotations

from agent.journal import facts
from agent.journal.store import Journal


class Facts:
    """Texts by owner and name. An owner is an upstream's name and identity: another server starts with nothing."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def recall(self, owner: str) -> dict[str, str]:
        """All facts of one owner."""
        return await self._journal.read(lambda con: facts.recall(con, owner))

    async def remember(self, owner: str, fact: str, value: str | None) -> None:
        """Keep one, or forget it (None); durable when it returns."""
        await self._journal.write(lambda con: facts.remember(con, owner, fact, value))
