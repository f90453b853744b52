"""A contract says how far a JPEG may be reduced while it is decoded."""

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from gateway.models.served_model import Ensemble, ServedModel
from gateway.observability.metrics import Metrics
from gateway.runtime.deadline import Deadline
from gateway.schemas.contract import Contract
from gateway.schemas.metadata import validate_document
from gateway.studies.imaging import Imaging
from gateway.studies.study import StudyImage
from preprocess import Limits
from tests.support.models import SIDE, contract

METADATA = validate_document({"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T08:15:00Z"})


def jpeg(rows: int, columns: int) -> bytes:
    done, data = cv2.imencode(".jpg", np.linspace((100,) * columns, 130, rows, dtype=np.uint8))
    assert done
    return data.tobytes()


@pytest.mark.parametrize(
    ("reduction", "rows", "columns", "decoded"),
    [
        (1, 300, 401, (300, 401)),
        (2, 300, 401, (150, 201)),
        (4, 300, 401, (75, 101)),
        (8, 300, 401, (38, 51)),
        (8, 4 * SIDE, 401, (SIDE, 101)),  # an eighth would be less than the model takes
        (4, SIDE, SIDE, (SIDE, SIDE)),
    ],
)
async def test_a_jpeg_is_reduced_as_far_as_the_contract_allows(
    reduction: int, rows: int, columns: int, decoded: tuple[int, int]
) -> None:
    document = contract({"input": {"jpeg_reduction": reduction}})
    # An ensemble takes the samples as they were decoded, so their shape can be seen.
    ensembles = {"uint8": Ensemble("brightness_uint8", "1", "pixels", "largest")}
    model = ServedModel("brightness", "1", Contract.model_validate(document), ensembles)
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    image = StudyImage("image[0]", jpeg(rows, columns), METADATA)
    _, prepared = await imaging.prepare(image, model, Deadline.after(10), read_before=())
    (frame,) = prepared.frames
    assert frame.call.inputs["pixels"].shape == decoded
    assert (frame.rows, frame.columns) == (rows, columns)
