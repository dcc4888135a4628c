"""One process per journal: a lock beside the file, gone with the process that held it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from agent.journal.schema import JournalError


class Lock:
    """Hold it for as long as the journal is open. The kernel lets go when the process ends, however it ends."""

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_suffix(".lock")
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises: JournalError where another process has the journal."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            _leave_to_owner(descriptor, self._path.parent)
        except OSError as error:
            raise JournalError(f"{self._path} cannot be opened: {error.strerror}; mend its owner or mode") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise JournalError(
                f"another phonebridge uses the journal in {self._path.parent}; stop it first: "
                "systemctl stop phonebridge"
            ) from error
        self._descriptor = descriptor

    def give_back(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _leave_to_owner(descriptor: int, directory: Path) -> None:
    """`sudo phonebridge restore` must not leave a file that the service cannot open."""
    owner, own = directory.stat(), os.fstat(descriptor)
    if os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (own.st_uid, own.st_gid):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
