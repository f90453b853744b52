"""The work of a process runs on libuv's event loop."""

import asyncio
import os
import signal

import pytest
import uvloop

from gateway.app.event_loop import run, stop_signals


def test_the_result_is_returned_from_libuvs_loop():
    async def work() -> bool:
        return isinstance(asyncio.get_running_loop(), uvloop.Loop)

    assert run(work())


def test_a_fault_is_passed_on():
    async def work() -> bool:
        raise OSError("of the work")

    with pytest.raises(OSError, match="of the work"):
        run(work())


def test_signals_are_told_and_not_raised():
    told: list[str] = []

    async def work() -> bool:
        with stop_signals(lambda: told.append("signal")):
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.05)
        return True

    assert run(work())
    assert told == ["signal", "signal"]
