"""The owner's key: from the configuration, or generated once. Never in a log."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

FILE_NAME = "local-api-key"
_SECRET_BYTES = 30


def generated(state_dir: Path) -> str:
    """The generated key, made at the first call; the file belongs to this user alone. Blocks on the disk.

    Raises: OSError.
    """
    path = state_dir / FILE_NAME
    try:
        if found := path.read_text().strip():
            return found
    except FileNotFoundError:
        pass
    key = secrets.token_urlsafe(_SECRET_BYTES)
    # Written beside and renamed: a power cut leaves no half key.
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    return key
