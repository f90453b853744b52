"""A guarded process: its output, its end in order and by force. A shell stands for Triton."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from gateway.triton.embedded.folder import TritonFolder
from gateway.triton.embedded.log import TritonLogLine
from gateway.triton.embedded.process import GuardedProcess
from gateway.triton.embedded.runtime import find_runtime
from tests.support.gateway import until

Spawn = Callable[..., Awaitable[GuardedProcess]]


@pytest.fixture
async def spawn() -> AsyncIterator[Spawn]:
    """Start a program of the shell; it is ended at the end."""
    folder = TritonFolder(find_runtime())
    async with AsyncExitStack() as stack:
        stack.callback(folder.remove)

        async def start(
            program: str, lines: list[TritonLogLine], *, grace_s: float = 30
        ) -> GuardedProcess:
            process = await GuardedProcess.spawn(
                ["/bin/bash", "-c", program],
                environment={},
                folder=folder,
                grace_s=grace_s,
                on_log=lines.append,
            )
            stack.push_async_callback(process.kill)
            return process

        yield start


async def test_output_is_told_line_by_line_and_the_last_of_it_kept(spawn: Spawn):
    lines: list[TritonLogLine] = []
    process = await spawn("for i in $(seq 40); do echo line $i; done >&2; exit 3", lines)
    assert await process.wait() == 3
    assert [line.message for line in lines] == [f"line {i}" for i in range(1, 41)]
    assert process.log_tail == tuple(f"line {i}" for i in range(11, 41))


async def test_a_line_without_an_end_in_sight_is_dropped(spawn: Spawn):
    lines: list[TritonLogLine] = []
    process = await spawn("head -c 3000000 /dev/zero; echo; echo after", lines)
    assert await process.wait() == 0
    assert lines[-1].message == "after"
    assert max(len(line.message) for line in lines) < 2**20


async def test_a_process_is_asked_to_end_and_waited_for(spawn: Spawn):
    lines: list[TritonLogLine] = []
    process = await spawn(
        "trap 'echo ending; exit 0' TERM; echo started; while true; do sleep 0.01; done", lines
    )
    await until(lambda: bool(lines))
    await process.stop()
    assert await process.wait() == 0
    assert [line.message for line in lines] == ["started", "ending"]


async def test_a_process_that_does_not_end_within_the_grace_is_killed(spawn: Spawn):
    lines: list[TritonLogLine] = []
    process = await spawn(
        "trap '' TERM; echo started; while true; do sleep 0.01; done", lines, grace_s=0.1
    )
    await until(lambda: bool(lines))
    await process.stop()
    assert await process.wait() == 128 + 9


async def test_a_process_that_is_killed_is_gone_at_once_and_may_be_ended_again(spawn: Spawn):
    lines: list[TritonLogLine] = []
    process = await spawn("echo started; sleep 600", lines)
    await until(lambda: bool(lines))
    async with asyncio.timeout(30):  # of a grace of as many seconds nothing is waited for
        await process.kill()
    assert await process.wait() == 128 + 9
    await process.stop()
