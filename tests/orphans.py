"""No process of a test outlives the test, however that ends. Linux alone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl.h


def end_with_parent() -> None:
    """From now on this process is killed when the thread that started it ends: a run that was killed must leave no
    daemon behind, which would ask at the ports of the next one."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent ended")
