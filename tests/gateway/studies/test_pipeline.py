"""The way of a study, with a real Triton at the far end and every stage's faults on the way."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from structlog.testing import capture_logs

from gateway.errors import (
    ContractError,
    DeadlineExceededError,
    ImagesTooLargeError,
    InferenceFailedError,
    InferenceUnavailableError,
    InvalidMetadataError,
    NoModelAcceptsError,
    RadStreamError,
    StudyConflictError,
    UnsupportedImagesError,
)
from gateway.observability.pseudonyms import Pseudonyms
from gateway.results.view import study_result
from gateway.runtime.deadline import Deadline
from gateway.schemas.telemetry import Stage
from tests.gateway.studies.piped import BLACK, LOGITS, WHITE, Parts, Scripted, piped, study
from tests.support.inference import (
    answers,
    brightness,
    inferred,
    never,
    refuses,
)
from tests.support.models import flat_png, probability
from tests.support.store import MemoryStore


async def test_study_comes_back_with_its_findings(parts: Parts):
    pictures = {255: probability(1.0), 0: probability(0.0), 153: probability(0.6)}
    answer = await parts.read(*(flat_png(level) for level in pictures))
    assert not answer.replayed
    found = {image.sha256: image.readings[0].findings[0] for image in answer.result.images}
    for level, expected in pictures.items():
        finding = found[hashlib.sha256(flat_png(level)).hexdigest()]
        assert finding.probability == pytest.approx(expected, abs=1e-5)
        assert (finding.label, finding.threshold) == ("bright", 0.5)
        assert finding.positive is (level > 0)
    for image in answer.result.images:
        assert (image.rows, image.columns, image.bits_stored) == (32, 32, 8)
        assert set(image.readings[0].timings_ms) == {"decode", "tensor", "infer", "total"}


async def test_what_is_answered_is_what_is_stored(parts: Parts):
    answer = await parts.read(WHITE)
    record = await parts.results.record(answer.result.study_id)
    assert record is not None
    assert study_result(record) == answer.result
    [reading] = await parts.results.readings(answer.result.study_id)
    assert await parts.results.image(reading) == WHITE
    activation_map = reading.frames[0].activation_map
    assert activation_map is not None
    assert activation_map.shape == (1, 8, 8)
    cells = np.frombuffer(activation_map.data, "<f2").reshape(activation_map.shape)
    assert cells == pytest.approx(np.full((1, 8, 8), 4.0), abs=0.02)  # 8 * 1 - 4


async def test_same_image_again_is_replayed_without_inference(parts: Parts):
    first = await parts.read(WHITE, study_id="S1")
    second = await parts.read(WHITE, study_id="S1")
    assert second.replayed
    assert second.result == first.result
    assert parts.metric("stage_seconds_count", stage="decode") == 1


async def test_dropped_image_that_is_delivered_again_tells_under_the_same_event_ids(parts: Parts):
    async def ids(study_id: str, dropped_as: str | None, level: int = 255) -> set[str]:
        parts.told.events.clear()
        made = replace(study(flat_png(level), study_id=study_id), dropped_as=dropped_as)
        await parts.pipeline.process(made, Deadline.after(30))
        return {event.event_id for event in parts.told.events if event.stage is Stage.TOTAL}

    first = await ids("S1", "a")
    assert await ids("S1", "a") == first
    assert (await ids("S1", "b")).isdisjoint(first)  # the same bytes under another name
    assert (await ids("S1", "a", level=0)).isdisjoint(first)
    assert (await ids("S2", None)).isdisjoint(await ids("S2", None))  # a request is another


async def test_studies_that_get_a_result_are_timed_and_no_others(parts: Parts):
    await parts.read(WHITE, study_id="S1", patient_id="P1")
    await parts.read(WHITE, study_id="S1", patient_id="P1")
    with pytest.raises(StudyConflictError):
        await parts.read(BLACK, study_id="S1", patient_id="P2")
    assert parts.metric("study_seconds_count", route="rest") == 2


async def test_images_of_one_request_keep_the_order_they_were_sent_in(parts: Parts):
    pictures = sorted(
        (flat_png(level) for level in (255, 204, 153, 0)),
        key=lambda picture: hashlib.sha256(picture).hexdigest(),
        reverse=True,
    )
    answer = await parts.read(*pictures)
    digests = [hashlib.sha256(picture).hexdigest() for picture in pictures]
    assert [image.sha256 for image in answer.result.images] == digests
    assert [image.number for image in answer.result.images] == [1, 2, 3, 4]


async def test_image_that_stands_twice_in_one_study_is_read_once(parts: Parts):
    answer = await parts.read(WHITE, BLACK, WHITE)
    assert len(answer.result.images) == 2
    assert parts.metric("images_total", media_type="image/png", outcome="read") == 2


async def test_study_grows_and_only_the_new_image_is_read(parts: Parts):
    await parts.read(WHITE, study_id="S1")
    answer = await parts.read(WHITE, BLACK, study_id="S1")
    assert not answer.replayed
    assert [image.number for image in answer.result.images] == [1, 2]
    assert answer.result.images[0].sha256 == hashlib.sha256(WHITE).hexdigest()
    assert parts.metric("images_total", media_type="image/png", outcome="read") == 2
    assert parts.metric("images_total", media_type="image/png", outcome="replayed") == 1


async def test_same_image_in_another_study_is_read_anew(parts: Parts):
    await parts.read(WHITE, study_id="S1")
    assert not (await parts.read(WHITE, study_id="S2")).replayed


# --- what is wrong with a study is told whole, and nothing is kept of it -------------------------


async def test_model_that_is_away_refuses_the_whole_request(objects: MemoryStore):
    nobody = "127.0.0.1:1"
    async with piped(nobody, objects) as parts:
        with pytest.raises(InferenceUnavailableError):
            await parts.read(WHITE, b"no image")
    assert objects.objects == {}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"image_size": {"width": 32, "height": 31}}, InvalidMetadataError),
        ({"view": "LATERAL"}, NoModelAcceptsError),
        ({"modality": "MR"}, NoModelAcceptsError),
    ],
)
async def test_metadata_that_do_not_fit_write_nothing(
    parts: Parts, objects: MemoryStore, fields: Mapping[str, Any], error: type[RadStreamError]
):
    with pytest.raises(error):
        await parts.read(WHITE, **fields)
    assert objects.objects == {}


async def test_declared_size_is_columns_by_rows(parts: Parts):
    wide = flat_png(255, rows=10, columns=20)
    assert await parts.read(wide, image_size={"width": 20, "height": 10})
    with pytest.raises(InvalidMetadataError) as caught:
        await parts.read(wide, image_size={"width": 10, "height": 20})
    [fault] = caught.value.faults
    assert (fault.pointer, fault.detail) == ("/image_size", "image[0] has width 20 and height 10")


async def test_another_patient_is_a_conflict_before_any_work(parts: Parts, objects: MemoryStore):
    await parts.read(WHITE, study_id="S1", patient_id="P1")
    before = dict(objects.objects)
    with pytest.raises(StudyConflictError):
        await parts.read(BLACK, study_id="S1", patient_id="P2")
    assert objects.objects == before
    assert parts.metric("stage_seconds_count", stage="decode") == 1


# --- what is wrong with Triton -------------------------------------------------------------------


NAN = float("nan")
FLAT_MAP = np.zeros((1, 1, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("infer", "error"),
    [
        (refuses(grpc.StatusCode.INTERNAL, "out of memory"), InferenceFailedError),
        (refuses(grpc.StatusCode.UNAVAILABLE), InferenceUnavailableError),
        (answers(inferred(logits=LOGITS)), InferenceUnavailableError),
        (answers(brightness(NAN)), ContractError),
        (answers(inferred(logits=LOGITS[:0], activation_map=FLAT_MAP)), ContractError),
        (answers(inferred(logits=np.zeros((1, 2), "f4"), activation_map=FLAT_MAP)), ContractError),
        (answers(inferred(logits=LOGITS, activation_map=FLAT_MAP[0])), ContractError),
        (answers(inferred(logits=LOGITS, activation_map=FLAT_MAP * NAN)), ContractError),
        (answers(inferred(logits=LOGITS, activation_map=FLAT_MAP[..., :0])), ContractError),
    ],
)
async def test_study_the_model_fails_on_is_counted_and_leaves_nothing(
    scripted: Scripted, objects: MemoryStore, infer: Any, error: type[RadStreamError]
):
    triton, parts = scripted
    triton.infer = infer
    with pytest.raises(error):
        await parts.read(WHITE)
    assert objects.objects == {}
    calls = 2 if error is InferenceUnavailableError else 1
    assert parts.metric("inference_errors_total", error=error.label) == calls
    assert parts.metric("studies_total", route="rest", outcome=error.label) == 1
    assert parts.metric("studies_in_flight") == 0


async def test_one_failure_among_many_images_leaves_none_of_them(
    scripted: Scripted, objects: MemoryStore
):
    triton, parts = scripted

    async def fail_on_white(request: Any, context: grpc.aio.ServicerContext) -> Any:
        if np.frombuffer(request.raw_input_contents[0], np.float32).mean() > 0.9:
            await context.abort(grpc.StatusCode.INTERNAL, "no white")
        return brightness()

    triton.infer = fail_on_white
    with pytest.raises(InferenceFailedError):
        await parts.read(BLACK, flat_png(100), WHITE)
    assert objects.objects == {}


async def test_deadline_ends_a_study_that_is_not_answered(scripted: Scripted, objects: MemoryStore):
    triton, parts = scripted
    triton.infer = never
    with pytest.raises(DeadlineExceededError):
        await parts.read(WHITE, seconds=0.3)
    await triton.cancelled.wait()
    assert objects.objects == {}


async def test_caller_that_goes_away_ends_the_work_in_triton(
    scripted: Scripted, objects: MemoryStore
):
    triton, parts = scripted
    triton.infer = never
    triton.arrived.clear()
    reading = asyncio.create_task(parts.read(WHITE))
    await triton.arrived.wait()
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    await triton.cancelled.wait()
    assert objects.objects == {}
    assert parts.metric("studies_total", route="rest", outcome="cancelled") == 1
    assert parts.metric("studies_in_flight") == 0


# --- what is told of it --------------------------------------------------------------------------


async def test_outcomes_and_findings_are_counted(parts: Parts):
    await parts.read(WHITE, BLACK, study_id="S1")
    await parts.read(WHITE, study_id="S1")
    assert parts.metric("studies_total", route="rest", outcome="completed") == 1
    assert parts.metric("studies_total", route="rest", outcome="replayed") == 1
    for positive in ("true", "false"):
        labels = {"model": "brightness", "version": "1", "label": "bright", "positive": positive}
        assert parts.metric("findings_total", **labels) == 1


async def test_log_names_neither_study_nor_patient(parts: Parts):
    identity = {"study_id": "SECRET-STUDY", "patient_id": "SECRET-PATIENT"}
    with capture_logs() as events:
        await parts.read(WHITE, **identity, accession_number="SECRET-ORDER")
        with pytest.raises(UnsupportedImagesError):
            await parts.read(b"no image", **identity)
    told = [event for event in events if event["event"].startswith("study.")]
    assert [event["event"] for event in told] == ["study.completed", "study.failed"]
    assert "SECRET" not in str(events)
    assert (
        told[0]["study_ref"] == told[1]["study_ref"] == Pseudonyms("key").study_ref("SECRET-STUDY")
    )


async def test_images_of_one_request_share_the_pixels_of_one(parts: Parts, objects: MemoryStore):
    # Each is within the limit of a million; they would be decoded side by side.
    images = [flat_png(level, 800, 800) for level in (10, 20)]
    with pytest.raises(ImagesTooLargeError) as caught:
        await parts.read(*images)
    assert caught.value.faults[0].detail == (
        "together have 1280000 pixels; a request may have 1000000"
    )
    assert objects.objects == {}
    for image in images:
        assert not (await parts.read(image)).replayed
