"""A model is asked again where that may help, and no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2

from gateway.errors import (
    BackendDiedError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
    RadStreamError,
)
from tests.gateway.studies.piped import BLACK, WHITE, Parts, Scripted
from tests.support.gateway import until
from tests.support.inference import (
    Answer as Answers,
)
from tests.support.inference import (
    ScriptedTriton,
    answers,
    brightness,
    never,
    refuses,
)
from tests.support.models import flat_png


def _first(once: Answers, then: Answers) -> Answers:
    """One answer to the first call and another to all that follow."""
    left = [once]

    async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
        return await (left.pop() if left else then)(request, context)

    return answer


async def test_server_that_is_away_for_a_moment_is_asked_once_more(scripted: Scripted):
    triton, parts = scripted
    triton.infer = _first(refuses(grpc.StatusCode.UNAVAILABLE), answers(brightness()))
    answer = await parts.read(WHITE)
    assert len(answer.result.images) == 1
    assert parts.metric("studies_total", route="rest", outcome="completed") == 1


@pytest.mark.parametrize(
    ("status", "words", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size", InferenceOverloadedError),
        (grpc.StatusCode.UNAVAILABLE, "Request timeout expired", DeadlineExceededError),
        (grpc.StatusCode.INTERNAL, "Stub process 'x' is not healthy.", BackendDiedError),
        (grpc.StatusCode.INTERNAL, "out of memory", InferenceFailedError),
    ],
)
async def test_what_another_call_would_not_mend_is_not_asked_again(
    scripted: Scripted, status: grpc.StatusCode, words: str, error: type[RadStreamError]
):
    triton, parts = scripted
    triton.infer = _first(refuses(status, words), answers(brightness()))
    with pytest.raises(error):
        await parts.read(WHITE)


@asynccontextmanager
async def reloading(triton: ScriptedTriton, parts: Parts) -> AsyncIterator[asyncio.Event]:
    """A model whose backend is dead until it is loaded anew, which the event allows."""
    allowed, whole = asyncio.Event(), triton.infer
    triton.infer = refuses(grpc.StatusCode.INTERNAL, "Stub process 'brightness_0_0' is not healthy")

    async def load(_request: Any, _context: grpc.aio.ServicerContext) -> Any:
        await allowed.wait()
        triton.infer = whole
        return service_pb2.RepositoryModelLoadResponse()

    triton.load = load
    watching = asyncio.create_task(parts.models.watch())
    try:
        yield allowed
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def test_studies_that_meet_a_dead_backend_share_one_reload_and_are_read(scripted: Scripted):
    triton, parts = scripted
    async with reloading(triton, parts) as allowed:
        first = [asyncio.create_task(parts.read(WHITE, awaited=True)) for _ in range(3)]
        await until(lambda: "load" in triton.calls)
        assert not parts.models.ready()
        late = asyncio.create_task(parts.read(WHITE, awaited=True))  # sent while it said ready
        with pytest.raises(InferenceUnavailableError):
            await parts.read(WHITE)  # in the background: it comes again
        allowed.set()
        answers = await asyncio.gather(*first, late)
    assert [len(answer.result.images) for answer in answers] == [1] * 4
    assert triton.calls.count("load") == 1


async def test_study_that_a_reload_keeps_too_long_is_told_to_come_again(scripted: Scripted):
    triton, parts = scripted
    async with reloading(triton, parts):
        with pytest.raises(BackendDiedError):
            await parts.read(WHITE, seconds=2.5, awaited=True)


async def test_server_known_to_be_down_is_not_asked_again(scripted: Scripted):
    triton, parts = scripted

    async def dies(_request: Any, context: grpc.aio.ServicerContext) -> Any:
        triton.index = refuses(grpc.StatusCode.UNAVAILABLE)
        await parts.models.refresh()  # as `watch` does, which the pipeline wakes
        triton.infer = answers(brightness())
        await context.abort(grpc.StatusCode.UNAVAILABLE, "")

    triton.infer = dies
    with pytest.raises(InferenceUnavailableError):
        await parts.read(WHITE)
    assert parts.metric("triton_circuit_open") == 1


async def test_second_call_ends_with_the_deadline(scripted: Scripted):
    triton, parts = scripted
    triton.infer = _first(refuses(grpc.StatusCode.UNAVAILABLE), never)
    with pytest.raises(DeadlineExceededError):
        await parts.read(WHITE, seconds=0.5)


async def test_images_of_a_study_are_inferred_side_by_side(scripted: Scripted):
    triton, parts = scripted
    meeting = asyncio.Barrier(3)

    async def meet(_request: Any, _context: Any) -> Any:
        await meeting.wait()
        return brightness()

    triton.infer = meet
    answer = await parts.read(WHITE, BLACK, flat_png(100))
    assert len(answer.result.images) == 3
