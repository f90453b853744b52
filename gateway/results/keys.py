"""Keys of what is kept of a study.

Under ``results/{study_id}/``:

``study.json``
    A `StudyDocument`: who the study is about, as its first document said.
``identity/{n}.json``
    Identifying attributes that a later document was the first to give; n counts from 1.
``images/{sha256}/image.{jpg,png,dcm}``
    The image as it was sent.
``images/{sha256}/{model}-{version}.json``
    A `Reading`: what one model version made of the image.
``images/{sha256}/{model}-{version}.heatmap.png``
    The heat map, for a sender who reads the store; ``.heatmap-{frame}`` where there are several.
``not_processed/{sha256}.json``
    An image that is to be sent again; see `gateway.results.not_processed`.
``names/{name}/{n}.json``
    What stands under a name of the drop folder; see `gateway.results.replaced_files`.
``result.json``
    The current view, rebuilt from the readings; the one object that is ever replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.storage.layout import RESULTS
from preprocess import MediaType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.results.documents import Reading
    from gateway.schemas.result import ModelVersion

EXTENSIONS = {MediaType.JPEG: "jpg", MediaType.PNG: "png", MediaType.DICOM: "dcm"}


def study_folder(study_id: str) -> str:
    """Return what the keys of all that is kept of a study begin with."""
    return f"{RESULTS}{study_id}/"


def images_folder(study_id: str) -> str:
    """Return what the keys of all images and readings of a study begin with."""
    return f"{study_folder(study_id)}images/"


def image_folder(study_id: str, sha256: str) -> str:
    """Return what the keys of an image and its readings begin with."""
    return f"{images_folder(study_id)}{sha256}/"


def image_key(reading: Reading) -> str:
    """Return the key of the image that a reading was made of."""
    extension = EXTENSIONS[MediaType(reading.media_type)]
    return f"{image_folder(reading.study_id, reading.sha256)}image.{extension}"


def reading_name(model: ModelVersion) -> str:
    """Return the last part of the key of a reading by this model version."""
    return f"{model.name}-{model.version}.json"


def reading_key(reading: Reading) -> str:
    """Return the key of a reading."""
    return image_folder(reading.study_id, reading.sha256) + reading_name(reading.model)


def readings_among(study_id: str, keys: Iterable[str]) -> list[str]:
    """Return those of a study's keys that are of readings."""
    folder = images_folder(study_id)
    return [key for key in keys if key.startswith(folder) and key.endswith(".json")]


def heatmap_key(reading: Reading, index: int) -> str:
    """Return the key of the heat map of a reading's frame, which is counted from 0."""
    frame = f"-{index + 1}" if len(reading.frames) > 1 else ""
    return reading_key(reading).removesuffix(".json") + f".heatmap{frame}.png"
