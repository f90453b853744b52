"""Studies take turns by lane in the pipeline, whichever way they came in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.gateway.studies.piped import Parts, piped, routing
from tests.support.gateway import until
from tests.support.inference import ScriptedTriton, brightness, serving
from tests.support.models import flat_png
from tests.support.store import MemoryStore

RULES = [
    {"name": lane, "when": {"field": "metadata.study_id", "glob": f"{lane}-*"}, "lane": lane}
    for lane in ("stat", "research")
]


class Held:
    """A scripted Triton whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.triton = ScriptedTriton()
        self.asked = 0
        self._free = asyncio.Semaphore(0)

    def hold(self) -> None:
        """Answer nothing more at once."""
        self.triton.infer = self._infer

    async def _infer(self, _request: Any, _context: Any) -> Any:
        self.asked += 1
        await self._free.acquire()
        return brightness()

    def answer(self, count: int = 1) -> None:
        for _ in range(count):
            self._free.release()


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
async def parts(held: Held) -> AsyncIterator[Parts]:
    """A pipeline that has two turns."""
    routes = routing(*RULES, otherwise={})
    async with serving(held.triton) as url, piped(url, MemoryStore(), routes) as parts:
        held.hold()
        yield parts


async def test_an_urgent_study_waits_behind_no_queue_of_research(held: Held, parts: Parts):
    def read(study_id: str, level: int, *, awaited: bool) -> asyncio.Task[Any]:
        reading = parts.read(flat_png(level), awaited=awaited, study_id=study_id)
        return asyncio.create_task(reading)

    trial = [read(f"research-{n}", n, awaited=n % 2 == 0) for n in range(6)]
    await until(lambda: held.asked == 2)
    urgent = read("stat-1", 100, awaited=True)
    await until(lambda: held.asked == 3)
    held.answer(2)
    await until(lambda: sum(task.done() for task in trial) == 2)
    assert held.asked == 3  # nothing more of the trial begins beside it
    held.answer()
    await urgent
    held.answer(4)
    await asyncio.gather(*trial)


async def test_an_ordinary_study_waits_for_no_turn_of_research(held: Held, parts: Parts):
    trial = [
        asyncio.create_task(parts.read(flat_png(n), study_id=f"research-{n}")) for n in range(3)
    ]
    await until(lambda: held.asked == 2)
    ward = [asyncio.create_task(parts.read(flat_png(50 + n), study_id=f"W{n}")) for n in range(4)]
    await until(lambda: held.asked == 6)
    held.answer(7)
    await asyncio.gather(*trial, *ward)
