"""Entries of a day, whoever writes, merges and removes them at once, and whoever dies over it."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UnreadableDocumentError
from gateway.schemas.result import Status
from gateway.search.day_file import DayFile
from gateway.search.days import DayIndex
from gateway.search.entries import IndexEntry
from gateway.search.query import DateRange
from tests.support.store import MemoryStore, MortalStore
from tests.support.turns import Turns

DAY = dt.date(2026, 1, 31)
NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def entry(study_id: str, version: int = 0) -> IndexEntry:
    return IndexEntry(
        study_id=study_id,
        received_at=NOON,
        changed_at=NOON + dt.timedelta(seconds=version),
        state=Status.COMPLETED,
        images=version,
    )


async def listed(index: DayIndex) -> dict[str, int]:
    """Each study that a search finds, with the version of its entry."""
    objects = (await index.listed(DateRange(DAY, DAY))).get(DAY)
    found = [] if objects is None else await index.entries(DAY, objects, lambda _: True)
    assert len(found) == len({each.study_id for each in found})
    return {each.study_id: each.images for each in found}


async def test_merged_day_is_one_object_and_says_the_same(objects: MemoryStore):
    index = DayIndex(objects)
    for number in range(5):
        await index.add([entry(f"S{number % 3}", number)])
    before = await listed(index)
    await index.merge(DAY)
    assert await listed(index) == before == {"S0": 3, "S1": 4, "S2": 2}
    assert list(objects.objects) == ["index/2026-01-31/part-0000.jsonl.gz"]


async def test_entries_beyond_a_full_part_go_into_the_next(objects: MemoryStore):
    index = DayIndex(objects, part_entries=2)
    for number in range(7):
        await index.add([entry(f"S{number}")])
        await index.merge(DAY)
    await index.add([entry("S0", 9)])
    await index.merge(DAY)
    assert sum("part-" in key for key in objects.objects) == 4
    assert await listed(index) == {"S0": 9, **{f"S{number}": 0 for number in range(1, 7)}}
    await index.remove(DAY, {"S0", "S3"})
    assert await listed(index) == {f"S{number}": 0 for number in (1, 2, 4, 5, 6)}


async def test_study_that_was_removed_is_in_no_object(objects: MemoryStore):
    index = DayIndex(objects)
    await index.add([entry("S1"), entry("S2")])
    await index.merge(DAY)
    await index.add([entry("S1", 1), entry("S3")])
    await index.remove(DAY, {"S1"})
    assert await listed(index) == {"S2": 0, "S3": 0}
    assert sum("new-" in key for key in objects.objects) == 0


async def test_damaged_object_is_told_and_not_written_over(objects: MemoryStore):
    index = DayIndex(objects)
    await index.add([entry("S1")])
    await index.merge(DAY)
    key = "index/2026-01-31/part-0000.jsonl.gz"
    objects.objects[key] = objects.objects[key][:-9]
    await index.add([entry("S2")])
    for work in (listed, lambda index: index.merge(DAY), lambda index: index.remove(DAY, {"S2"})):
        with pytest.raises(UnreadableDocumentError):
            await work(index)
    assert len(objects.objects) == 2


@settings(max_examples=100)
@given(data=st.data())
async def test_nothing_is_lost_or_twice_whoever_merges_and_removes_at_once(data: st.DataObject):
    turns = Turns()
    objects = MemoryStore(turns.turn)

    def gateway() -> DayIndex:
        return DayIndex(objects, part_entries=2)

    async def write(name: str, versions: int) -> None:
        index = gateway()
        for version in range(versions):
            await index.add([entry(name, version)])

    async def merge(times: int) -> None:
        for _ in range(times):
            await gateway().merge(DAY)

    async def look() -> None:
        """A study that was there before is found in every state in between."""
        for _ in range(2):
            assert "OLD" in await listed(gateway())

    first = MemoryStore()
    await DayIndex(first).add([entry("OLD"), entry("GONE")])
    objects.objects = first.objects
    work = [
        write("A", data.draw(st.integers(1, 3))),
        write("B", 2),
        merge(2),
        merge(2),
        look(),
        gateway().remove(DAY, {"GONE"}),
    ]
    outcomes = await turns.run(lambda waiting: data.draw(st.integers(0, waiting - 1)), *work)
    assert not [each for each in outcomes if isinstance(each, BaseException)], outcomes
    found = await listed(gateway())
    assert found == {"OLD": 0, "A": found["A"], "B": 1}
    files = [DayFile.of(key, data) for key, data in objects.objects.items()]
    assert not [file for file in files if "GONE" in file.entries]


@pytest.mark.parametrize("work", ["merge", "remove"])
async def test_gateway_that_dies_at_any_step_loses_nothing(work: str):
    for steps in range(20):
        objects = MemoryStore()
        await DayIndex(objects).add([entry("S1"), entry("S2")])
        await DayIndex(objects).add([entry("S1", 1)])
        mortal = MortalStore(objects.objects, steps)
        dying = DayIndex(mortal)
        died = await mortal.kills(
            dying.merge(DAY) if work == "merge" else dying.remove(DAY, {"S2"})
        )
        assert (await listed(DayIndex(objects)))["S1"] == 1
        await DayIndex(objects).remove(DAY, {"S2"})
        await DayIndex(objects).merge(DAY)
        assert await listed(DayIndex(objects)) == {"S1": 1}
        if not died:
            assert steps > 3
            return
    raise AssertionError("it never came to its end")
