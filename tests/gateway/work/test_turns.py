"""Turns of work: the urgent lane first, and within a lane one sender after another.

Steps of studies are kept from a lane while a more urgent study is under way.
"""

import asyncio
import random

import pytest

from gateway.schemas.routing_rules import Lane
from gateway.work.turns import Steps, StudyTurns, Turns
from tests.support.gateway import until


class Line:
    """Work that waits for its turns, all of which are taken until `end`."""

    def __init__(self, at_once: int = 1, turns: Turns | None = None) -> None:
        self.turns = turns or Turns(at_once)
        self.served: list[str] = []
        self.gates: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def add(self, name: str, lane: Lane = Lane.ROUTINE, sender: str = "") -> None:
        """Let it stand in the line."""
        self.tasks.append(asyncio.create_task(self._work(name, lane, sender)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _work(self, name: str, lane: Lane, sender: str) -> None:
        async with self.turns.turn(lane, sender):
            self.served.append(name)
            gate = asyncio.Event()
            self.gates.append(gate)
            await gate.wait()

    async def end(self) -> list[str]:
        """Let all come to their ends, one after another; return them in their order."""
        while not all(task.done() for task in self.tasks):
            if self.gates:
                self.gates.pop(0).set()
            await asyncio.sleep(0)
        return self.served


async def test_a_free_turn_goes_to_the_most_urgent_lane_that_waits():
    line = Line()
    for name, lane in (
        ("first", Lane.RESEARCH),
        ("trial", Lane.RESEARCH),
        ("ward", Lane.ROUTINE),
        ("emergency", Lane.STAT),
        ("other", Lane.ROUTINE),
    ):
        await line.add(name, lane)
    assert await line.end() == ["first", "emergency", "ward", "other", "trial"]


async def test_senders_of_a_lane_take_turns():
    line = Line()
    for number in range(4):
        await line.add(f"flood {number}", sender="flood")
    await line.add("a 0", sender="a")
    await line.add("a 1", sender="a")
    await line.add("b 0", sender="b")
    assert await line.end() == [
        *("flood 0", "a 0", "b 0"),
        *("flood 1", "a 1"),
        *("flood 2", "flood 3"),
    ]


async def test_a_sender_that_was_away_gets_no_turns_for_that():
    line = Line()
    for number in range(3):
        await line.add(f"flood {number}", sender="flood")
    while len(line.served) < 3:
        if line.gates:
            line.gates.pop(0).set()
        await asyncio.sleep(0)
    for number in range(3, 5):
        await line.add(f"flood {number}", sender="flood")
    for number in range(3):
        await line.add(f"late {number}", sender="late")
    assert (await line.end())[3:] == ["late 0", "flood 3", "late 1", "flood 4", "late 2"]


async def test_as_many_have_turns_as_there_are():
    line = Line(at_once=3)
    for number in range(5):
        await line.add(str(number))
    assert line.served == ["0", "1", "2"]
    assert len(await line.end()) == 5


@pytest.mark.parametrize("seed", range(20))
async def test_no_turn_is_lost_to_what_gives_up(seed: int):
    rng = random.Random(seed)  # noqa: S311
    line = Line(at_once=2)
    for number in range(30):
        await line.add(str(number), rng.choice(list(Lane)), rng.choice("ab"))
        match rng.randrange(3):
            case 0 if line.gates:
                line.gates.pop(rng.randrange(len(line.gates))).set()
            case 1:
                rng.choice(line.tasks).cancel()
    await asyncio.sleep(0)
    line.tasks = [task for task in line.tasks if not task.cancelled()]
    await line.end()
    before = len(line.served)
    await line.add("last 0")
    await line.add("last 1")
    assert line.served[before:] == ["last 0", "last 1"]
    await line.end()


async def test_the_most_urgent_lane_has_a_turn_beyond_those_of_the_others():
    line = Line(at_once=2)
    for number in range(3):
        await line.add(f"ward {number}")
    await line.add("emergency", Lane.STAT)
    await line.add("second emergency", Lane.STAT)
    assert line.served == ["ward 0", "ward 1", "emergency"]
    assert (await line.end())[3:] == ["second emergency", "ward 2"]


class Clock:
    """Tells the time that it is given."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_steps_of_research_leave_no_long_queue_before_a_model():
    line = Line(turns=Steps(2))
    for number in range(3):
        await line.add(f"trial {number}", Lane.RESEARCH)
    for number in range(3):
        await line.add(f"ward {number}")
    assert line.served == ["trial 0", "trial 1", "ward 0", "ward 1", "ward 2"]
    await line.end()


@pytest.mark.parametrize(("cores", "beside"), [(1, 0), (2, 0), (3, 1), (8, 6)])
async def test_steps_beside_an_urgent_study_leave_two_free(cores: int, beside: int):
    steps = Steps(cores)
    line = Line(turns=steps)
    with steps.under_way(Lane.STAT):
        for number in range(10):
            await line.add(f"ward {number}")
        assert len(line.served) == beside
        await line.add("emergency", Lane.STAT)
        assert line.served[beside:] == ["emergency"]
    await until(lambda: len(line.served) == 11)
    await line.end()


async def test_a_lane_that_is_kept_back_has_a_step_now_and_then():
    clock = Clock()
    steps = Steps(2, clock=clock)
    line = Line(turns=steps)
    with steps.under_way(Lane.STAT):
        await line.add("ward 0")
        clock.now += 1.9
        await line.add("ward 1")
        assert line.served == []
        clock.now += 0.2
        await line.add("ward 2")
        assert line.served == ["ward 0"]
        clock.now += 2.1
        await line.add("ward 3")
        assert line.served == ["ward 0", "ward 1"]
    await until(lambda: len(line.served) == 4)
    await line.end()


async def test_a_lane_that_is_kept_back_needs_nobody_to_look_again(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("gateway.work.turns._MOST_S", 0.05)
    steps = Steps(2)
    line = Line(turns=steps)
    with steps.under_way(Lane.ROUTINE):
        for number in range(2):
            await line.add(f"trial {number}", Lane.RESEARCH)
        await until(lambda: len(line.served) == 2)
    await line.end()


async def test_an_accepted_study_is_under_way_while_it_waits_for_its_turn():
    steps = Steps(2)
    line, research = Line(turns=StudyTurns(1, steps)), Line(turns=steps)
    await line.add("first emergency", Lane.STAT)
    await line.add("second emergency", Lane.STAT)
    await line.add("third emergency", Lane.STAT)
    line.gates.pop(0).set()
    await until(lambda: len(line.served) == 3)
    await research.add("trial", Lane.RESEARCH)
    assert research.served == []
    await line.end()
    await until(lambda: research.served == ["trial"])
    await research.end()
