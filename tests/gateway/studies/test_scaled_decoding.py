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
        (1, 304, 400, (304, 400)),
        (2, 304, 400, (152, 200)),
        (4, 304, 400, (76, 100)),
        (8, 304, 400, (38, 50)),
        (8, 4 * SIDE, 400, (SIDE, 100)),  # an eighth would be less than the model takes
        (4, SIDE, SIDE, (SIDE, SIDE)),
        (8, 304, 402, (152, 201)),  # as far as it divides both: an ensemble takes whole samples
        (8, 304, 401, (304, 401)),
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
    _, [prepared] = await imaging.prepare(image, [model], Deadline.after(10), read_before=[()])
    (frame,) = prepared.frames
    assert frame.call.inputs["pixels"].shape == decoded
    assert (frame.rows, frame.columns) == (rows, columns)


async def test_what_the_gateway_resamples_may_jut_out() -> None:
    model = ServedModel(
        "brightness", "1", Contract.model_validate(contract({"input": {"jpeg_reduction": 4}})), {}
    )
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    # Black but for the last column, which a quarter of a sample's width shows.
    samples = np.zeros((256, 257), np.uint8)
    samples[:, 128:] = 255
    done, data = cv2.imencode(".jpg", samples)
    assert done
    image = StudyImage("image[0]", data.tobytes(), METADATA)
    _, [prepared] = await imaging.prepare(image, [model], Deadline.after(10), read_before=[()])
    (tensor,) = prepared.frames[0].call.inputs.values()
    # White from 128 of 257 columns on, not of the 260 that were decoded.
    assert tensor.mean() == pytest.approx(129 / 257, abs=0.002)
