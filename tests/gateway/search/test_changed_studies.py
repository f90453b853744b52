"""Studies that were changed are taken once, with the time of their first change."""

import asyncio

from gateway.search.changed_studies import ChangedStudies


def test_a_study_is_taken_once_with_its_first_change():
    changed = ChangedStudies()
    changed.note("S1", 5.0)
    changed.note("S1", 9.0)
    changed.note("S2", 7.0)
    assert changed.take() == {"S1": 5.0, "S2": 7.0}
    assert changed.take() == {}


async def test_whoever_waits_goes_on_at_a_change_or_when_woken():
    changed = ChangedStudies()
    for end in (lambda: changed.note("S1"), changed.wake):
        waiting = asyncio.create_task(changed.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        end()
        await waiting
        changed.take()
