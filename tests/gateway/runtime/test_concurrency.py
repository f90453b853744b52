"""Things side by side, and what becomes of the rest when one fails."""

import asyncio

import pytest

from gateway.runtime.concurrency import first_of, to_its_end, together


class FirstError(Exception):
    pass


async def value(number: int, after: asyncio.Event | None = None) -> int:
    if after is not None:
        await after.wait()
    return number


async def test_results_come_in_the_order_of_the_coroutines():
    gate = asyncio.Event()

    async def opens() -> int:
        gate.set()
        return 2

    assert await together([value(1, gate), opens(), value(3)]) == [1, 2, 3]
    assert await together([]) == []


async def test_first_error_is_raised_bare_and_stops_the_rest():
    stopped = asyncio.Event()

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def fails() -> None:
        raise FirstError

    with pytest.raises(FirstError):
        await together([long(), fails()])
    assert stopped.is_set()


async def test_cancelling_the_whole_cancels_every_part():
    started, stopped = asyncio.Barrier(3), []

    async def long(name: str) -> None:
        await started.wait()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(name)

    task = asyncio.create_task(together([long("a"), long("b")]))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert sorted(stopped) == ["a", "b"]


async def test_error_of_a_nested_group_comes_out_bare():
    async def fails() -> None:
        raise FirstError

    async def nested() -> None:
        await together([fails(), asyncio.Event().wait()])

    with pytest.raises(FirstError):
        await together([nested()])


async def test_cancellation_is_not_lost_to_an_error_of_the_same_moment():
    begun = asyncio.Event()

    async def fails_when_cancelled() -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            raise OSError

    task = asyncio.create_task(together([fails_when_cancelled()]))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_must_end_ends_though_whoever_waits_is_cancelled():
    steps: list[str] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        steps.append("done")

    async def waiting() -> None:
        try:
            await to_its_end(work())
        finally:
            steps.append("left")

    waiter = asyncio.create_task(waiting())
    await begun.wait()
    waiter.cancel()
    await asyncio.sleep(0)
    assert steps == []
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert steps == ["done", "left"]
    assert await to_its_end(asyncio.sleep(0, "result")) == "result"


async def test_the_first_of_several_events_is_enough():
    early, late = asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(first_of(early, late))
    await asyncio.sleep(0)
    assert not waiting.done()
    late.set()
    await waiting
    assert not early.is_set()


async def test_events_are_not_waited_for_beyond_the_time():
    await first_of(asyncio.Event(), timeout_s=0.01)
