"""The work of a process runs on libuv's event loop."""

import asyncio

import pytest
import uvloop

from gateway.app.event_loop import run


def test_the_result_is_returned_from_libuvs_loop():
    async def work() -> bool:
        return isinstance(asyncio.get_running_loop(), uvloop.Loop)

    assert run(work())


def test_a_fault_is_passed_on():
    async def work() -> bool:
        raise OSError("of the work")

    with pytest.raises(OSError, match="of the work"):
        run(work())
