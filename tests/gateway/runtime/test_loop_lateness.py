"""Tests of the time that a sender is waited for, less the event loop's lateness."""

import pytest

from gateway.runtime.loop_lateness import Step


def waited_s(grace_s: float, lateness_s: float) -> float:
    """Seconds until a sender is given up by a loop that is late by so much at each step."""
    now, due = 0.0, grace_s
    for _ in range(1000):
        step = Step.of(now, due)
        now = step.end + lateness_s
        due += step.excused_s(now)
        if due <= now:
            return now
    raise AssertionError


def test_a_loop_in_time_waits_for_the_grace_alone():
    assert waited_s(5.0, 0.0) == 5.0
    assert waited_s(5.0, 0.01) < 5.1


@pytest.mark.parametrize("grace_s", [0.05, 0.1, 0.26, 5.0, 10.0])
@pytest.mark.parametrize("lateness_s", [0.12, 0.4, 3.0])
def test_a_loop_that_is_always_late_waits_longer_and_not_for_ever(
    grace_s: float, lateness_s: float
):
    steps = grace_s / 0.2 + 3
    assert grace_s + lateness_s <= waited_s(grace_s, lateness_s)
    assert waited_s(grace_s, lateness_s) < grace_s + steps * (lateness_s + 0.05)


def test_a_time_that_is_over_is_looked_at_once_more():
    assert Step.of(10.0, 9.0) == (10.0, 10.0)


def test_time_in_which_the_loop_was_held_is_left_out():
    step = Step.of(0.0, 5.0)
    assert 5.0 + step.excused_s(5.05) > 5.05 + 4.5
