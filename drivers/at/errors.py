"""Errors of this driver beside those of the contract: what the recovery ladder is for."""

from __future__ import annotations

from drivers.api import PersonNeeded, SessionLost
from drivers.at.recovery import Trouble


class Unwell(PersonNeeded):
    """The modem answers and does not get ready: a person is needed only where no rung of the ladder helps."""


class Ailing(SessionLost):
    """The session is given up, because the modem does not do its work any more."""

    def __init__(self, sentence: str, trouble: Trouble) -> None:
        super().__init__(sentence)
        self.trouble = trouble
