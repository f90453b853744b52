"""What work in a thread gives to the task that asked for it, and to one that has gone."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.runtime.threads import in_thread


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


async def test_work_is_done_in_the_thread_and_its_result_comes_back(thread: ThreadPoolExecutor):
    assert await in_thread(thread, threading.get_ident) != threading.get_ident()


async def test_what_the_work_raises_is_raised_to_its_caller(thread: ThreadPoolExecutor):
    with pytest.raises(ZeroDivisionError):
        await in_thread(thread, lambda: 1 / 0)


async def test_the_loop_goes_on_while_the_work_waits(thread: ThreadPoolExecutor):
    waited_for = threading.Event()
    answer = in_thread(thread, waited_for.wait)
    waited_for.set()
    assert await answer


@pytest.mark.parametrize("fault", [None, ValueError])
async def test_what_comes_for_a_caller_that_has_gone_is_dropped(
    thread: ThreadPoolExecutor, fault: type[Exception] | None
):
    begun, waited_for = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        waited_for.wait()
        if fault is not None:
            raise fault

    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    answer = in_thread(thread, work)
    await asyncio.to_thread(begun.wait)
    answer.cancel()
    waited_for.set()
    # The thread is free again, and what it gave to the loop before came first.
    assert await in_thread(thread, lambda: "next") == "next"
    assert answer.cancelled()
    assert faults == []


async def test_work_whose_caller_goes_before_it_begins_is_not_done(thread: ThreadPoolExecutor):
    waited_for, done = threading.Event(), []
    first = in_thread(thread, waited_for.wait)
    second = in_thread(thread, lambda: done.append("second"))
    second.cancel()
    waited_for.set()
    await first
    await in_thread(thread, lambda: done.append("third"))
    assert done == ["third"]
