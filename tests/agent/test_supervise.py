"""Pieces run again after a fault, and end when they are told to, whatever happens at that moment."""

from __future__ import annotations

import asyncio

import pytest

from agent import supervise


async def test_a_piece_that_fails_runs_again_and_its_fault_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "backoff_s", lambda _: 0.0)
    told: list[str] = []
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise OSError(f"fault {runs}")
        await asyncio.Event().wait()

    task = asyncio.create_task(supervise.keep_running("piece", run, on_fault=told.append))
    async with asyncio.timeout(10):
        while runs < 3:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
    assert told == ["OSError: fault 1", "OSError: fault 2"]


async def test_a_piece_whose_child_fails_in_the_moment_it_is_cancelled_ends() -> None:
    fails, told = asyncio.Event(), list[str]()

    async def child() -> None:
        await fails.wait()
        raise OSError("in that very moment")

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    task = asyncio.create_task(supervise.keep_running("piece", run, on_fault=told.append))
    await asyncio.sleep(0.01)
    fails.set()
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
    assert told == []


async def test_faults_of_children_leave_no_mark_on_who_goes_on_after_them() -> None:
    async def child() -> None:
        raise OSError("after a while")

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    with pytest.raises(ExceptionGroup):
        await supervise.live(work())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    with pytest.raises(TimeoutError):  # in CPython 3.11.2, behind such a mark, it is a cancellation
        async with asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_what_takes_a_while_to_end_has_ended_before_who_waits_for_it() -> None:
    has_ended = False

    async def work() -> None:
        nonlocal has_ended
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            has_ended = True

    task = asyncio.create_task(supervise.live(work()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
    assert has_ended
