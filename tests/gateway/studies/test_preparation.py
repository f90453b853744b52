"""One decoding serves all models that ask the same of it."""

import hashlib
from typing import Any

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from gateway.errors import ImagesWithoutContrastError, UnreadableImagesError
from gateway.models.served_model import ServedModel
from gateway.observability.metrics import Metrics
from gateway.runtime.deadline import Deadline
from gateway.schemas.contract import Contract
from gateway.schemas.metadata import StudyMetadata
from gateway.studies.imaging import Imaging
from gateway.studies.preparation import PreparedImage
from gateway.studies.study import StudyImage
from preprocess import Limits
from tests.support.models import contract, flat_png

METADATA = StudyMetadata.model_validate(
    {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"}
)


def model(**changes: Any) -> ServedModel:
    return ServedModel("brightness", "1", Contract.model_validate(contract({"input": changes})))


async def prepared(data: bytes, *models: ServedModel) -> list[Any]:
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    _, outcomes = await imaging.prepare(
        StudyImage("image[0]", data, METADATA),
        models,
        Deadline.after(30),
        read_before=[()] * len(models),
    )
    imaging.close()
    return outcomes


def jpeg() -> bytes:
    samples = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    done, data = cv2.imencode(".jpg", samples)
    assert done
    return data.tobytes()


async def test_a_jpeg_is_decoded_once_for_each_size_that_models_ask_for():
    models = [model(), model(jpeg_reduction=4), model(), model(jpeg_reduction=4)]
    outcomes = await prepared(jpeg(), *models)
    assert [each.is_shared for each in outcomes] == [False, False, True, True]
    assert {(frame.rows, frame.columns) for each in outcomes for frame in each.frames} == {
        (256, 256)
    }


async def test_other_images_are_decoded_once_whatever_models_ask_for():
    outcomes = await prepared(flat_png(153), model(), model(jpeg_reduction=4))
    assert [each.is_shared for each in outcomes] == [False, True]


async def test_a_fault_of_the_file_is_every_models_and_one_of_a_window_its_own():
    outcomes = await prepared(flat_png(153)[:-30], model(), model())
    assert [type(each) for each in outcomes] == [UnreadableImagesError] * 2
    narrow = model(intensity={"rule": "window", "center": 0.05, "width": 0.1})
    outcomes = await prepared(flat_png(200), model(), narrow)
    assert [type(each) for each in outcomes] == [PreparedImage, ImagesWithoutContrastError]


@pytest.mark.parametrize("reads", [(True, True), (True, False)])
async def test_a_model_that_read_it_before_needs_nothing(reads: tuple[bool, bool]):
    digest = hashlib.sha256(flat_png(153)).hexdigest()
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    sha256, outcomes = await imaging.prepare(
        StudyImage("image[0]", flat_png(153), METADATA),
        [model(), model()],
        Deadline.after(30),
        read_before=[{digest} if read else () for read in reads],
    )
    imaging.close()
    assert sha256 == digest
    assert [each is None for each in outcomes] == list(reads)
