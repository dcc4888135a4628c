"""Memory of the process that nobody uses goes back to the system. glibc alone can; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import gc

# malloc.h; each thread beyond has a heap of its own otherwise, which keeps what it once had.
_M_ARENA_MAX = -8


def share_one_heap() -> None:
    """One heap for all threads, which wait for each other anyway: saves 1.5 MB. Call before there are threads."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def hold() -> None:
    """Collect nothing while a program starts: nearly all that it makes stays, and looking at it again and again is a
    tenth of the time."""
    gc.disable()


def settle() -> None:
    """Once it has started: what is there is left out of all later collections. Only behind `hold`.

    What little of it is garbage (0.1 MB) stays: to look for it would hold up everything for a twentieth of a second.
    """
    if gc.isenabled():
        return
    gc.freeze()
    gc.enable()
    give_back()


def give_back() -> None:
    """What is free goes back: some ms on a small box, so not for the event loop's thread."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def tidy() -> None:
    """The same behind a collection, for when much was imported or compiled. While a program starts, that is left to
    `settle`."""
    if not gc.isenabled():
        return
    gc.collect()
    give_back()
