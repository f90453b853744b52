"""Keys of what is kept of a study.

Under ``results/{study_id}/``, and of the withdrawal of a deleted study, which has two documents
alone, under ``work/withdrawals/!{study_id}!{time}/``:

``result.json``
    The study: a `StudyDocument`, the one object that is ever replaced.
``study.json``
    Of a withdrawal alone: the `WithdrawnStudy`, written first and removed first.
``pages/{first}-{last}-{hash}.json``
    A `Page` of earlier readings of a study whose document grew too long.
``pages/lists/{first}-{last}-{hash}.json``
    A `PageList` of its first pages, where they are too many for the document to list.
``pages/rest/{token}.json``
    A `RecordRest`, where the document has no room for it; by each change of it under a new name.
``pointers/{sop_instance_uid}``
    A mark of an instance that has a pointer; see `gateway.results.instances`.
``images/{sha256}/image-{token}.{jpg,png,dcm}``
    The image as it was sent; under a new name by each writer, which may therefore remove it again.
    One that was accepted and is not processed yet is named by its submission.
``submissions/{id}/…``, ``callbacks/{id}/…``
    Objects that work of the study needs until it is done; see `gateway.work.keys`.
``images/{sha256}/{model}-{version}.heatmap.png``
    The heat map, for a sender who reads the store; ``.heatmap-{frame}`` where there are several.
``shadows/{sha256}/{model}-{version}.json``
    A `ShadowReading`, which the study's document does not name; see `gateway.results.shadows`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from gateway.storage.layout import SUBMISSIONS, WITHDRAWALS, WITHDRAWN, folder_of
from gateway.work.keys import kept_folder
from preprocess import MediaType

if TYPE_CHECKING:
    import datetime as dt

    from gateway.results.documents import Reading
    from gateway.schemas.result import ModelVersion
    from gateway.work.documents import SubmittedPart
    from gateway.work.keys import WorkId

_EXTENSIONS = {MediaType.JPEG: "jpg", MediaType.PNG: "png", MediaType.DICOM: "dcm"}
_MEDIA_TYPES = {extension: media_type for media_type, extension in _EXTENSIONS.items()}


def study_folder(study_id: str) -> str:
    """Return what the keys of all that is kept of a study begin with."""
    return folder_of(study_id)


def document_key(study_id: str) -> str:
    """Return the key of a study's document."""
    return f"{study_folder(study_id)}result.json"


def withdrawal_id(study_id: str, requested_at: dt.datetime) -> str:
    """Return the name of the withdrawal of a study by the deletion that was asked for then."""
    return f"{WITHDRAWN}{study_id}{WITHDRAWN}{requested_at:%Y%m%dT%H%M%S%fZ}"


def withdrawn_study(withdrawal: str) -> str | None:
    """Return the study_id that a withdrawal is of; None of the name of a study."""
    if not withdrawal.startswith(WITHDRAWN):
        return None
    return withdrawal.removeprefix(WITHDRAWN).rpartition(WITHDRAWN)[0]


def withdrawn_study_key(withdrawal: str) -> str:
    """Return the key of the `WithdrawnStudy` of a withdrawal, which is over once that is gone."""
    return f"{study_folder(withdrawal)}study.json"


def withdrawals_of(study_id: str) -> str:
    """Return what the keys of all withdrawals of a study begin with."""
    return f"{WITHDRAWALS}{WITHDRAWN}{study_id}{WITHDRAWN}"


def pages_folder(study_id: str) -> str:
    """Return what the keys of all that moved out of a study's document begin with."""
    return f"{study_folder(study_id)}pages/"


def page_key(study_id: str, name: str) -> str:
    """Return the key of a page of this name."""
    return f"{pages_folder(study_id)}{name}.json"


def page_list_key(study_id: str, name: str) -> str:
    """Return the key of a list of pages of this name."""
    return f"{pages_folder(study_id)}lists/{name}.json"


def rest_folder(study_id: str) -> str:
    """Return what the key of the rest of a study's record begins with."""
    return f"{pages_folder(study_id)}rest/"


def rest_key(study_id: str, name: str) -> str:
    """Return the key of the rest of a study's record of this name."""
    return f"{rest_folder(study_id)}{name}.json"


def pointers_folder(study_id: str) -> str:
    """Return what the keys of the marks of a study's instances begin with."""
    return f"{study_folder(study_id)}pointers/"


def images_folder(study_id: str) -> str:
    """Return what the keys of all images and heat maps of a study begin with."""
    return f"{study_folder(study_id)}images/"


def image_folder(study_id: str, sha256: str) -> str:
    """Return what the keys of an image and its heat maps begin with."""
    return f"{images_folder(study_id)}{sha256}/"


def new_image_name(media_type: str) -> str:
    """Return a name for an image's object, below its folder, that nothing has."""
    return f"image-{secrets.token_hex(4)}.{_EXTENSIONS[MediaType(media_type)]}"


def media_type_of(name: str) -> str:
    """Return the media type that the name of an image's object tells."""
    extension = name.partition(".")[2]
    return _MEDIA_TYPES.get(extension, "application/octet-stream")


def submitted_key(work: WorkId, part: SubmittedPart) -> str:
    """Return the key of an image that was accepted and is not processed yet."""
    if part.sha256 is None:
        return f"{kept_folder(SUBMISSIONS, work)}{part.object}"
    return f"{image_folder(work.study_id, part.sha256)}{part.object}"


def image_key(reading: Reading) -> str:
    """Return the key of the image that a reading was made of."""
    return f"{image_folder(reading.study_id, reading.sha256)}{reading.object}"


def heatmap_key(reading: Reading, index: int) -> str:
    """Return the key of the heat map of a reading's frame, which is counted from 0."""
    frame = f"-{index + 1}" if len(reading.frames) > 1 else ""
    folder = image_folder(reading.study_id, reading.sha256)
    return f"{folder}{reading.model.name}-{reading.model.version}.heatmap{frame}.png"


def shadows_folder(study_id: str) -> str:
    """Return what the keys of all readings by shadow models of a study begin with."""
    return f"{study_folder(study_id)}shadows/"


def shadow_key(study_id: str, sha256: str, model: ModelVersion) -> str:
    """Return the key of a shadow model's reading of an image."""
    return f"{shadows_folder(study_id)}{sha256}/{model.name}-{model.version}.json"
