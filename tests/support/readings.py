"""Stored readings as a model makes them, without a model."""

import base64
import datetime as dt
import hashlib
from typing import Any

import numpy as np

from gateway.results.documents import ActivationMap, FrameReading, Reading
from preprocess import MediaType

NOON = dt.datetime(2026, 1, 31, 12, 0, 2, tzinfo=dt.UTC)
PNEUMONIA = {"system": "http://snomed.info/sct", "code": "233604007", "display": "Pneumonia"}


def activation(row: int, column: int) -> ActivationMap:
    """The map of a 14 x 14 grid with evidence in one cell."""
    cells = np.zeros((1, 14, 14), "<f2")
    cells[0, row, column] = 2
    return ActivationMap(shape=cells.shape, data=base64.b64encode(cells.tobytes()))


def frame(probability: float = 0.9, **changes: Any) -> FrameReading:
    """The reading of a frame of 140 x 280 pixels, with its peak in row 3 and column 10 of 14."""
    finding = {"label": "pneumonia", "code": PNEUMONIA, "probability": probability}
    finding |= {"threshold": 0.86, "positive": probability >= 0.86}
    return FrameReading(
        **{
            "rows": 140,
            "columns": 280,
            "bits_stored": 8,
            "findings": (finding,),
            "activation_map": activation(3, 10),
        }
        | changes
    )


def reading(number: int = 1, *frames: FrameReading, **changes: Any) -> Reading:
    """The reading of an image, which its number makes another one."""
    return Reading(
        **{
            "study_id": "S1",
            "number": number,
            "sha256": hashlib.sha256(str(number).encode()).hexdigest(),
            "media_type": MediaType.DICOM,
            "object": "image.dcm",
            "model": {"name": "cxr", "version": "1"},
            "disclaimer": "Not for clinical use.",
            "received_at": NOON,
            "completed_at": NOON,
            "timings_ms": {},
            "warnings": (),
            "metadata": {},
            "frames": frames or (frame(),),
        }
        | changes
    )
