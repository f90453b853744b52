"""The way of a study, with a real Triton at the far end and every stage's faults on the way."""

import asyncio
import datetime as dt
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from tritonclient.grpc import service_pb2

from gateway.errors import (
    BackendDiedError,
    ContractError,
    DeadlineExceededError,
    ImagesTooLargeError,
    ImagesWithoutContrastError,
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
    InvalidMetadataError,
    NoModelAcceptsError,
    RadStreamError,
    StudyConflictError,
    UnreadableImagesError,
    UnsupportedImagesError,
)
from gateway.models.registry import ModelRegistry
from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.results.store import ResultStore
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import StudyMetadata
from gateway.storage.protocol import ObjectStore
from gateway.studies.imaging import Imaging
from gateway.studies.inference import Inference
from gateway.studies.pipeline import Answer, Pipeline
from gateway.studies.study import Route, Study, StudyImage
from gateway.triton.client import TritonClient
from gateway.triton.embedded import EmbeddedTriton
from preprocess import Limits
from tests.support.deletion import deletion_on
from tests.support.gateway import until
from tests.support.inference import (
    Answer as Answers,
)
from tests.support.inference import (
    ScriptedTriton,
    answers,
    brightness,
    configured,
    inferred,
    never,
    refuses,
    serving,
)
from tests.support.models import contract, flat_png, png, probability
from tests.support.store import MemoryStore
from tests.support.telemetry import Told

WHITE, BLACK = flat_png(255), flat_png(0)


class Parts:
    """A pipeline and all that it stands on."""

    def __init__(self, client: TritonClient, objects: ObjectStore) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.told = Told(self.metrics)
        self.models = ModelRegistry(client, self.metrics, refresh_s=5, probe_timeout_s=10)
        self.results = ResultStore(objects)
        self.pipeline = Pipeline(
            models=self.models,
            inference=Inference(client, self.models, self.metrics),
            imaging=Imaging(threads=2, limits=Limits(pixels=1_000_000), metrics=self.metrics),
            results=self.results,
            deletion=deletion_on(objects),
            metrics=self.metrics,
            pseudonyms=Pseudonyms("key"),
            recorder=self.told,
        )

    async def read(
        self, *images: bytes, seconds: float = 30, awaited: bool = False, **fields: Any
    ) -> Answer:
        deadline = Deadline.after(seconds)
        return await self.pipeline.process(study(*images, **fields), deadline, awaited=awaited)

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"radstream_{name}", labels) or 0


def study(*images: bytes, **fields: Any) -> Study:
    document = {
        "study_id": f"S-{secrets.token_hex(8)}",
        "view": "AP",
        "timestamp": "2026-01-31T12:00:00Z",
    }
    metadata = StudyMetadata.model_validate(document | fields)
    return Study(
        images=tuple(StudyImage(f"image[{i}]", data, metadata) for i, data in enumerate(images)),
        route=Route.REST,
        received_at=dt.datetime.now(dt.UTC),
    )


@asynccontextmanager
async def piped(url: str, objects: ObjectStore) -> AsyncIterator[Parts]:
    client = TritonClient(url, message_bytes=2**24)
    try:
        parts = Parts(client, objects)
        await parts.models.refresh()
        yield parts
    finally:
        await client.close()


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def parts(triton: EmbeddedTriton, objects: MemoryStore) -> AsyncIterator[Parts]:
    async with piped(triton.grpc_url, objects) as parts:
        yield parts


async def test_study_comes_back_with_its_findings(parts: Parts):
    pictures = {255: probability(1.0), 0: probability(0.0), 153: probability(0.6)}
    answer = await parts.read(*(flat_png(level) for level in pictures))
    assert not answer.replayed
    found = {image.sha256: image.findings[0] for image in answer.result.images}
    for level, expected in pictures.items():
        finding = found[hashlib.sha256(flat_png(level)).hexdigest()]
        assert finding.probability == pytest.approx(expected, abs=1e-5)
        assert (finding.label, finding.threshold) == ("bright", 0.5)
        assert finding.positive is (level > 0)
    for image in answer.result.images:
        assert (image.rows, image.columns, image.bits_stored) == (32, 32, 8)
        assert set(image.timings_ms) == {"decode", "tensor", "infer", "total"}


async def test_what_is_answered_is_what_is_stored(parts: Parts):
    answer = await parts.read(WHITE)
    assert await parts.results.result(answer.result.study_id) == answer.result
    [reading] = await parts.results.readings(answer.result.study_id)
    assert await parts.results.image(reading) == WHITE
    activation_map = reading.frames[0].activation_map
    assert activation_map is not None
    assert activation_map.shape == (1, 8, 8)
    cells = np.frombuffer(activation_map.data, "<f2").reshape(activation_map.shape)
    assert cells == pytest.approx(np.full((1, 8, 8), 4.0), abs=0.02)  # 8 * 1 - 4


async def test_activation_map_lies_as_the_picture_does(parts: Parts):
    picture = np.zeros((32, 32), np.uint8)
    picture[4:8, 24:28] = 255  # cell row 1, column 6
    answer = await parts.read(png(picture))
    [reading] = await parts.results.readings(answer.result.study_id)
    activation_map = reading.frames[0].activation_map
    assert activation_map is not None
    cells = np.frombuffer(activation_map.data, "<f2").reshape(8, 8)
    assert cells[1, 6] == 4.0
    assert (cells == 4.0).sum() == 1
    assert (cells == -4.0).sum() == 63


async def test_same_image_again_is_replayed_without_inference(parts: Parts):
    first = await parts.read(WHITE, study_id="S1")
    second = await parts.read(WHITE, study_id="S1")
    assert second.replayed
    assert second.result == first.result
    assert parts.metric("stage_seconds_count", stage="decode") == 1


async def test_studies_that_get_a_result_are_timed_and_no_others(parts: Parts):
    await parts.read(WHITE, study_id="S1", patient_id="P1")
    await parts.read(WHITE, study_id="S1", patient_id="P1")
    with pytest.raises(StudyConflictError):
        await parts.read(BLACK, study_id="S1", patient_id="P2")
    assert parts.metric("study_seconds_count", route="rest") == 2


async def test_model_asked_for_past_its_contract_is_told_with_a_warning(parts: Parts):
    inside = await parts.read(WHITE, model={"name": "brightness"})
    outside = await parts.read(WHITE, model={"name": "brightness"}, body_part="HIP")
    assert inside.result.warnings == ()
    [warning] = outside.result.warnings
    assert warning.pointer == "/model"
    assert "image[0]" in warning.detail


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


@pytest.mark.parametrize(
    ("images", "error", "parts_named"),
    [
        ([b"no image", b"none either"], UnsupportedImagesError, ["image[0]", "image[1]"]),
        ([WHITE[:-20]], UnreadableImagesError, ["image[0]"]),
        ([png(np.zeros((32, 32), np.uint8))], ImagesWithoutContrastError, ["image[0]"]),
        ([flat_png(0, 1000, 1001)], ImagesTooLargeError, ["image[0]"]),
        (
            [WHITE[:-20], b"no image", flat_png(0, 1000, 1001)],
            UnsupportedImagesError,
            ["image[0]", "image[1]", "image[2]"],
        ),
    ],
)
async def test_every_bad_image_is_named_and_nothing_is_written(
    parts: Parts,
    objects: MemoryStore,
    images: list[bytes],
    error: type[RadStreamError],
    parts_named: list[str],
):
    with pytest.raises(error) as caught:
        await parts.read(*images)
    assert [fault.pointer for fault in caught.value.faults] == parts_named  # type: ignore[attr-defined]  # one of the three
    assert objects.objects == {}
    assert parts.metric("studies_total", route="rest", outcome=error.label) == 1


async def test_telemetry_and_log_know_of_images_that_could_not_be_processed(parts: Parts):
    with capture_logs() as lines:
        answer = await parts.read(b"no image", WHITE, WHITE[:-20])
    assert [item.part for item in answer.not_processed] == ["image[0]", "image[2]"]
    [line] = [line for line in lines if line["event"] == "study.completed"]
    assert (line["outcome"], line["images"]) == ("partial", 3)
    assert line["not_processed"] == [
        "urn:radstream:problem:unsupported-image",
        "urn:radstream:problem:unreadable-image",
    ]
    total = parts.told.events[-1]
    assert (total.stage, total.status, total.images, total.not_processed) == (
        *("total", "success"),
        *(3, 2),
    )
    assert parts.metric("studies_total", route="rest", outcome="partial") == 1


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


@pytest.fixture
async def scripted(objects: MemoryStore) -> AsyncIterator[tuple[ScriptedTriton, Parts]]:
    triton = ScriptedTriton()
    async with serving(triton) as url, piped(url, objects) as parts:
        yield triton, parts


Scripted = tuple[ScriptedTriton, Parts]

NAN = float("nan")
FLAT_MAP = np.zeros((1, 1, 8, 8), np.float32)
LOGITS = np.zeros((1, 1), np.float32)


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


async def test_map_of_a_model_that_crops_covers_what_it_saw(scripted: Scripted):
    triton, parts = scripted
    triton.config = answers(configured(contract({"input": {"aspect": "crop"}})))
    await parts.models.refresh()
    answer = await parts.read(flat_png(255, rows=10, columns=20))
    [reading] = await parts.results.readings(answer.result.study_id)
    activation_map = reading.frames[0].activation_map
    assert activation_map is not None
    assert activation_map.covers == (0, 0.25, 1, 0.75)


async def test_map_beyond_half_precision_is_kept_at_its_bounds(scripted: Scripted):
    triton, parts = scripted
    cells = np.full((1, 1, 8, 8), 1e6, np.float32)
    triton.infer = answers(inferred(logits=LOGITS, activation_map=cells))
    answer = await parts.read(WHITE)
    [reading] = await parts.results.readings(answer.result.study_id)
    activation_map = reading.frames[0].activation_map
    assert activation_map is not None
    assert set(np.frombuffer(activation_map.data, "<f2")) == {65504.0}


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


async def test_images_of_a_study_are_inferred_side_by_side(scripted: Scripted):
    triton, parts = scripted
    meeting = asyncio.Barrier(3)

    async def meet(_request: Any, _context: Any) -> Any:
        await meeting.wait()
        return brightness()

    triton.infer = meet
    answer = await parts.read(WHITE, BLACK, flat_png(100))
    assert len(answer.result.images) == 3


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
