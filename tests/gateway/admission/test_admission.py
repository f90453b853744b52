"""What is taken on at once, and what is refused: nothing stays held when a visit ends."""

import asyncio
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission
from gateway.errors import OverloadedError, TooManyPicturesError
from gateway.observability.metrics import Metrics


class Watched(Admission):
    """With a look at the metrics."""

    def __init__(self, *, bytes_limit: int = 1000, studies_limit: int = 4) -> None:
        self.metrics = Metrics(CollectorRegistry())
        super().__init__(
            bytes_limit=bytes_limit,
            studies_limit=studies_limit,
            pictures_limit=4,
            metrics=self.metrics,
        )

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"radstream_{name}", labels)

    def rejected(self, reason: str) -> float | None:
        return self.metric("admission_rejected_total", reason=reason)


def test_what_is_held_is_shown_beside_its_limit_and_given_back():
    admission = Watched()
    with admission.slot("a") as slot:
        slot.hold_bytes(100)
        slot.hold_bytes(300)
        slot.hold_bytes(200)
        slot.take()
        assert admission.metric("admitted_bytes") == 300
        assert admission.metric("admitted_studies") == 1
    assert admission.metric("admitted_bytes") == admission.metric("admitted_studies") == 0
    assert admission.metric("admission_limit_bytes") == 1000
    assert admission.metric("admission_limit_studies") == 4


def test_pictures_are_bounded_by_themselves_and_in_shares():
    admission = Watched()
    with ExitStack() as stack:
        for caller in ("a", "a", "b"):
            stack.enter_context(admission.picture(caller))
        for caller in ("a", "b"):
            with pytest.raises(TooManyPicturesError), admission.picture(caller):
                pass
        with admission.picture("c"), admission.slot("a") as slot:
            slot.take()  # no study pays for them
        assert admission.rejected("pictures") == 2
    with admission.picture("a"), admission.picture("a"):
        pass


def test_what_was_held_comes_back_from_an_error_too():
    admission = Watched()

    def work() -> None:
        with admission.slot("a") as slot:
            slot.take()
            slot.hold_bytes(500)
            slot.hold_bytes(1001)

    with pytest.raises(OverloadedError):
        work()
    assert admission.metric("admitted_bytes") == admission.metric("admitted_studies") == 0
    assert admission.rejected("bytes") == 1


@pytest.mark.parametrize("beside", [0, 300])
def test_what_grows_may_become_as_large_as_what_is_taken_at_once(beside: int):
    """A body without Content-Length is no other body."""
    admission = Watched()
    with admission.slot("b") as other:
        other.hold_bytes(beside)
        with admission.slot("a") as whole:
            whole.hold_bytes(1000 - beside)
        with admission.slot("a") as growing:
            for size in range(100, 1001 - beside, 100):
                growing.hold_bytes(size)
            with pytest.raises(OverloadedError, match="bytes"):
                growing.hold_bytes(1001 - beside)
        # Of one caller two: the second has what its share leaves, in one piece or in many.
        with admission.slot("a") as first, admission.slot("a") as second:
            first.hold_bytes(200)
            room = 1000 - beside - 2 * 200
            with pytest.raises(OverloadedError, match="caller"):
                second.hold_bytes(room + 1)
            for size in range(100, room + 1, 100):
                second.hold_bytes(size)
            with pytest.raises(OverloadedError, match="caller"):
                second.hold_bytes(room + 1)
    assert admission.metric("admitted_bytes") == 0


def test_a_caller_beyond_its_share_is_told_from_a_gateway_that_is_full():
    admission = Watched()
    with admission.slot("a") as one, admission.slot("a") as two, admission.slot("a") as three:
        one.take()
        two.take()
        with pytest.raises(OverloadedError, match="caller"):
            three.check()
        with admission.slot("b") as other, admission.slot("c") as last:
            other.take()
            last.take()
            with pytest.raises(OverloadedError, match="studies"), admission.slot("d") as late:
                late.check()
    assert (admission.rejected("caller"), admission.rejected("studies")) == (1, 1)


def test_an_expectation_holds_nothing():
    admission = Watched()
    with admission.slot("a") as slot:
        slot.check()
        assert admission.metric("admitted_studies") == 0


async def test_a_reserved_place_is_held_while_a_body_comes_and_kept_once_it_is_there():
    admission = Watched()
    with admission.slot("a") as one, admission.slot("a") as two, admission.slot("a") as three:
        one.reserve()
        two.reserve()
        with pytest.raises(OverloadedError, match="caller"):
            three.reserve()
        one.take()
        await asyncio.sleep(0.2)  # the other place lapses in it
        assert admission.metric("admitted_studies") == 1
        three.reserve()
        assert admission.metric("admitted_studies") == 2
    assert admission.metric("admitted_studies") == 0


async def test_a_slow_body_takes_a_place_once_it_is_there_if_there_is_one():
    admission = Watched()
    with admission.slot("a") as slow, admission.slot("a") as late, admission.slot("a") as quick:
        slow.reserve()
        late.reserve()
        await asyncio.sleep(0.2)
        quick.reserve()
        quick.take()
        slow.take()
        with pytest.raises(OverloadedError, match="caller"):
            late.take()
        assert admission.metric("admitted_studies") == 2
    assert admission.metric("admitted_studies") == 0


async def test_a_reservation_that_ended_early_does_not_lapse_upon_another():
    admission = Watched()
    with admission.slot("a") as refused:
        refused.reserve()
    with admission.slot("a") as other:
        other.reserve()
        other.take()
        await asyncio.sleep(0.2)
        assert admission.metric("admitted_studies") == 1


async def test_background_work_waits_for_its_turn_and_gets_it_beside_a_flood():
    admission = Watched()
    with admission.slot("flood") as one, admission.slot("flood") as two:
        one.take()
        two.take()
        with admission.slot("other") as other, admission.slot("background") as patient:
            other.take()
            with admission.slot("last") as last:
                last.take()
                waiting = asyncio.create_task(patient.wait())
                await asyncio.sleep(0)
                assert not waiting.done()
            await waiting
            assert admission.metric("admitted_studies") == 4
    assert admission.metric("admitted_studies") == 0


async def test_background_bytes_wait_for_room_and_a_file_beyond_all_of_it_comes_alone():
    admission = Watched()
    with admission.slot("background") as patient:
        with admission.slot("a") as slot:
            slot.hold_bytes(1)
            waiting = asyncio.create_task(patient.wait_for_bytes(5000))
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting
        assert admission.metric("admitted_bytes") == 1000
    assert admission.metric("admitted_bytes") == 0


async def test_a_wait_that_is_given_up_holds_nothing():
    admission = Watched(studies_limit=2)
    with admission.slot("a") as first, admission.slot("a") as second:
        first.take()
        waiting = asyncio.create_task(second.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
    assert admission.metric("admitted_studies") == 0


async def test_the_line_has_an_end():
    admission = Watched(studies_limit=2)
    with admission.slot("a") as slot:
        slot.take()
        line = [asyncio.create_task(admission.slot("a").wait()) for _ in range(32)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="line"):
            await admission.slot("a").wait()
        for task in line:
            task.cancel()
        await asyncio.wait(line)
    assert admission.rejected("line") == 1
