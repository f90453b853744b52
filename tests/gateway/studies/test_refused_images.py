"""Images that cannot be processed are told all at once."""

import numpy as np
import pytest
from structlog.testing import capture_logs

from gateway.errors import (
    ImagesTooLargeError,
    ImagesWithoutContrastError,
    RadStreamError,
    UnreadableImagesError,
    UnsupportedImagesError,
)
from tests.gateway.studies.piped import WHITE, Parts
from tests.support.models import flat_png, png
from tests.support.store import MemoryStore


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
