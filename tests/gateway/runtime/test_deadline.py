"""The time a request has left."""

import asyncio
import time

import pytest

from gateway.errors import DeadlineExceededError
from gateway.runtime.deadline import Deadline


def test_time_left_falls_and_is_never_negative():
    deadline = Deadline.after(100)
    first = deadline.remaining_s()
    assert 0 < deadline.remaining_s() <= first <= 100
    assert Deadline.after(-1).remaining_s() == 0
    assert Deadline(time.monotonic()).remaining_s() == 0


async def test_block_that_outlasts_it_is_cancelled_and_named():
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(DeadlineExceededError) as caught:
        async with Deadline.after(0.01).bounds("decode"):
            await work()
    assert caught.value.stage == "decode"
    assert cancelled.is_set()


async def test_block_within_it_is_left_alone():
    async with Deadline.after(100).bounds("decode"):
        await asyncio.sleep(0)


async def test_time_out_of_the_blocks_own_is_not_the_deadlines():
    with pytest.raises(TimeoutError):
        async with Deadline.after(100).bounds("decode"):
            raise TimeoutError


async def test_cancellation_from_outside_stays_a_cancellation():
    entered = asyncio.Event()

    async def work() -> None:
        async with Deadline.after(100).bounds("decode"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_inner_deadline_names_its_own_stage():
    with pytest.raises(DeadlineExceededError) as caught:
        async with Deadline.after(100).bounds("study"), Deadline.after(0.01).bounds("decode"):
            await asyncio.Event().wait()
    assert caught.value.stage == "decode"
