"""Whether a server offers an operation that nobody documented: asked once a day."""

from __future__ import annotations

import asyncio

_ASK_AGAIN_S = 86_400.0


class Offer:
    """One operation. It counts as offered until the server says that it is not; needs a running loop."""

    def __init__(self) -> None:
        self._missing_since: float | None = None

    def is_missing(self) -> bool:
        """Whether the server said so within the last day."""
        if self._missing_since is None:
            return False
        return asyncio.get_running_loop().time() - self._missing_since < _ASK_AGAIN_S

    def found_missing(self) -> None:
        self._missing_since = asyncio.get_running_loop().time()

    def found(self) -> None:
        self._missing_since = None
