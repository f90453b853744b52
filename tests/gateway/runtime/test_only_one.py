"""Turns of several processes: one at a time, and one for all that waited."""

import asyncio
import sys
from pathlib import Path

import pytest

from gateway.runtime.only_one import OnlyOne

_HOLDER = """
import asyncio, sys
from pathlib import Path
from gateway.runtime.only_one import OnlyOne

async def hold():
    async with OnlyOne(Path(sys.argv[1])).turn("model"):
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


async def test_those_who_wait_find_that_the_turn_was_used(tmp_path: Path):
    told: list[bool] = []
    begun = asyncio.Event()

    async def waiting() -> None:
        await begun.wait()
        async with OnlyOne(tmp_path).turn("model") as is_ours:
            told.append(is_ours)

    others = [asyncio.create_task(waiting()) for _ in range(2)]
    async with OnlyOne(tmp_path).turn("model") as is_ours:
        assert is_ours
        begun.set()
        await asyncio.sleep(0.01)
        assert told == []
    await asyncio.gather(*others)
    assert told == [False, False]


async def test_a_turn_that_begins_later_is_used_anew(tmp_path: Path):
    for _ in range(2):
        async with OnlyOne(tmp_path).turn("model") as is_ours:
            assert is_ours
        async with OnlyOne(tmp_path).turn("another") as is_ours:
            assert is_ours


async def test_a_turn_that_failed_was_not_used(tmp_path: Path):
    begun = asyncio.Event()

    async def waiting() -> bool:
        await begun.wait()
        async with OnlyOne(tmp_path).turn("model") as is_ours:
            return is_ours

    async def failing() -> None:
        async with OnlyOne(tmp_path).turn("model"):
            begun.set()
            await asyncio.sleep(0.01)
            raise OSError("the reload failed")

    other = asyncio.create_task(waiting())
    with pytest.raises(OSError, match="reload"):
        await failing()
    assert await other


async def test_a_process_that_is_killed_has_no_turn_any_more(tmp_path: Path):
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HOLDER, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"

    async def waiting() -> bool:
        async with OnlyOne(tmp_path).turn("model") as is_ours:
            return is_ours

    other = asyncio.create_task(waiting())
    await asyncio.sleep(0.1)
    assert not other.done()
    holder.kill()
    assert await other
    await holder.wait()
