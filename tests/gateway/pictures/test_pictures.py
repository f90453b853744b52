"""Pictures of a stored study, and the heat maps laid beside its results."""

import asyncio
import base64
import datetime as dt
import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from prometheus_client import CollectorRegistry

from gateway.errors import ImageNotFoundError, InvalidQueryError, NoHeatMapError, StudyNotFoundError
from gateway.observability.metrics import Metrics
from gateway.pictures.pictures import Pictures
from gateway.results.documents import ActivationMap, FrameReading, Reading
from gateway.results.image_writes import NewImage
from gateway.results.joins import Request
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.results.view import picture_key
from gateway.schemas.metadata import validate_document
from gateway.schemas.result import Finding, ModelVersion
from gateway.studies.imaging import Imaging
from preprocess import Limits, decode
from tests.support.models import flat_png
from tests.support.store import MemoryStore

NOW = dt.datetime(2026, 1, 31, 8, 15, tzinfo=dt.UTC)
METADATA = validate_document({"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T08:15:00Z"})
IMAGE = flat_png(100)
SHA256 = hashlib.sha256(IMAGE).hexdigest()
HEATMAP = f"results/S1/images/{SHA256}/brightness-1.heatmap.png"


def reading(*, explained: bool = True, version: str = "1") -> Reading:
    labels = [("bright", 0.2), ("dark", 0.8)]
    cells = np.zeros((2, 4, 4), "<f2")
    cells[1, 0, 0] = 1
    data = base64.b64encode(cells.tobytes())
    frame = FrameReading(
        rows=32,
        columns=32,
        bits_stored=8,
        findings=tuple(
            Finding(label=label, probability=value, threshold=0.5, positive=value >= 0.5)
            for label, value in labels
        ),
        activation_map=ActivationMap(shape=cells.shape, data=data) if explained else None,
    )
    return Reading(
        study_id="S1",
        sha256=SHA256,
        media_type="image/png",
        object="image-00000000.png",
        model=ModelVersion(name="brightness", version=version),
        received_at=NOW,
        completed_at=NOW,
        timings_ms={},
        warnings=(),
        metadata={"view": "AP"},
        frames=(frame,),
    )


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


def pictures_on(objects: MemoryStore) -> Pictures:
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    return Pictures(ResultStore(objects, StudyDocuments(objects)), imaging, at_once=1)


async def add(objects: MemoryStore, image: bytes, read: Reading) -> str:
    """Add an image to the study as the pipeline does; return its key."""
    results = ResultStore(objects, StudyDocuments(objects))
    known = await results.known(METADATA)
    writes = results.write_images("S1", [NewImage(read.sha256, read.media_type, image)])
    await writes.done()
    [name] = writes.names
    fresh = read.model_copy(update={"object": name})
    await results.add("S1", known, Request(METADATA, NOW, [fresh], {"image[0]": fresh}))
    return f"results/S1/images/{read.sha256}/{name}"


async def pictures_of(objects: MemoryStore, *, explained: bool = True) -> Pictures:
    await add(objects, IMAGE, reading(explained=explained))
    return pictures_on(objects)


async def test_the_heat_map_is_laid_beside_the_reading_once(objects: MemoryStore) -> None:
    pictures = await pictures_of(objects)
    await pictures.store_heatmaps("S1", SHA256, IMAGE)
    stored = await objects.read(HEATMAP)
    # The most probable finding's, and the same that is answered over HTTP.
    assert stored == await pictures.heatmap("S1", 1, "dark")
    await pictures.store_heatmaps("S1", SHA256, IMAGE)
    assert await objects.read(HEATMAP) == stored


async def test_heat_map_of_frames_that_are_decoded_already_needs_no_file(
    objects: MemoryStore,
) -> None:
    pictures, read = await pictures_of(objects), reading()
    decoded = decode(IMAGE, Limits())
    await pictures.store_heatmaps("S1", SHA256, b"no image", [read], decoded)
    assert await objects.read(HEATMAP) == await pictures.heatmap("S1", 1, "dark")


async def test_heat_map_of_frames_that_are_too_small_is_drawn_from_the_file(
    objects: MemoryStore,
) -> None:
    pictures, read = await pictures_of(objects), reading()
    smaller = [replace(frame, samples=frame.samples[::2, ::2]) for frame in decode(IMAGE, Limits())]
    await pictures.store_heatmaps("S1", SHA256, IMAGE, [read], smaller)
    assert await objects.read(HEATMAP) == await pictures.heatmap("S1", 1, "dark")


async def test_pictures_show_what_was_black_and_white_to_the_model(objects: MemoryStore) -> None:
    read = reading()
    frame = read.frames[0].model_copy(update={"shown": (0.2, 0.7)})
    windowed = read.model_copy(update={"frames": (frame,)})
    await add(objects, IMAGE, windowed)
    pictures = pictures_on(objects)
    for png, size in (
        (await pictures.preview("S1", 1), (32, 32)),
        (await pictures.heatmap("S1", 1, "dark"), (320, 32 + 64)),
    ):
        picture = Image.open(io.BytesIO(png)).convert("L")
        assert picture.size == size
        # (100 / 255 - 0.2) / 0.5 of white; nothing speaks for the finding down here.
        assert picture.getpixel((31, 31)) == 98


async def test_no_more_images_are_held_than_are_drawn_at_once(objects: MemoryStore) -> None:
    key = await add(objects, IMAGE, reading())
    pictures = pictures_on(objects)
    drawn: list[asyncio.Task[None]] = []
    objects.calls.clear()

    def fetched_and_not_done() -> int:
        fetched = objects.calls.count(("read", key))
        return fetched - sum(task.done() for task in drawn)

    held: list[int] = []

    async def look() -> None:
        await pictures.preview("S1", 1)
        held.append(fetched_and_not_done())

    drawn += [asyncio.create_task(look()) for _ in range(8)]
    await asyncio.gather(*drawn)
    assert objects.calls.count(("read", key)) == 8
    assert max(held) <= 2  # the one that was just drawn, and the next


async def test_a_stored_heat_map_is_of_half_a_screens_size(objects: MemoryStore) -> None:
    image = flat_png(100, rows=2048, columns=1536)
    sha256 = hashlib.sha256(image).hexdigest()
    read = reading()
    frame = read.frames[0].model_copy(update={"rows": 2048, "columns": 1536})
    large = read.model_copy(update={"sha256": sha256, "frames": (frame,)})
    pictures = await pictures_of(objects)
    await add(objects, image, large)
    await pictures.store_heatmaps("S1", sha256, image)
    stored = await objects.read(HEATMAP.replace(SHA256, sha256))
    shown = await pictures.heatmap("S1", 1, key=picture_key(large, 0))
    # Below the picture stand its words.
    assert [Image.open(io.BytesIO(png)).size for png in (stored, shown)] == [
        *((384, 512 + 64), (768, 1024 + 64))
    ]


async def test_what_was_read_just_now_is_not_read_again(objects: MemoryStore) -> None:
    pictures = await pictures_of(objects)
    objects.calls.clear()
    await pictures.store_heatmaps("S1", SHA256, IMAGE, [reading()])
    assert objects.calls == [("create", HEATMAP)]
    objects.calls.clear()
    await pictures.store_heatmaps("S1", SHA256, IMAGE, [reading(explained=False)])
    assert objects.calls == []


async def test_another_image_of_the_study_is_left_alone(objects: MemoryStore) -> None:
    pictures = await pictures_of(objects)
    await pictures.store_heatmaps("S1", "0" * 64, b"")
    assert HEATMAP not in await objects.keys("results/S1/")


async def test_a_model_that_explains_nothing_has_no_heat_map(objects: MemoryStore) -> None:
    pictures = await pictures_of(objects, explained=False)
    await pictures.store_heatmaps("S1", SHA256, IMAGE)
    assert HEATMAP not in await objects.keys("results/S1/")
    with pytest.raises(NoHeatMapError):
        await pictures.heatmap("S1", 1, None)


async def test_what_is_not_there_is_told(objects: MemoryStore) -> None:
    pictures = await pictures_of(objects)
    with pytest.raises(StudyNotFoundError):
        await pictures.preview("S2", 1)
    with pytest.raises(ImageNotFoundError):
        await pictures.preview("S1", 2)
    with pytest.raises(InvalidQueryError) as caught:
        await pictures.heatmap("S1", 1, "grey")
    assert caught.value.faults[0].detail == "must be one of: bright, dark"


async def test_a_number_and_a_link_keep_their_image_when_an_earlier_one_is_read_later(
    objects: MemoryStore,
) -> None:
    pictures = await pictures_of(objects)
    key = picture_key(reading(), 0)
    shown = await pictures.preview("S1", 1, key)
    other = flat_png(200)
    earlier = reading().model_copy(
        update={
            "sha256": hashlib.sha256(other).hexdigest(),
            "received_at": NOW - dt.timedelta(seconds=1),
        }
    )
    await add(objects, other, earlier)
    assert await pictures.preview("S1", 1) == shown
    assert await pictures.preview("S1", 1, key) == shown
    assert await pictures.preview("S1", 2) != shown
    with pytest.raises(ImageNotFoundError):
        await pictures.preview("S1", 1, "0" * 16)


async def test_a_heat_map_is_the_latest_reading_s_unless_its_key_says_which(
    objects: MemoryStore,
) -> None:
    pictures = await pictures_of(objects)
    first = await pictures.heatmap("S1", 1)
    await add(objects, IMAGE, reading(explained=False, version="2"))
    with pytest.raises(NoHeatMapError):
        await pictures.heatmap("S1", 1)
    assert await pictures.heatmap("S1", 1, key=picture_key(reading(), 0)) == first
    with pytest.raises(ImageNotFoundError):
        await pictures.preview("S1", 2)  # one image, however often it was read
