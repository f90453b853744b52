"""Turns of shadow models, on a clock of the test's own."""

from dataclasses import dataclass, field

import pytest

from gateway.admission.idle_turns import IdleTurns


@dataclass
class Machine:
    """A gateway with studies at work at these times."""

    busy: list[tuple[float, float]] = field(default_factory=list)
    now: float = 0.0

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.now += seconds

    def is_busy(self) -> bool:
        """Return whether a study is at work."""
        return any(begin <= self.now < end for begin, end in self.busy)

    def turns(self, share: float) -> IdleTurns:
        """Return turns on this machine."""
        return IdleTurns(self.is_busy, share, clock=lambda: self.now, sleep=self.sleep)


async def test_a_turn_comes_once_no_study_is_at_work_and_none_follows_it():
    machine = Machine(busy=[(0, 1), (1.05, 2)])
    async with machine.turns(1).turn():
        assert machine.now == pytest.approx(2.1, abs=0.05)


async def test_turns_take_their_share_of_the_time():
    machine = Machine()
    turns, at_work = machine.turns(0.1), 0.0
    for _ in range(20):
        async with turns.turn():
            machine.now += 0.2
            at_work += 0.2
    assert at_work / machine.now == pytest.approx(0.1, abs=0.02)


async def test_a_turn_that_fails_is_paid_for_as_well():
    machine = Machine()
    turns = machine.turns(0.1)

    async def fail() -> None:
        async with turns.turn():
            machine.now += 1
            raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        await fail()
    ended = machine.now
    async with turns.turn():
        assert machine.now - ended >= 9
