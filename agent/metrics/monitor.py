"""What /healthz, /readyz and /metrics answer, whoever serves them: the local server or the little one of its own.

Where a question comes from this very machine it needs no key. A reverse proxy on it asks for others, so that what
carries its headers, or another Host than this machine, needs one all the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent import binding
from agent.config import secret
from agent.journal.schema import JournalError
from agent.metrics import health
from agent.metrics.health import Reason, RouteFact, UpstreamFact
from agent.metrics.settings import MetricsSettings
from agent.metrics.snapshot import History, Sample, samples
from drivers.values import dataclass

if TYPE_CHECKING:
    from agent.gateway import Gateway

PATHS = ("/healthz", "/readyz", "/metrics")
_JOURNAL_S = 5.0
# A proxy says so by one of these.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer over HTTP."""

    status: int
    content_type: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Beside type and length."""
        return {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks what. `headers` are lower case; `peer` is the other end's address. `is_owner`: by a key of theirs."""

    path: str
    headers: Mapping[str, str]
    peer: str
    is_owner: bool = False


class Monitor:
    """One per gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._settings = MetricsSettings()
        self._digest: bytes | None = None
        self._history = History()

    async def configure(self, settings: MetricsSettings) -> None:
        """Take the settings, and count from here on. Raises: ConfigError."""
        key = secret(settings.api_key, settings.api_key_file, "metrics.api_key")
        self._digest = None if key is None else _digest(key)
        self._settings = settings
        if settings.is_wanted:
            await self._history.begin(self._gateway)

    async def answer(self, question: Question) -> Answer:
        """Answer one GET. Never raises for what the gateway is in."""
        is_trusted = question.is_owner or is_this_machine(question) or self._has_key(question)
        if question.path == "/healthz":
            problem = await self.journal_problem()
            if problem is None:
                return _json(200, {"status": "ok"})
            return _json(503, {"status": "failed", **({"reason": problem} if is_trusted else {})})
        if question.path == "/readyz":
            found = await self.reasons()
            shown = [_shown(reason, with_sentence=is_trusted) for reason in found]
            return _json(503 if found else 200, {"status": "not ready" if found else "ready", "reasons": shown})
        if question.path != "/metrics" or not self._settings.is_wanted:
            return _json(404, {"message": "There is nothing here; metrics are switched on by [metrics]."})
        if not is_trusted:
            return _json(401, {"message": "Unauthenticated."})
        return await self._metrics()

    async def reasons(self) -> tuple[Reason, ...]:
        """Why messages do not flow now."""
        gateway = self._gateway
        problem = await self.journal_problem() or gateway.degraded
        if problem is None and not gateway.journal.has_reserve:
            problem = "the disk is full: nothing is accepted or sent until there is room again"
        upstreams = [look() for look in gateway.upstreams.values()]
        return health.reasons(
            [RouteFact(view.name, view.state, view.problem) for view in gateway.route_views()],
            [UpstreamFact(view.name, view.type, view.problem) for view in upstreams],
            problem,
        )

    async def journal_problem(self) -> str | None:
        """Whether reader and writer of the journal answer; asking writes nothing."""
        try:
            async with asyncio.timeout(_JOURNAL_S):
                await self._gateway.journal.probe()
        except TimeoutError:
            return f"the journal did not answer in {_JOURNAL_S:.0f} s"
        except JournalError as error:
            return str(error)
        return None

    async def _metrics(self) -> Answer:
        found = await samples(self._gateway, self._history, is_ready=not await self.reasons())
        return await asyncio.to_thread(_rendered, found)

    def _has_key(self, question: Question) -> bool:
        if self._digest is None:
            return False
        scheme, _, key = question.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(_digest(key.strip()), self._digest)


def is_this_machine(question: Question) -> bool:
    """Whether somebody on this machine asks for themselves."""
    name = question.headers.get("host", "").strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    return (
        binding.is_loopback(question.peer)
        and binding.is_loopback(name.rstrip("."))
        and not any(header in question.headers for header in _FORWARDED)
    )


def _rendered(found: list[Sample]) -> Answer:
    # Here, in a thread, at the first scrape: a megabyte that only those who want figures pay.
    from agent.metrics import exposition  # noqa: PLC0415

    return Answer(200, exposition.CONTENT_TYPE, exposition.render(found))


def _shown(reason: Reason, *, with_sentence: bool) -> dict[str, str | None]:
    shown = {"code": reason.code, "name": reason.name}
    return {**shown, "reason": reason.sentence} if with_sentence else shown


def _json(status: int, document: object) -> Answer:
    return Answer(status, _JSON, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
