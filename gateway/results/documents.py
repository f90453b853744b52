"""The documents the store holds of a study, beside the image itself."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, Literal

from pydantic import AwareDatetime, Base64Bytes, Field, model_validator

from gateway.results.tombstone import Closing
from gateway.schemas.feedback import Feedback
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.problem import Problem
from gateway.schemas.result import (
    DeliveryState,
    Finding,
    Mode,
    ModelVersion,
    RenderingKind,
    ResultWarning,
)
from gateway.schemas.stored_document import (
    Counts,
    Identity,
    Milliseconds,
    Names,
    StoredDocument,
)

_HALF_FLOAT_BYTES = 2


class ActivationMap(StoredDocument):
    """The model's evidence for each label, cell by cell: little-endian half floats, C order."""

    shape: tuple[int, int, int] = Field(description="Labels, rows, columns.")
    covers: tuple[float, float, float, float] = Field(
        (0.0, 0.0, 1.0, 1.0),
        description="Top, left, bottom and right of the map, in fractions of the picture: a model "
        "may see a part of it, or more than it.",
    )
    full: float | None = Field(None, description="Evidence that is drawn in full colour.")
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
        description="Black and white of the model's window, in fractions of the picture's full "
        "range; previews and heat maps show the same.",
    )
    findings: tuple[Finding, ...]
    activation_map: ActivationMap | None = None
    applicability_score: float | None = Field(
        None, description="Score that the model gave of the picture, where it gives one."
    )
    not_applicable: str | None = Field(
        None, description="Cause of the model's not being applicable to this frame."
    )
    withheld: tuple[Finding, ...] = Field(
        (), description="Findings of a silent model: nothing shows them."
    )


class Reading(StoredDocument):
    """Result of one model version for one image."""

    study_id: str
    number: int = Field(
        0, description="Number of its first frame among the study's images, from 1."
    )
    sha256: str
    media_type: str
    object: str = Field(description="Last part of the key of the image.")
    model: ModelVersion
    mode: Mode = Mode.LIVE
    silent: bool = Field(
        False, description="True if the model was silent by a stop rule: `findings` are empty."
    )
    title: str | None = None
    intended_use: str | None = None
    disclaimer: str | None = None
    not_applicable: str | None = Field(
        None, description="Cause of the model's not being applicable; None where it is."
    )
    unfit: str | None = Field(
        None, description="Reason, by its file, why no model is made for the image."
    )
    doubts: tuple[str, ...] = Field(
        (), description="Reasons to doubt that it is, where its findings have a verdict."
    )
    received_at: AwareDatetime
    completed_at: AwareDatetime
    timings_ms: Milliseconds
    warnings: tuple[ResultWarning, ...]
    metadata: dict[str, Any] = Field(
        description="Metadata document that came with the image, whole."
    )
    frames: tuple[FrameReading, ...]
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    dropped_as: str | None = Field(
        None, description="Reference of the first object of the drop folder that held the image."
    )
    sender: str | None = Field(None, description="Label of the caller that sent the image.")
    route: str | None = Field(None, description="Way in by which it came.")


class MissingReading(StoredDocument):
    """A reading that a model owes: others of its image were made."""

    sha256: str
    name: str = Field(description="Name of the model.")
    version: str | None = Field(None, description="Its version, where it is known which one.")
    mode: Mode = Mode.LIVE
    problem: str = Field(description="Kind of the problem for which it is missing.")
    since: AwareDatetime
    work: str | None = Field(
        None, description="Id of the work that tries again; None where the image is to come again."
    )
    failed: bool = Field(False, description="True if that work failed for good, and is parked.")


class SearchAttributes(StoredDocument):
    """Attributes of images by which their study is searched and listed."""

    study_date: dt.date | None = Field(None, description="Study Date (0008,0020).")
    study_time: dt.time | None = Field(
        None, description="Study Time (0008,0030); with the zone of the metadata."
    )
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    series: Counts = Field({}, description="Number of instances by Series Instance UID.")
    warnings: int = 0


class Page(StoredDocument):
    """Readings that were moved out of a study's document; written once."""

    schema_: Literal["radstream.page/1"] = Field("radstream.page/1", alias="schema")
    readings: tuple[Reading, ...]


class PageEntry(StoredDocument):
    """Page of a study, as its document lists it.

    Most look-ups of a page ask only if an image is on it: the hashes tell, but for one in millions,
    and the page itself for sure.
    """

    name: str = Field(description="Last part of its key, less the ending.")
    readings: int
    images: int = Field(description="Images that are new on it, each frame being one.")
    hashes: Base64Bytes = Field(description="First bytes of each image's SHA-256.")
    names: Base64Bytes = Field(
        b"", description="First bytes of each name in the drop folder, where images have one."
    )
    disclaimers: tuple[str, ...] = ()
    completed_at: AwareDatetime
    positive: tuple[str, ...] = Field(description="Labels found positive on it.")
    attributes: SearchAttributes = SearchAttributes()
    silent: bool = Field(False, description="True if a reading on it is of a silent model.")


class PageList(StoredDocument):
    """Entries of a study's earlier pages, moved out of its document; written once."""

    schema_: Literal["radstream.page-list/1"] = Field("radstream.page-list/1", alias="schema")
    pages: tuple[PageEntry, ...]


class BesideEntry(StoredDocument):
    """Object with a part of a study's record, as its document names it."""

    name: str = Field(description="Last part of its key, less the ending.")
    bytes: int = Field(description="Its length.")
    pages: int = Field(0, description="Number of pages that it lists.")


class PendingImages(StoredDocument):
    """Images that were accepted together and wait; their id has the time at which they came."""

    id: str
    images: int
    due: AwareDatetime | None = Field(
        None, description="Time of the next attempt, to the second; None before the first."
    )
    attempts: int = 0
    problem: str | None = Field(None, description="Kind of the last attempt's problem.")


class FailedImage(StoredDocument):
    """Image that failed for good, as far as it is known again."""

    hash: str | None = Field(None, description="First digits of its SHA-256.")
    instance: str | None = Field(
        None, description="First digits of the SHA-256 of its SOP Instance UID (0008,0018)."
    )


class FailedImages(StoredDocument):
    """Images accepted together that failed for good, until they are processed or discarded."""

    id: str
    images: int
    attempts: int
    failed_at: AwareDatetime
    problem: str = Field(description="Kind of the problem.")
    told: Problem | None = Field(
        None, description="Problem in full, where the document has room for it."
    )
    sent: tuple[FailedImage, ...] = Field(
        (), description="Each of them, where all are known and the document has room for them."
    )


class Completion(StoredDocument):
    """Completion of a study whose images come one by one; see `gateway.results.completion`."""

    work: str = Field(description="Id of its entry.")
    last_instance_at: AwareDatetime
    expected: int | None = Field(
        None, description="Number of Study Related Instances (0020,1208), the largest that came."
    )
    quiet_s: float | None = Field(
        None, description="Seconds of its quiet time, where rules say it; else the settings do."
    )
    expected_views: tuple[str, ...] = Field((), description="Views that rules expect.")
    holds: bool = Field(
        False, description="True if rules hold its results back where it ends incomplete."
    )
    completed_at: AwareDatetime | None = None
    ended_by: str | None = Field(None, description="Id of the work that completed it.")
    missing_instances: int = Field(0, description="Number of those that it was completed without.")
    missing_views: tuple[str, ...] = ()
    held: bool = Field(
        False, description="True while its results are held back; the parked item tells of it."
    )
    counted: bool = Field(
        False, description="True if all expected instances had come, and not a quiet time."
    )
    reopened: int = Field(0, description="Number of times that a late image opened it again.")
    delivered: bool = Field(
        False, description="True once `deliveries` has what this completion brings to destinations."
    )


class DeliveryItem(StoredDocument):
    """Result on its way to a destination; see `gateway.results.deliveries`."""

    id: str = Field(description="Id of its entry.")
    destination: str
    rendering: RenderingKind
    revision: str = Field(description="State of the study that is brought: its completion's id.")
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    at: AwareDatetime = Field(description="Time at which it came into its state.")
    objects: tuple[str, ...] = Field(
        (), description="Identifiers of what was sent, such as SOP Instance UIDs."
    )
    corrections: tuple[int, ...] = Field(
        (0,), description="Numbers of corrections of the identity before what was sent."
    )
    problem: Problem | None = Field(None, description="Problem of the last attempt.")
    warning: str | None = Field(None, description="Reason why it is not confirmed.")
    classes: Names = Field(
        {},
        description="SOP Class UID of each report that is no Comprehensive 3D SR, by its own UID.",
    )
    acknowledged: tuple[str, ...] = Field(
        (), description="Objects that the destination took, as long as others are on their way."
    )
    unasked: tuple[str, ...] = Field(
        (), description="Objects of these that the destination could not be asked for yet."
    )
    confirmed: tuple[str, ...] = Field(
        (), description="Objects that the destination has confirmed, as long as others are not."
    )
    unproven: int = Field(
        0,
        description="Number of times that the destination acknowledged one and did not have it, "
        "or declined to be asked for it.",
    )
    after: tuple[str, ...] = Field(
        (), description="Withdrawals of the study's former life, which the destination gets first."
    )


class StudyRecord(StoredDocument):
    """Stored state of a study, less its images and pictures."""

    study_id: str
    received_at: AwareDatetime | None = Field(
        None, description="Time of arrival of its first image; None while none was processed."
    )
    changed_at: AwareDatetime
    study_instance_uid: str | None = None
    identity: Identity = Field(
        {}, description="Patient and study identifiers, from the documents that came."
    )
    former: tuple[Identity, ...] = Field(
        (), description="Identities that a sender with the right to has corrected, oldest first."
    )
    images: int = Field(0, description="Number of its images, each frame being one.")
    page_lists: tuple[BesideEntry, ...] = Field(
        (), description="Lists of its first pages, in objects of their own."
    )
    rest: BesideEntry | None = Field(
        None, description="Object with a `RecordRest`, where the document has no room for that."
    )
    pages: tuple[PageEntry, ...] = Field(
        (), description="Its pages, in order; the document has those that stand on no list."
    )
    readings: tuple[Reading, ...] = Field(
        (), description="Readings that joined after all pages, in order."
    )
    open_images: tuple[NotProcessedDocument, ...] = Field(
        (), description="Images that are to be sent again."
    )
    open_images_left_out: tuple[str, ...] = Field(
        (),
        description="First 8 digits of the SHA-256 of each of the others, for which the document "
        "has no room, and of that of its SOP Instance UID; the latest thousand.",
    )
    missing_readings: tuple[MissingReading, ...] = Field(
        (), description="Readings that models owe."
    )
    pending: tuple[PendingImages, ...] = Field((), description="Images that wait, as they came.")
    failed: tuple[FailedImages, ...] = ()
    completion: Completion | None = None
    deliveries: tuple[DeliveryItem, ...] = Field(
        (), description="Results for destinations, oldest first."
    )
    feedback: tuple[Feedback, ...] = Field(
        (), description="Judgements on its findings, oldest first."
    )
    standing: Names = Field(
        {},
        description="SHA-256 of the current image by its name in the drop folder, for names under "
        "which several images were processed.",
    )

    @classmethod
    def begun(cls, study_id: str) -> StudyRecord:
        """Return the record of a study of which nothing is known."""
        return cls(study_id=study_id, changed_at=dt.datetime.now(dt.UTC))

    def changed(self, **news: object) -> StudyRecord:
        """Return the record with these fields, and a later time whatever this gateway's clock says.

        The search index tells an older state from a newer one by it.
        """
        now = max(dt.datetime.now(dt.UTC), self.changed_at + dt.timedelta(microseconds=1))
        return self.model_copy(update={**news, "changed_at": now})

    def unlisted_pages(self) -> tuple[PageEntry, ...]:
        """Return the pages that stand on no list."""
        return self.pages[sum(each.pages for each in self.page_lists) :]

    def lacks(self) -> bool:
        """Return True if images of it were not processed, or readings of them are owed."""
        return bool(
            self.open_images or self.open_images_left_out or self.missing_readings or self.failed
        )


class StudyDocument(StoredDocument):
    """The study's object in the store: its public view, and the record that it is made from.

    Of a study that is being deleted it has the closing alone.
    """

    schema_: Literal["radstream.result/2"] = Field(alias="schema")
    record: StudyRecord | None = None
    closing: Closing | None = None

    @model_validator(mode="after")
    def _has_one(self) -> StudyDocument:
        if (self.record is None) == (self.closing is None):
            raise ValueError("a study has a record, or is being deleted")
        return self
