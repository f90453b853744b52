"""The promise of a reading is an entry that the document names."""

from contextlib import suppress

import grpc

from gateway.errors import InferenceFailedError, StudyBacklogFullError
from gateway.storage.layout import READINGS
from tests.gateway.studies.piped import WHITE
from tests.gateway.studies.test_taken_images import Scripted, by_model, two
from tests.support.inference import refuses
from tests.support.models import flat_png
from tests.support.store import MemoryStore
from tests.support.work import promises_on

__all__ = ["two"]


async def test_a_promise_is_durable_until_it_is_withdrawn(objects: MemoryStore):
    promises = promises_on(objects)
    work = await promises.make("S1")
    [(found, due)] = await promises.entries.due()
    assert found == work
    assert due > work.received_at.replace(microsecond=0)
    await promises.withdraw(work)
    assert await promises.entries.due() == []


async def test_a_model_that_is_away_is_asked_again(two: Scripted, objects: MemoryStore):
    triton, parts = two
    triton.infer = by_model(second=refuses(grpc.StatusCode.UNAVAILABLE))
    answer = await parts.read(WHITE, study_id="S1")
    [missing] = answer.result.missing_readings or ()
    assert missing.is_retried
    [entry] = [key for key in objects.objects if key.startswith(READINGS)]
    assert answer.record.missing_readings[0].work in entry


async def test_what_a_model_cannot_do_is_not_asked_again(two: Scripted, objects: MemoryStore):
    triton, parts = two
    triton.infer = by_model(second=refuses(grpc.StatusCode.INTERNAL))
    answer = await parts.read(WHITE, study_id="S1")
    assert [type(item.error) for item in answer.missed] == [InferenceFailedError]
    [missing] = answer.result.missing_readings or ()
    assert not missing.is_retried
    assert not any(key.startswith(READINGS) for key in objects.objects)


async def test_an_image_is_refused_whose_study_has_no_room_for_what_models_owe(
    two: Scripted, objects: MemoryStore
):
    triton, parts = two
    triton.infer = by_model(second=refuses(grpc.StatusCode.UNAVAILABLE))
    requests = [[flat_png(10 * number + level) for level in range(1, 11)] for number in range(25)]
    read = 0
    with suppress(StudyBacklogFullError):
        for images in requests:
            read = (await parts.read(*images, study_id="S1")).record.images
    assert 40 < read < 250
    stored = {key.split("/")[3] for key in objects.objects if "/images/" in key}
    assert len(stored) == read
    assert len([key for key in objects.objects if key.startswith(READINGS)]) == read // 10
    triton.infer = by_model()
    assert (await parts.read(*requests[read // 10], study_id="S1")).record.images == read + 10
