"""Result of a study: the answer of a POST, and `result.json` in the store."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.schemas.feedback import Feedback
from gateway.schemas.not_processed import NotProcessed
from gateway.schemas.problem import Problem
from gateway.schemas.routing_explanation import ImageRouting
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
    """A model and its version."""

    name: str = Field(examples=["cxr_pneumonia"])
    version: str = Field(examples=["1"])


class ModelDescription(ModelVersion):
    """A model version in its maker's words."""

    title: str | None = Field(None, examples=["Pneumonia on frontal chest radiographs"])
    intended_use: str | None = Field(
        None, description="Intended use and its limits, from the model's contract."
    )


class Verdict(StrEnum):
    """Verdict on whether a model is made for a picture."""

    APPLICABLE = "applicable"
    NOT_APPLICABLE = "not_applicable"


class Applicability(_Wire):
    """Fitness of the model for such a picture, as far as its contract says."""

    verdict: Verdict
    score: float | None = Field(
        None, description="Applicability score of the model, where it gives one."
    )
    reason: str | None = Field(None, description="Cause, where the verdict is `not_applicable`.")
    doubts: tuple[str, ...] | None = Field(
        None, description="Reasons to doubt it, where the verdict is `applicable`."
    )


class Mode(StrEnum):
    """Part that a model plays for a study."""

    LIVE = "live"
    CANARY = "canary"
    SHADOW = "shadow"  # of readings that nothing shows
    SILENT = "silent"  # of readings by a model that fell silent, in telemetry alone


class Finding(_Wire):
    """Probability of one label, with the threshold that makes it positive."""

    label: str = Field(examples=["pneumonia"])
    code: Code | None = None
    probability: float = Field(ge=0, le=1, description="Probability of the finding, by the model.")
    threshold: float = Field(
        ge=0, le=1, description="Probability that makes the finding positive, from the contract."
    )
    positive: bool | None = Field(
        None,
        description="True if the probability reaches the threshold; absent where the model is not "
        "applicable.",
    )


class ResultWarning(_Wire):
    """Advice to the sender of a study that was processed."""

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
    """One image, with one reading by each model version that processed it, oldest first."""

    number: int = Field(description="The image's place in the study, from 1; it never changes.")
    sha256: str = Field(description="SHA-256 of the image's bytes, in hexadecimal.")
    frame: int | None = Field(
        None, description="The frame's number, from 1, where the file has several."
    )
    media_type: str = Field(examples=["image/jpeg"])
    rows: int = Field(description="Rows (0028,0010) of the image as sent.")
    columns: int = Field(description="Columns (0028,0011) of the image as sent.")
    bits_stored: int = Field(description="Bits Stored (0028,0101).")
    view: str | None = Field(
        None,
        description="View from the metadata or the data set; absent where neither has one and the "
        "model takes any view.",
        examples=["AP"],
    )
    sop_instance_uid: str | None = Field(None, description="SOP Instance UID (0008,0018).")
    series_instance_uid: str | None = Field(None, description="Series Instance UID (0020,000E).")
    preview: str = Field(description="Path of the image as an 8-bit PNG.")
    received_at: AwareDatetime
    superseded_by: str | None = Field(
        None,
        description="SHA-256 of the image that replaced this one: other bytes came under its name "
        "in the drop folder. Its pictures remain available; it no longer counts.",
    )
    readings: tuple[ReadingResult, ...]


class PendingSubmission(_Wire):
    """Images that were accepted together and wait to be processed."""

    received_at: AwareDatetime
    images: int = Field(description="Number of images sent together.")
    attempts: int = Field(description="Number of attempts to process them so far.")
    next_attempt_at: AwareDatetime | None = Field(
        None, description="Earliest time of the next attempt."
    )
    problem: Problem | None = Field(None, description="Problem of the last attempt.")


class FailedSubmission(_Wire):
    """Images that were accepted together and failed for good; none of them was stored."""

    received_at: AwareDatetime
    failed_at: AwareDatetime
    images: int = Field(
        description="Number of images sent together; 0 where the stored submission is unreadable."
    )
    attempts: int = Field(description="Number of attempts to process them.")
    parked: str = Field(description="Id of the parked item, for the operator to retry or discard.")
    problem: Problem


# The answer to the README's own example.
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
                    "model": {"name": "cxr_pneumonia", "version": "2"},
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
                            "probability": 0.999848,
                            "threshold": 0.51,
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


class RenderingKind(StrEnum):
    """Form in which results are brought to a destination."""

    STRUCTURED_REPORT = "structured-report"
    SECONDARY_CAPTURE = "secondary-capture"
    REJECTION_NOTE = "rejection-note"
    FHIR = "fhir"
    ORU = "oru"
    NOTICE = "notice"


class AskedModel(_Wire):
    """A model that is to read an image."""

    name: str
    version: str | None = Field(None, description="Version, where it is known which one is meant.")


class MissingReading(_Wire):
    """A reading that a model owes, though others of the image were made."""

    sha256: str = Field(description="SHA-256 of the image's bytes, in hexadecimal.")
    model: AskedModel
    since: AwareDatetime = Field(description="Time of the first attempt.")
    is_retried: bool = Field(
        description="True if the gateway tries again; else the image is to be sent again."
    )
    problem: Problem


class DeliveryState(StrEnum):
    """Standing of a result on its way to a destination."""

    WAITING = "waiting"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    CONFIRMED = "confirmed"
    PARKED = "parked"


class StudyDelivery(_Wire):
    """Result that a destination is to get, or has got."""

    destination: str = Field(description="Name of the destination in the routing document.")
    rendering: RenderingKind
    state: DeliveryState = Field(
        description="`waiting` until it is sent; `sent` where it was sent and not acknowledged, so "
        "that the destination may have it; `acknowledged` by the destination; `confirmed` where "
        "the destination was asked for it afterwards, and has it; `parked` where it is not tried "
        "again before an operator says so."
    )
    attempts: int = Field(description="Number of attempts to bring it.")
    at: AwareDatetime = Field(description="Time at which it came into this state.")
    objects: tuple[str, ...] = Field(
        (),
        description="Identifiers that the destination knows it by, such as SOP Instance UIDs "
        "(0008,0018).",
    )
    problem: Problem | None = Field(None, description="Problem of the last attempt.")
    warning: str | None = Field(
        None,
        description="Reason why what was acknowledged is not confirmed, though the destination "
        "was asked.",
    )
    parked: str | None = Field(
        None, description="Id of the parked item, for the operator to retry or discard."
    )


class StudyDeliveries(_Wire):
    """Results that were promised to destinations."""

    deliveries: tuple[StudyDelivery, ...]


class StudyCompletion(_Wire):
    """Completion of a study whose images come one by one."""

    completed_at: AwareDatetime | None = Field(
        None,
        description="Time at which all its images had come and were processed; absent while it "
        "waits for more.",
    )
    last_instance_at: AwareDatetime = Field(description="Time of arrival of its last image.")
    expected_instances: int | None = Field(
        None,
        description="Number of its instances, as its sender (0020,1208) or a rule says.",
    )
    expected_views: tuple[str, ...] | None = Field(None, description="Views, as a rule says.")
    missing_instances: int | None = Field(
        None, description="Number of instances that it was completed without."
    )
    missing_views: tuple[str, ...] | None = Field(
        None, description="Views that it was completed without."
    )
    held: bool | None = Field(
        None, description="True while its results are held back, until an operator decides."
    )
    reopened: int = Field(0, description="Number of times that a late image opened it again.")


class StudyResult(_Wire):
    """A study: its images in the order they joined it, each with its readings.

    Those of one request stand in the order they were sent in. `pending` and `failures` list the
    images sent with `Prefer: respond-async` that are not processed yet, or failed for good.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    schema_: Literal["radstream.result/2"] = Field("radstream.result/2", alias="schema")
    study_id: str
    study_instance_uid: str | None = Field(
        None, description="Study Instance UID (0020,000D), where an image of it is DICOM."
    )
    status: Status = Field(
        description="`pending` while an accepted image waits to be processed; else `partial` where "
        "an image is still to be sent again or has failed, `completed` where all were processed, "
        "`failed` where none could be."
    )
    received_at: AwareDatetime = Field(description="Time of arrival of the study's first image.")
    completed_at: AwareDatetime | None = Field(
        None, description="Time at which the last image so far was processed."
    )
    warnings: tuple[ResultWarning, ...] = Field(
        (), description="Advice to the sender; the study was processed all the same."
    )
    disclaimer: str | None = Field(
        None, description="Limits on the use of the results, from the contracts of the models."
    )
    earlier_images: int | None = Field(
        None,
        description="Number of images that came before these and are left out of the answer to a "
        "POST, and of `result.json` in the store; `GET` lists all.",
    )
    images: tuple[ImageResult, ...] = ()
    not_processed: tuple[NotProcessed, ...] | None = Field(
        None,
        description="Images that came with others and could not be processed; the status is "
        "`partial`. An entry goes when its image is sent again, corrected.",
    )
    not_processed_left_out: int | None = Field(
        None,
        description="Number of further such images, for whose entries the study's document has no "
        "room, 1000 at most. Each counts until it is sent again, corrected.",
    )
    pending: tuple[PendingSubmission, ...] | None = Field(
        None, description="Accepted images that wait to be processed; the status is `pending`."
    )
    failures: tuple[FailedSubmission, ...] | None = Field(
        None, description="Accepted images that failed for good."
    )
    routing: tuple[ImageRouting, ...] | None = Field(
        None, description="Explanation of the routing of its images, where it is asked for."
    )
    missing_readings: tuple[MissingReading, ...] | None = Field(
        None, description="Readings that models owe; the status is `partial`."
    )
    completion: StudyCompletion | None = Field(
        None, description="Completion, of a study sent over DICOM or DICOMweb."
    )
    deliveries: tuple[StudyDelivery, ...] | None = Field(
        None, description="Results for destinations, oldest first."
    )
    feedback: tuple[Feedback, ...] | None = Field(
        None, description="Judgements of readers and reports on its findings, oldest first."
    )


def study_path(study_id: str) -> str:
    """Return the path of a study's result."""
    return f"/v1/studies/{study_id}"
