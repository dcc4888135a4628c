"""What becomes of a job before the journal sees it: checked, given a route, planned in parts, or refused for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agent import numbers
from agent.chooser import Chooser, Conditions
from agent.failover import Failover
from agent.journal import feeds, routing
from agent.journal.acceptance import PreparedJob
from agent.journal.store import Journal
from agent.model import MAX_PRIORITY, MIN_PRIORITY, Job
from agent.settings import AgentSettings
from drivers.api import PlannedPart, PlanOptions

# Jobs that are planned between two looks at the lines.
_BREATH = 20


class Preparation:
    """One per gateway. Keeps in memory what each batch needs of the journal, so that a job on its way to an idle line
    waits for no reading."""

    def __init__(
        self, journal: Journal, chooser: Chooser, failover: Failover, settings: Callable[[], AgentSettings]
    ) -> None:
        self._journal = journal
        self._chooser = chooser
        self._failover = failover
        self._settings = settings
        self._slots: dict[str, int | None] = {}
        self._born_ms: int | None = None

    def slot_is(self, upstream: str, slot: int | None) -> None:
        """Say that the journal has a (new) default slot for an upstream."""
        self._slots[upstream] = slot

    async def prepare(self, upstream: str, jobs: Sequence[Job]) -> list[PreparedJob]:
        """One for each job, in their order."""
        slot, born_ms = await self._kept(upstream)
        dialled = [self._dialable(job) for job in jobs]
        conditions = await self._chooser.conditions([number for number, _ in dialled])
        prepared: list[PreparedJob] = []
        for job, address in zip(jobs, dialled, strict=True):
            prepared.append(self._prepare(job, address, slot, born_ms, conditions))
            if not len(prepared) % _BREATH:
                # Thousands of long texts at once take seconds on a small machine: the lines must not wait for them.
                await asyncio.sleep(0)
        return prepared

    async def _kept(self, upstream: str) -> tuple[int | None, int]:
        """Its default slot, and when the journal was born."""
        if self._born_ms is None or upstream not in self._slots:
            row, born_ms = await self._journal.read(lambda con: (feeds.upstream(con, upstream), routing.born_ms(con)))
            self._born_ms = born_ms
            # What was said meanwhile is newer.
            self._slots.setdefault(upstream, row.default_sim_slot)
        return self._slots[upstream], self._born_ms

    def _dialable(self, job: Job) -> tuple[str, str | None]:
        """The number as it goes on the air, and why it cannot be sent to."""
        try:
            number = numbers.dialable(job.recipient, self._settings().default_region)
        except numbers.NotDialable as error:
            return job.recipient.strip()[:40], str(error)
        return number, self._chooser.refusal(number)

    def _prepare(
        self, job: Job, dialled: tuple[str, str | None], slot: int | None, born_ms: int, conditions: Conditions
    ) -> PreparedJob:
        number, failure = dialled
        failure = job.refusal or failure
        if not failure and not job.text and job.data is None:
            failure = "the text is empty"
        if not failure and not MIN_PRIORITY <= job.priority <= MAX_PRIORITY:
            failure = f"priority {job.priority} is not between {MIN_PRIORITY} and {MAX_PRIORITY}"
        route, parts, is_free = "", tuple[PlannedPart, ...](), False
        if not failure and job.device is not None and job.route is None:
            route = f"@{job.device}"
            # A remote agent plans for itself.
            if job.details:
                failure = "a remote device carries plain texts only: no flash, no data and no port"
            parts = (PlannedPart("text", job.text.encode()),)
        elif not failure:
            chosen = self._chooser.choose(job, number, slot, conditions)
            failure, is_free = chosen.failure, chosen.is_free
            if not failure:
                options = PlanOptions(recipient=number, is_flash=job.is_flash, port=job.port, data=job.data)
                route, parts, failure = self._failover.planned(job.text, chosen.names, options=options)
        limit_ms = self._settings().max_backlog_age_h * 3_600_000
        is_held = failure is None and job.created_ms is not None and job.created_ms < born_ms - limit_ms
        return PreparedJob(job, number, route, parts, failure, is_held, is_free)
