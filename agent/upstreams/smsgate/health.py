"""The health document of a ping, in SMSGate's form. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from agent import __version__

PASS, WARN, FAIL = "pass", "warn", "fail"


class Failures(Protocol):
    """Sums of a span of time."""

    @property
    def sent(self) -> int: ...
    @property
    def failed(self) -> int: ...


def health(routes_with_service: int, routes: Sequence[str], figures: Failures) -> dict[str, Any]:
    """`routes` names all routes; figures are of today."""
    status = FAIL if figures.failed and not figures.sent else WARN if figures.failed else PASS
    connected = PASS if routes_with_service == len(routes) else WARN if routes_with_service else FAIL
    checks = {
        "messages:failed": _check(status, figures.failed, "messages", "Messages that failed today"),
        "connection:status": _check(connected, int(routes_with_service > 0), "boolean", "A SIM is in its network"),
        "modems:registered": _check(connected, routes_with_service, "modems", f"Of {len(routes)} modems in a network"),
    }
    worst = max((check["status"] for check in checks.values()), key=(PASS, WARN, FAIL).index)
    return {"status": worst, "version": __version__, "releaseId": _release(__version__), "checks": checks}


def _check(status: str, value: int, unit: str, description: str) -> dict[str, Any]:
    return {"status": status, "observedValue": value, "observedUnit": unit, "description": description}


def _release(version: str) -> int:
    """A number that grows with the version, as the app's build number does."""
    parts = [int(part) if part.isdigit() else 0 for part in version.split(".")[:3]]
    number = 0
    for part in [*parts, 0, 0, 0][:3]:
        number = number * 1000 + part
    return number
