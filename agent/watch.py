"""How long a SIM was in the network and looked through, so that what the network had for it would have come. Pure.

A SIM that rests while another one uses its modem is not watched then; what arrives waits in the network.
"""

from __future__ import annotations

from collections import deque

_SPANS = 256
"""Kept apart at most; those of an attempt older than that count as one that nobody waits for any more."""

Span = tuple[int, int]
"""From and to, CLOCK_BOOTTIME in milliseconds."""


class Watch:
    """Of one route. A break that is no rest makes it begin anew (`forget`)."""

    def __init__(self) -> None:
        self._iccid = ""
        self._spans: deque[Span] = deque(maxlen=_SPANS)
        self._since: int | None = None

    def of(self, iccid: str) -> None:
        """Say which SIM it is about from now on."""
        if iccid != self._iccid:
            self._iccid = iccid
            self.forget()

    def start(self, now_ms: int) -> None:
        """The SIM is in the network and was looked through."""
        if self._since is None:
            self._since = now_ms

    def stop(self, now_ms: int) -> None:
        """The SIM rests."""
        if self._since is not None:
            self._spans.append((self._since, now_ms))
            self._since = None

    def forget(self) -> None:
        """Something may have been missed."""
        self._spans.clear()
        self._since = None

    def begin_anew(self, now_ms: int) -> None:
        """Nothing could be read until now, though nothing was missed: what was watched before does not count."""
        self._spans.clear()
        if self._since is not None:
            self._since = now_ms

    def spans(self, now_ms: int) -> tuple[Span, ...]:
        """All of it, up to now."""
        return (*self._spans, *([(self._since, now_ms)] if self._since is not None else []))


def watched_ms(spans: tuple[Span, ...], since_ms: int) -> int:
    """How long of the spans lies behind an instant."""
    return sum(max(0, end - max(start, since_ms)) for start, end in spans)
