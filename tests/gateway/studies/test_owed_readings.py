"""The promise of a reading is an entry that the document names."""

import grpc

from gateway.errors import InferenceFailedError
from gateway.storage.layout import READINGS
from tests.gateway.studies.piped import WHITE
from tests.gateway.studies.test_taken_images import Scripted, by_model, two
from tests.support.inference import refuses
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
