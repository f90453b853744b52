"""Pages: what their entries tell of them, and what they give back."""

import pytest

from gateway.errors import ObjectNotFoundError
from gateway.results.documents import StudyRecord
from gateway.results.pages import may_have_image, may_have_name, read_pages, write_page
from tests.support.readings import frame, reading
from tests.support.store import MemoryStore

RECORD = StudyRecord.begun("S1")


async def test_a_page_gives_its_readings_back_in_their_order():
    objects, readings = MemoryStore(), [reading(1), reading(2)]
    page = await write_page(objects, RECORD, readings)
    assert page.name.startswith("000001-000002-")
    assert await read_pages(objects, "S1", [page]) == readings


async def test_the_same_readings_are_the_same_object():
    objects = MemoryStore()
    first, second = [await write_page(objects, RECORD, [reading(1)]) for _ in range(2)]
    assert first == second
    assert len(objects.objects) == 1


async def test_an_entry_counts_frames_and_names_what_is_positive():
    page = await write_page(
        MemoryStore(), RECORD, [reading(1, frame(0.9), frame(0.1)), reading(3, frame(0.1))]
    )
    assert (page.readings, page.images, page.positive) == (2, 3, ("pneumonia",))


async def test_an_entry_tells_what_may_be_on_its_page():
    there = reading(1, dropped_as="ward/a.dcm")
    page = await write_page(MemoryStore(), RECORD, [there])
    assert may_have_image(page, there.sha256)
    assert may_have_image(page, there.sha256[:6] + "0" * 58)  # by its first bytes alone
    assert not may_have_image(page, "f" * 64)
    assert may_have_name(page, "ward/a.dcm")
    assert not may_have_name(page, "ward/b.dcm")


async def test_a_page_of_a_study_that_was_deleted_is_gone():
    page = await write_page(MemoryStore(), RECORD, [reading(1)])
    with pytest.raises(ObjectNotFoundError):
        await read_pages(MemoryStore(), "S1", [page])
