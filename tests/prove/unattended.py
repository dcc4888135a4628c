"""`make prove WHAT=unattended`: left alone for a year. Each promise as a check; exits 1 on a miss."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import MappingProxyType

import structlog

from tests.prove import alarms, doctors, idling, package, reloads, runner, unattended_limits, week
from tests.prove.unattended_data import prove_backup, prove_kills, prove_retention

CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {
        "package": package.prove,
        "reload": reloads.prove,
        "doctor": doctors.prove,
        "idle": idling.prove,
        "alerts": alarms.prove,
        "limits": unattended_limits.prove,
        "retention": prove_retention,
        "backup": prove_backup,
        "data_kills": prove_kills,
        "week": week.prove,
    }
)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(runner.main(__doc__, CHECKS))
