"""The pace of the background, on a clock and a count of CPU time of the test's own."""

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.admission.background_pace import BackgroundPace


@dataclass
class Machine:
    """Two cores, on which a while passes whenever somebody sleeps."""

    use: float
    """CPU seconds that the gateway uses in each second."""
    now: float = 100.0
    cpu: float = 0.0
    held: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.now += seconds
        self.cpu += seconds * self.use

    def pace(self, share: float) -> BackgroundPace:
        """Return a pace on this machine."""
        return BackgroundPace(
            share,
            2,
            on_held=self.held.append,
            clock=lambda: self.now,
            cpu=lambda: self.cpu,
            sleep=self.sleep,
        )


@pytest.fixture
def busy() -> Machine:
    """A machine of which the gateway uses three quarters."""
    return Machine(use=1.5)


async def seconds_of_turns(machine: Machine, pace: BackgroundPace, turns: int) -> list[float]:
    """Seconds that each of so many turns took."""
    times = []
    for _ in range(turns):
        began = machine.now
        async with pace.turn():
            pass
        times.append(round(machine.now - began, 3))
    return times


async def test_there_is_no_pace_while_nobody_waits(busy: Machine):
    assert await seconds_of_turns(busy, busy.pace(0.5), 20) == [0] * 20
    assert busy.held == []


async def test_all_cores_keep_no_pace(busy: Machine):
    pace = busy.pace(1)
    async with pace.awaited():
        assert await seconds_of_turns(busy, pace, 20) == [0] * 20


async def test_beyond_its_share_the_background_is_held_back_but_never_for_ever(busy: Machine):
    pace = busy.pace(0.5)
    async with pace.awaited():
        times = await seconds_of_turns(busy, pace, 40)
    assert times[0] == 0.01  # a burst is at hand
    assert set(times[-10:]) == {0.25}
    assert sum(busy.held) == pytest.approx(sum(times))


async def test_below_its_share_the_background_goes_on_one_after_another(busy: Machine):
    busy.use = 0.9
    pace = busy.pace(0.5)
    async with pace.awaited():
        assert await seconds_of_turns(busy, pace, 100) == [0.01] * 100


async def test_a_burst_is_paid_back_by_waiting(busy: Machine):
    pace = busy.pace(0.5)
    async with pace.awaited():
        async with pace.turn():
            pass
        busy.cpu += 0.15
        busy.use = 0
        assert await seconds_of_turns(busy, pace, 3) == [0.06, 0.01, 0.01]


async def test_no_more_are_at_work_than_their_share_of_the_cores(busy: Machine):
    busy.use = 0
    pace = busy.pace(0.5)
    async with pace.awaited(), pace.turn():
        assert await seconds_of_turns(busy, pace, 1) == [0.25]  # waits, but not for ever
    async with pace.awaited():
        assert await seconds_of_turns(busy, pace, 1) == [0.01]


async def test_the_pace_ends_a_second_after_the_last_who_waited(busy: Machine):
    pace = busy.pace(0.5)
    async with pace.awaited():
        busy.now += 60
        assert await seconds_of_turns(busy, pace, 1) == [0.01]
    busy.now += 0.9
    assert await seconds_of_turns(busy, pace, 1) == [0.01]
    busy.now += 0.2
    assert await seconds_of_turns(busy, pace, 1) == [0]


async def test_turns_are_given_in_the_order_of_asking():
    machine = Machine(use=0)
    pace = machine.pace(0.5)
    order: list[int] = []

    async def ask(number: int) -> None:
        async with pace.turn():
            order.append(number)

    async with pace.awaited():
        await asyncio.gather(*(ask(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]
