"""The documents the store holds of a study, beside the image itself."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import AwareDatetime, Base64Bytes, Field, RootModel, model_validator

from gateway.schemas.result import Finding, ModelVersion, ResultWarning
from gateway.schemas.stored_document import Identity, Milliseconds, StoredDocument

_HALF_FLOAT_BYTES = 2


class StudyDocument(StoredDocument):
    """Identity of a study, as stated by the first document that came under its id."""

    schema_: Literal["radstream.study/1"] = Field("radstream.study/1", alias="schema")
    study_id: str
    received_at: AwareDatetime
    identity: Identity


class LaterIdentity(RootModel[Identity]):
    """Identifying attributes that a later document of a study was the first to give."""


class ActivationMap(StoredDocument):
    """Model's evidence for each label, cell by cell: little-endian half floats, C order."""

    shape: tuple[int, int, int] = Field(description="Labels, rows, columns.")
    covers: tuple[float, float, float, float] = Field(
        (0.0, 0.0, 1.0, 1.0),
        description="Top, left, bottom and right of the map, in fractions of the picture: a model "
        "may see a part of it, or more than it.",
    )
    full: float | None = Field(None, description="Evidence in a cell that is drawn in full colour.")
    data: Base64Bytes

    @model_validator(mode="after")
    def _fill_the_shape(self) -> ActivationMap:
        if len(self.data) != math.prod(self.shape) * _HALF_FLOAT_BYTES:
            raise ValueError("the data do not fill the shape")
        return self


class FrameReading(StoredDocument):
    """Result of the model for one frame."""

    rows: int
    columns: int
    bits_stored: int
    shown: tuple[float, float] = Field(
        (0.0, 1.0),
        description="What of the picture's full range was black and white to the model, in "
        "fractions; previews and heat maps show the same.",
    )
    findings: tuple[Finding, ...]
    activation_map: ActivationMap | None = None


class Reading(StoredDocument):
    """Result of one model version for one image."""

    schema_: Literal["radstream.reading/1"] = Field("radstream.reading/1", alias="schema")
    study_id: str
    sha256: str
    media_type: str
    model: ModelVersion
    received_at: AwareDatetime
    position: int = Field(
        0, ge=0, description="The image's place among those that were new in its request, from 0."
    )
    completed_at: AwareDatetime
    timings_ms: Milliseconds
    warnings: tuple[ResultWarning, ...]
    metadata: dict[str, Any] = Field(description="The document the image came with, whole.")
    frames: tuple[FrameReading, ...]
    sop_instance_uid: str | None = Field(
        None, description="SOP Instance UID (0008,0018) of a DICOM file that has one."
    )
    dropped_as: str | None = Field(
        None, description="Reference of the drop folder's object that it was read from first."
    )


class StandingFile(StoredDocument):
    """The content that stands under a name of the drop folder, where several were read under it."""

    schema_: Literal["radstream.standing-file/1"] = Field(
        "radstream.standing-file/1", alias="schema"
    )
    sha256: str
    noted_at: AwareDatetime
