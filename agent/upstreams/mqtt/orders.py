"""What comes in by the broker: jobs, cancellations, releases, and what routes are to do.

Each message is acknowledged as soon as it is settled here: a job when it is in the journal, whatever becomes of it.
What has arrived together is accepted in one transaction.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from itertools import groupby

import structlog

from agent.gateway import Gateway
from agent.journal.acceptance import Acceptance
from agent.journal.store import JournalFull
from agent.model import Job
from agent.upstreams.mqtt import words
from drivers.mqtt import payloads
from drivers.mqtt.link import Link, PublishRefused, Received
from drivers.mqtt.payloads import BadJob, JobStatus, Status
from drivers.mqtt.topics import Topics

_log = structlog.get_logger("mqtt")

_FULL_PAUSE_S = 5.0
# A broker's repetition comes with the next connection; its sessions live for a week by default.
_REPEATED_WITHIN_MS = 30 * 86_400_000

Do = Callable[[str, bytes], Awaitable[str | None]]
"""Carries out what a route is to do, by the route's name and the payload; a sentence where it cannot."""


class Orders:
    """Of one upstream. `problem` is one sentence while nothing can be accepted."""

    def __init__(self, gateway: Gateway, name: str, own: Topics, do: Do, heard: Callable[[Received], None]) -> None:
        """`heard` is given what is for somebody else."""
        self.problem: str | None = None
        self.accepted = 0
        self.refused = 0
        self._gateway = gateway
        self._name = name
        self._topics = own
        self._do = do
        self._heard = heard

    async def serve(self, link: Link) -> None:
        """Take what comes until the link is lost. Raises: LinkDown, JournalError."""
        async with asyncio.TaskGroup() as group:
            while True:
                for is_job, messages in groupby(await link.received(), self._is_job):
                    await self._take(link, list(messages), group, is_job=is_job)

    async def _take(self, link: Link, messages: list[Received], group: asyncio.TaskGroup, *, is_job: bool) -> None:
        if is_job:
            await self._take_jobs(link, messages)
        else:
            for message in messages:
                await self._take_other(link, message, group)
        for message in messages:
            link.acknowledge(message)

    def _is_job(self, message: Received) -> bool:
        return message.topic == self._topics.send or self._topics.number_of(message.topic) is not None

    # --- jobs ---------------------------------------------------------------------------------------

    async def _take_jobs(self, link: Link, messages: Iterable[Received]) -> None:
        jobs: list[Job] = []
        answers: list[JobStatus] = []
        for message in messages:
            try:
                jobs.append(await self._job(message))
            except BadJob as error:
                self.refused += 1
                _log.warning("job_refused", upstream=self._name, topic=self._masked(message.topic), reason=str(error))
                answers.append(JobStatus(id=error.id, status=Status.FAILED, error=str(error)))
        if jobs:
            accepted = await self._accept(jobs)
            for job, result in zip(jobs, accepted, strict=True):
                if (answer := await self._answer(job, result)) is not None:
                    answers.append(answer)
        if answers:
            await asyncio.gather(*(self._tell(link, answer) for answer in answers))

    async def _job(self, message: Received) -> Job:
        number = self._topics.number_of(message.topic)
        order = payloads.job(message.payload) if number is None else payloads.plain_job(number, message.payload)
        if order.id is not None and not words.is_senders(order.id):
            raise BadJob('"id" may not begin with "~"', order.id)
        return words.job(order, order.id or await self._own_id(message))

    async def _own_id(self, message: Received) -> str:
        """An id for a job without one; the same again where the broker repeats it."""
        prefix = words.own_prefix(message.packet_id, message.topic, message.payload)
        if message.is_repeated:
            since_ms = self._gateway.clock.utc_ms() - _REPEATED_WITHIN_MS
            known = await self._gateway.newest_known(self._name, prefix, since_ms)
            if known is not None:
                return known
        return f"{prefix}{uuid.uuid4().hex[:16]}"

    async def _accept(self, jobs: list[Job]) -> list[Acceptance]:
        """Nothing is acknowledged while the disk is full, so the broker keeps it. Raises: JournalError."""
        while True:
            try:
                accepted = await self._gateway.accept(self._name, jobs)
            except JournalFull as error:
                self.problem = str(error)
                await asyncio.sleep(_FULL_PAUSE_S)
                continue
            self.problem = None
            self.accepted += sum(result.is_new for result in accepted)
            return accepted

    async def _answer(self, job: Job, result: Acceptance) -> JobStatus | None:
        """What a job that was known is told; one that is new is told of by the feed, in order."""
        if result.is_new:
            return None
        if result.message_id is not None:
            await self._gateway.tell_again(self._name, result.message_id)
            return None
        status = words.status(result.state, result.error)
        return JobStatus(id=job.remote_id, status=status, error=result.error)

    # --- what is not a job --------------------------------------------------------------------------

    async def _take_other(self, link: Link, message: Received, group: asyncio.TaskGroup) -> None:
        if message.topic in (self._topics.cancel, self._topics.release):
            is_release = message.topic == self._topics.release
            try:
                job_id = payloads.named_job(message.payload)
            except BadJob as error:
                await self._tell(link, JobStatus(id=error.id, status=Status.FAILED, error=str(error)))
                return
            answer = await self._take_back(job_id, is_release=is_release)
            if answer is not None:
                await self._tell(link, answer)
            return
        route = self._topics.route_of(message.topic)
        if route is None:
            self._heard(message)
        else:
            # USSD and a restart take minutes; jobs do not wait for them.
            group.create_task(self._carry_out(route, message.payload), name=f"{self._name} order")

    async def _carry_out(self, route: str, payload: bytes) -> None:
        sentence = await self._do(route, payload)
        if sentence is not None:
            _log.warning("order_refused", upstream=self._name, route=route, reason=sentence)

    async def _take_back(self, job_id: str, *, is_release: bool) -> JobStatus | None:
        """Cancel what is untried. A job that never came is not taken any more, should it still be on its way."""
        why = words.RELEASED if is_release else words.CANCELLED
        known = (await self._gateway.known(self._name, [job_id])).get(job_id)
        if known is None:
            if await self._gateway.forestall(self._name, job_id, why=why):
                return JobStatus(id=job_id, status=Status.RELEASED if is_release else Status.CANCELLED, error=why)
            known = (await self._gateway.known(self._name, [job_id]))[job_id]
        if known.message_id is None:
            return JobStatus(id=job_id, status=words.status(known.state, known.error), error=known.error)
        if not await self._gateway.cancel(known.message_id, why=why, forbids_resend=not is_release):
            await self._gateway.tell_again(self._name, known.message_id)
        return None

    async def _tell(self, link: Link, answer: JobStatus) -> None:
        try:
            await link.publish(self._topics.status, answer.encode())
        except PublishRefused as error:
            _log.warning("status_refused", upstream=self._name, reason=str(error))

    def _masked(self, topic: str) -> str:
        """Without the number that may stand in it."""
        return topic if self._topics.number_of(topic) is None else f"{self._topics.send}/…"
