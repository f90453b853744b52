"""An image is taken for several models: what they have not read is made ready, and no more."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from gateway.errors import InferenceFailedError, InferenceUnavailableError
from tests.gateway.studies.piped import BLACK, WHITE, Parts, piped, routing
from tests.support.inference import (
    ScriptedTriton,
    brightness,
    configured,
    indexed,
    never,
    refuses,
    serving,
)
from tests.support.models import contract, flat_png
from tests.support.store import MemoryStore

BOTH: dict[str, Any] = {
    "name": "both",
    "when": {"all": []},
    "models": [{"name": "brightness"}, {"name": "second"}],
}
Scripted = tuple[ScriptedTriton, Parts]


def by_model(**answers: Any) -> Any:
    """Answer by the model that is asked."""

    async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
        if request.model_name in answers:
            return await answers[request.model_name](request, context)
        return brightness()

    return answer


def with_contracts(**changes: Any) -> Any:
    async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
        document = contract(changes.get(request.name, {}))
        return await configured_answer(document, request, context)

    return answer


async def configured_answer(document: Any, request: Any, _context: Any) -> Any:
    response = configured(document)
    response.config.name = request.name
    return response


@pytest.fixture
async def two(objects: MemoryStore) -> AsyncIterator[Scripted]:
    """Two models, of the same contract."""
    triton = ScriptedTriton()
    triton.index = _answers(indexed(("brightness", "1", "READY"), ("second", "1", "READY")))
    triton.config = with_contracts()
    async with serving(triton) as url, piped(url, objects, routing(BOTH)) as parts:
        yield triton, parts


def _answers(message: Any) -> Any:
    async def answer(_request: Any, _context: Any) -> Any:
        return message

    return answer


def models(answer: Any) -> list[str]:
    return [each.model.name for each in answer.result.images[0].readings]


async def test_models_that_ask_the_same_of_an_image_share_its_decoding(two: Scripted):
    _, parts = two
    assert models(await parts.read(WHITE)) == ["brightness", "second"]
    assert parts.metric("stage_seconds_count", stage="decode") == 1
    assert parts.metric("stage_seconds_count", stage="tensor") == 2
    assert parts.metric("images_total", media_type="image/png", outcome="read") == 1


async def test_an_image_is_stored_once_for_all_its_readings(two: Scripted, objects: MemoryStore):
    _, parts = two
    await parts.read(WHITE, BLACK, WHITE)
    assert sum("/images/" in key and "heatmap" not in key for key in objects.objects) == 2


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        (refuses(grpc.StatusCode.INTERNAL, "out of memory"), "model-failed"),
        (refuses(grpc.StatusCode.UNAVAILABLE), "model-unavailable"),
        (_answers(brightness(float("nan"))), "model-failed"),
    ],
)
async def test_a_model_that_fails_costs_its_own_reading(two: Scripted, failure: Any, problem: str):
    triton, parts = two
    triton.infer = by_model(second=failure)
    answer = await parts.read(WHITE, BLACK, study_id="S1")
    assert [[each.model.name for each in image.readings] for image in answer.result.images] == [
        ["brightness"],
        ["brightness"],
    ]
    assert answer.result.status == "partial"
    missing = answer.result.missing_readings or ()
    assert [(each.model.name, each.model.version) for each in missing] == [("second", "1")] * 2
    assert {each.problem.type for each in missing} == {f"urn:radstream:problem:{problem}"}
    triton.infer = by_model()
    again = await parts.read(WHITE, BLACK, study_id="S1")
    assert models(again) == ["brightness", "second"]
    assert again.result.status == "completed"
    assert again.result.missing_readings is None


async def test_a_model_that_does_not_answer_leaves_time_for_the_others(two: Scripted):
    triton, parts = two
    triton.infer = by_model(second=never)
    answer = await parts.read(WHITE, seconds=3)
    assert models(answer) == ["brightness"]
    [missing] = answer.result.missing_readings or ()
    assert missing.problem.type == "urn:radstream:problem:deadline-exceeded"


async def test_an_image_that_no_model_reads_fails_the_request(two: Scripted, objects: MemoryStore):
    triton, parts = two
    triton.infer = refuses(grpc.StatusCode.INTERNAL)
    with pytest.raises(InferenceFailedError):
        await parts.read(WHITE)
    triton.infer = by_model(
        second=refuses(grpc.StatusCode.UNAVAILABLE), brightness=refuses(grpc.StatusCode.UNAVAILABLE)
    )
    with pytest.raises(InferenceUnavailableError):
        await parts.read(WHITE)
    assert objects.objects == {}


async def test_what_one_model_has_read_is_made_ready_for_the_other_alone(two: Scripted):
    triton, parts = two
    triton.infer = by_model(second=refuses(grpc.StatusCode.INTERNAL))
    await parts.read(WHITE, study_id="S1")
    triton.infer = by_model(brightness=refuses(grpc.StatusCode.INTERNAL))
    assert models(await parts.read(WHITE, study_id="S1")) == ["brightness", "second"]
    assert parts.metric("stage_seconds_count", stage="tensor") == 3


async def test_a_picture_that_is_blank_to_one_model_is_read_by_the_other(
    objects: MemoryStore,
):
    narrow = {"input": {"intensity": {"rule": "window", "center": 0.05, "width": 0.1}}}
    triton = ScriptedTriton()
    triton.index = _answers(indexed(("brightness", "1", "READY"), ("second", "1", "READY")))
    triton.config = with_contracts(second=narrow)
    async with serving(triton) as url, piped(url, objects, routing(BOTH)) as parts:
        answer = await parts.read(flat_png(200))
    assert models(answer) == ["brightness"]
    [missing] = answer.result.missing_readings or ()
    assert (missing.model.name, missing.is_retried) == ("second", False)
