"""Sample radiographs, for a first look at what the gateway does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# By file: the name of its study and the view, as the data set's authors have it.
_FILES = {
    "pneumonia-bacterial.jpeg": ("sample-pneumonia", "AP"),
    "pneumonia-viral.jpeg": ("sample-pneumonia-viral", "AP"),
    "normal.jpeg": ("sample-normal", "AP"),
}
_AGE = "003Y"  # invented, within the one to five years of the data set's children
# The same each time, so that samples sent again are the studies of before.
_TAKEN_AT = "2026-01-31T08:15:00Z"


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample study.

    Parameters
    ----------
    study_id
        Its name.
    document, image
        Metadata in JSON, and a JPEG.
    """

    study_id: str
    document: bytes
    image: bytes


@cache
def samples() -> tuple[Sample, ...]:
    """Return the samples, the most telling one first."""
    folder = files("gateway.console") / "samples"
    return tuple(
        Sample(study_id, _document(study_id, view), (folder / name).read_bytes())
        for name, (study_id, view) in _FILES.items()
    )


def _document(study_id: str, view: str) -> bytes:
    document = {
        "study_id": study_id,
        "view": view,
        "timestamp": _TAKEN_AT,
        "patient_age": _AGE,
        "modality": "DX",
        "body_part": "CHEST",
    }
    return json.dumps(document).encode()
