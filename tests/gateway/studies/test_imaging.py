"""Image work on threads: what comes out, and how much of it runs at once."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from gateway.errors import (
    ImagesTooLargeError,
    RadStreamError,
    UnreadableImagesError,
    UnsupportedImagesError,
)
from gateway.models.served_model import Ensemble, ServedModel
from gateway.observability.metrics import Metrics
from gateway.runtime.deadline import Deadline
from gateway.schemas.contract import Contract
from gateway.schemas.metadata import StudyMetadata
from gateway.studies.imaging import Imaging
from gateway.studies.preparation import PreparedImage
from gateway.studies.study import StudyImage
from preprocess import Limits, MediaType
from tests.support.gateway import until
from tests.support.models import contract, flat_png, png

METADATA = StudyMetadata.model_validate(
    {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"}
)

SOON = Deadline.after(300)


@pytest.fixture
def imaging() -> Iterator[Imaging]:
    imaging = Imaging(threads=2, limits=Limits(pixels=10_000), metrics=Metrics(CollectorRegistry()))
    yield imaging
    imaging.close()


def image(data: bytes | memoryview) -> StudyImage:
    return StudyImage("image[7]", data, METADATA)


def model(**changes: Any) -> ServedModel:
    return ServedModel("brightness", "1", Contract.model_validate(contract(changes)))


async def prepare(imaging: Imaging, sent: StudyImage, served: ServedModel) -> PreparedImage:
    _, [prepared] = await imaging.prepare(sent, [served], SOON, read_before=[()])
    if isinstance(prepared, RadStreamError):
        raise prepared
    assert prepared is not None
    return prepared


async def test_image_that_was_read_before_is_hashed_and_not_decoded(imaging: Imaging):
    sha256 = hashlib.sha256(b"abc").hexdigest()
    told = await imaging.prepare(image(b"abc"), [model()], SOON, read_before=[{sha256}])
    assert told == (sha256, [None])


@pytest.mark.parametrize(
    ("shape", "is_drawn", "frames"),
    [((32, 32), True, 1), ((32, 32), False, 0), ((1025, 1024), True, 0)],
    ids=["small", "not drawn", "large"],
)
async def test_small_frames_are_kept_where_a_picture_is_drawn_of_them(
    shape: tuple[int, int], is_drawn: bool, frames: int
):
    rows, columns = shape
    pixels = np.tile(np.arange(columns, dtype=np.uint8), (rows, 1))
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    _, [prepared] = await imaging.prepare(
        image(png(pixels)), [model()], SOON, read_before=[()], is_drawn=is_drawn
    )
    imaging.close()
    assert isinstance(prepared, PreparedImage)
    assert len(prepared.decoded) == frames


async def test_hash_is_that_of_the_bytes(imaging: Imaging):
    assert await imaging.sha256(memoryview(b"abc")) == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("placed", [False, True], ids=["gateway", "Triton"])
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"rule": "full_range"}, (0, 1)),
        ({"rule": "window", "center": 0.5, "width": 0.6}, (0.2, 0.8)),
        ({"rule": "percentile", "low": 0, "high": 100}, (40 / 255, 200 / 255)),
    ],
)
async def test_what_is_black_and_white_to_the_model_is_told_wherever_its_tensor_is_made(
    imaging: Imaging, rule: dict[str, Any], expected: tuple[float, float], placed: bool
):
    samples = np.linspace(40, 200, 32 * 32).round().astype(np.uint8).reshape(32, 32)
    served = model(input={"intensity": rule})
    if placed:
        ensembles = {"uint8": Ensemble("brightness_uint8", "1", "pixels", "largest")}
        served = replace(served, ensembles=ensembles)
    prepared = await prepare(imaging, image(png(samples)), served)
    [frame] = prepared.frames
    assert frame.call.name == ("brightness_uint8" if placed else "brightness")
    assert (frame.call.shown.black, frame.call.shown.white) == pytest.approx(expected)


async def test_picture_becomes_the_models_tensor(imaging: Imaging):
    prepared = await prepare(imaging, image(flat_png(51, rows=40, columns=60)), model())
    [frame] = prepared.frames
    assert (frame.rows, frame.columns, frame.bits_stored) == (40, 60, 8)
    assert prepared.media_type is MediaType.PNG
    assert (frame.call.name, frame.call.version) == ("brightness", "1")
    tensor = frame.call.inputs["image"]
    assert (tensor.shape, tensor.dtype) == ((1, 1, 32, 32), np.float32)
    assert tensor == pytest.approx(np.full((1, 1, 32, 32), 0.2))  # 51 / 255


async def test_range_and_channels_are_the_contracts(imaging: Imaging):
    served = model(input={"range": [-1024, 1024], "channels": 3})
    samples = np.repeat(np.array([[255, 0]], np.uint8), 16, axis=1).repeat(32, axis=0)
    prepared = await prepare(imaging, image(memoryview(png(samples))), served)
    tensor = prepared.frames[0].call.inputs["image"]
    assert tensor.shape == (1, 3, 32, 32)
    assert (tensor[..., :16] == 1024).all()
    assert (tensor[..., 16:] == -1024).all()


async def test_sixteen_bits_keep_their_depth(imaging: Imaging):
    samples = np.full((32, 32), 52_428, np.uint16)
    samples[:, 16:] = 13_107
    prepared = await prepare(imaging, image(png(samples)), model())
    assert prepared.frames[0].bits_stored == 16
    tensor = prepared.frames[0].call.inputs["image"]
    assert tensor[..., :16] == pytest.approx(np.full((1, 1, 32, 16), 0.8))
    assert tensor[..., 16:] == pytest.approx(np.full((1, 1, 32, 16), 0.2))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", UnsupportedImagesError),
        (b"GIF89a", UnsupportedImagesError),
        (flat_png(0)[:-10], UnreadableImagesError),
        (flat_png(0, 100, 101), ImagesTooLargeError),
    ],
)
async def test_bad_picture_is_named_by_its_part(
    imaging: Imaging, data: bytes, error: type[RadStreamError]
):
    with pytest.raises(error) as caught:
        await prepare(imaging, image(data), model())
    assert caught.value.faults[0].pointer == "image[7]"  # type: ignore[attr-defined]  # one of the three
    assert caught.value.faults[0].detail  # type: ignore[attr-defined]


async def test_picture_too_large_for_a_message_becomes_the_tensor_here():
    placed = replace(
        model(), ensembles={"uint8": Ensemble("brightness_uint8", "1", "pixels", "largest")}
    )
    imaging = Imaging(
        threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()), message_bytes=1 << 17
    )
    try:
        small = await prepare(imaging, image(flat_png(51, rows=200, columns=200)), placed)
        large = await prepare(imaging, image(flat_png(51, rows=400, columns=400)), placed)
    finally:
        imaging.close()
    assert small.frames[0].call.name == "brightness_uint8"
    assert large.frames[0].call.name == "brightness"
    assert large.frames[0].call.inputs["image"].shape == (1, 1, 32, 32)


async def test_no_more_runs_at_once_than_there_are_threads(imaging: Imaging):
    running, most, lock = 0, 0, threading.Lock()
    pair = threading.Barrier(2)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pair.wait(30)  # so that two do run at once
        with lock:
            running -= 1

    await asyncio.gather(*(imaging.run(work) for _ in range(8)))
    assert most == 2


async def test_work_of_a_caller_that_gave_up_keeps_its_thread_or_never_begins():
    metrics = Metrics(CollectorRegistry())
    imaging = Imaging(threads=1, limits=Limits(), metrics=metrics)
    started, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def long() -> None:
        started.set()
        go_on.wait(30)
        order.append("long")

    given_up = asyncio.create_task(imaging.run(long))
    await asyncio.to_thread(started.wait, 30)
    never_begun = asyncio.create_task(imaging.run(lambda: order.append("never begun")))
    await asyncio.sleep(0)
    assert load(metrics) == (1, 1, 1)
    for task in (given_up, never_begun):
        task.cancel()
    await asyncio.wait([given_up, never_begun])  # neither caller waits for the thread
    assert (given_up.cancelled(), never_begun.cancelled(), order) == (True, True, [])
    assert load(metrics) == (1, 1, 0)
    after = asyncio.create_task(imaging.run(lambda: order.append("after")))
    await asyncio.sleep(0)
    go_on.set()
    await after
    assert order == ["long", "after"]
    await until(lambda: load(metrics) == (1, 0, 0))
    imaging.close()


def load(metrics: Metrics) -> tuple[float | None, ...]:
    """Threads, those that are busy, and what waits for one."""
    names = ("threads", "threads_busy", "jobs_waiting")
    return tuple(metrics.registry.get_sample_value(f"radstream_image_{name}") for name in names)
