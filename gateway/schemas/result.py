"""Result of a study: the answer of a POST, and `result.json` in the store."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.schemas.not_processed import NotProcessed
from gateway.schemas.problem import Problem
from gateway.schemas.stored_document import Milliseconds

if TYPE_CHECKING:
    from pydantic.config import JsonDict


SCHEMA = "radstream.result/2"


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)


class Status(StrEnum):
    """State of a study's processing."""

    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    PENDING = "pending"


class Code(_Wire):
    """A coded concept, as DICOM's Code Sequence Macro and FHIR's Coding have it."""

    system: str = Field(description="URI of the code system.", examples=["http://snomed.info/sct"])
    code: str = Field(examples=["233604007"])
    display: str = Field(examples=["Pneumonia"])


class ModelVersion(_Wire):
    """A model, and which version of it."""

    name: str = Field(examples=["cxr_pneumonia"])
    version: str = Field(examples=["1"])


class ModelDescription(ModelVersion):
    """A model version in its maker's words."""

    title: str | None = Field(None, examples=["Pneumonia on frontal chest radiographs"])
    intended_use: str | None = Field(
        None, description="What it is for and what it is not, from its contract."
    )


class Verdict(StrEnum):
    """Answer to the question whether a model is made for a picture."""

    APPLICABLE = "applicable"
    NOT_APPLICABLE = "not_applicable"


class Applicability(_Wire):
    """Fitness of the model for such a picture, as far as its contract says."""

    verdict: Verdict
    score: float | None = Field(None, description="The model's own, where it gives one.")
    reason: str | None = Field(None, description="Why it is not.")


class Mode(StrEnum):
    """Part that a model plays for a study."""

    LIVE = "live"


class Finding(_Wire):
    """Probability of one label, with the threshold that makes it positive."""

    label: str = Field(examples=["pneumonia"])
    code: Code | None = None
    probability: float = Field(ge=0, le=1, description="Of the finding, by the model.")
    threshold: float = Field(ge=0, le=1, description="From the model's contract.")
    positive: bool | None = Field(
        None,
        description="True if the probability reaches the threshold; absent where the model is not "
        "applicable.",
    )


class ResultWarning(_Wire):
    """Something the sender should know, though the study was read."""

    pointer: str = Field(description="JSON pointer into the metadata, or the name of a part.")
    detail: str


class ReadingResult(_Wire):
    """Result of one model version for one image."""

    model: ModelDescription
    mode: Mode = Mode.LIVE
    applicable: Applicability
    findings: tuple[Finding, ...]
    heatmap: str | None = Field(
        None, description="Path of the heat map, where the model explains itself."
    )
    completed_at: AwareDatetime
    timings_ms: Milliseconds = Field(description="Milliseconds by stage.")


class ImageResult(_Wire):
    """One image, with the reading of each model version that read it, oldest first."""

    number: int = Field(description="The image's place in the study, from 1; it never changes.")
    sha256: str = Field(description="Of the image's bytes, in hexadecimal.")
    frame: int | None = Field(
        None, description="The frame's number, from 1, where the file has several."
    )
    media_type: str = Field(examples=["image/jpeg"])
    rows: int = Field(description="Rows (0028,0010) of the image as sent.")
    columns: int = Field(description="Columns (0028,0011) of the image as sent.")
    bits_stored: int = Field(description="Bits Stored (0028,0101).")
    view: str | None = Field(
        None,
        description="As the metadata or the data set say; absent where neither does and the model "
        "takes any view.",
        examples=["AP"],
    )
    sop_instance_uid: str | None = Field(None, description="SOP Instance UID (0008,0018).")
    series_instance_uid: str | None = Field(None, description="Series Instance UID (0020,000E).")
    preview: str = Field(description="Path of the image as an 8-bit PNG.")
    received_at: AwareDatetime
    superseded_by: str | None = Field(
        None,
        description="SHA-256 of the image that stands in this one's place: other bytes came under "
        "its name in the drop folder. It can still be looked at, and no longer counts.",
    )
    readings: tuple[ReadingResult, ...]


class PendingSubmission(_Wire):
    """Images that were accepted together and are yet to be read."""

    received_at: AwareDatetime
    images: int = Field(description="How many images were sent together.")
    attempts: int = Field(description="How often their reading was begun.")
    next_attempt_at: AwareDatetime | None = Field(
        None, description="Not before then it is tried again."
    )
    problem: Problem | None = Field(None, description="Why the last attempt did not succeed.")


class FailedSubmission(_Wire):
    """Images that were accepted together and failed for good; none of them was stored."""

    received_at: AwareDatetime
    failed_at: AwareDatetime
    images: int = Field(
        description="How many images were sent together; 0 where what was kept of them cannot be "
        "read."
    )
    attempts: int = Field(description="How often their reading was begun.")
    parked: str = Field(description="The parked item's id, for the operator to retry or discard.")
    problem: Problem


# What the README's own example answers.
_EXAMPLE: JsonDict = {
    "schema": SCHEMA,
    "study_id": "first",
    "status": "completed",
    "received_at": "2026-01-31T08:15:02.133250Z",
    "completed_at": "2026-01-31T08:15:02.174924Z",
    "disclaimer": "Not for clinical use.",
    "warnings": [],
    "images": [
        {
            "number": 1,
            "sha256": "dbbb86478e2bc3a7747150adbbda8dcbf278b9c4e1745ab0cd506d25a71a2efb",
            "media_type": "image/jpeg",
            "rows": 712,
            "columns": 984,
            "bits_stored": 8,
            "view": "AP",
            "preview": "/v1/studies/first/images/1/preview.png",
            "received_at": "2026-01-31T08:15:02.133250Z",
            "readings": [
                {
                    "model": {"name": "cxr_pneumonia", "version": "1"},
                    "mode": "live",
                    "applicable": {"verdict": "applicable"},
                    "findings": [
                        {
                            "label": "pneumonia",
                            "code": {
                                "system": "http://snomed.info/sct",
                                "code": "233604007",
                                "display": "Pneumonia",
                            },
                            "probability": 0.999983,
                            "threshold": 0.86,
                            "positive": True,
                        }
                    ],
                    "heatmap": "/v1/studies/first/images/1/heatmap.png",
                    "completed_at": "2026-01-31T08:15:02.174924Z",
                    "timings_ms": {
                        "decode": 1.621,
                        "tensor": 2.699,
                        "infer": 28.059,
                        "total": 41.534,
                    },
                }
            ],
        }
    ],
}


class StudyResult(_Wire):
    """A study: its images in the order they joined it, each with its readings.

    Those of one request stand in the order they were sent in. `pending` and `failures` have what
    was sent with `Prefer: respond-async` and is not read yet, or cannot be.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    schema_: Literal["radstream.result/2"] = Field("radstream.result/2", alias="schema")
    study_id: str
    study_instance_uid: str | None = Field(
        None, description="Study Instance UID (0020,000D), where an image of it is DICOM."
    )
    status: Status = Field(
        description="`pending` while anything accepted is yet to be read; else `partial` where "
        "an image is still to be sent again, `completed` where all were read, `failed` where none "
        "could be."
    )
    received_at: AwareDatetime = Field(description="When the study's first image came.")
    completed_at: AwareDatetime | None = Field(
        None, description="When the last image so far was read."
    )
    warnings: tuple[ResultWarning, ...] = Field(
        (), description="What the sender should know though the study was read."
    )
    disclaimer: str | None = Field(
        None, description="What the contracts of the models say of the results' use."
    )
    earlier_images: int | None = Field(
        None,
        description="How many images came before these and are left out of the answer to a POST, "
        "and of `result.json` in the store; `GET` tells of all.",
    )
    images: tuple[ImageResult, ...] = ()
    not_processed: tuple[NotProcessed, ...] | None = Field(
        None,
        description="Images that came with others and could not be processed; the status is "
        "`partial`. An entry goes when its image is sent again, mended.",
    )
    pending: tuple[PendingSubmission, ...] | None = Field(
        None, description="What was accepted and is yet to be read; the status is `pending`."
    )
    failures: tuple[FailedSubmission, ...] | None = Field(
        None, description="What was accepted and failed for good."
    )


class StudySummary(_Wire):
    """A study in a list."""

    study_id: str
    status: Status
    received_at: AwareDatetime
    completed_at: AwareDatetime | None = None
    images: int = Field(description="Images that stand: those that are superseded do not count.")
    positive: tuple[str, ...] = Field(description="Labels found positive in any of them.")
    href: str = Field(description="Path of the study's result.")


class UnreadableStudy(_Wire):
    """A study in a list of which a stored document cannot be read."""

    study_id: str
    problem: Problem = Field(description="What is broken, and where the operator looks.")


class StudyList(_Wire):
    """One page of studies, by study_id."""

    studies: tuple[StudySummary, ...]
    unreadable: tuple[UnreadableStudy, ...] | None = Field(
        None, description="Studies of this page whose stored documents cannot be read."
    )
    next: str | None = Field(None, description="Path of the next page, where there is one.")


def study_path(study_id: str) -> str:
    """Path of a study's result."""
    return f"/v1/studies/{study_id}"
