"""Documents in the store for work that was accepted and is not done yet."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Base64Bytes, Field

from gateway.schemas.not_processed import NotProcessed
from gateway.schemas.problem import Problem
from gateway.schemas.result import RenderingKind
from gateway.schemas.stored_document import Names, StoredDocument


class Claim(StoredDocument):
    """Claim of one gateway on a piece of work."""

    owner: str = Field(description="Name of the gateway, a dot, and a token of this claim.")
    expires_at: AwareDatetime


class WorkDocument(StoredDocument):
    """Piece of work in its entry: the job, which each kind adds, and the attempts at it."""

    claim: Claim | None = None
    attempts: int = Field(0, description="Number of attempts begun.")
    broken_off: int = Field(0, description="Number of latest attempts in a row without an end.")
    tried_since: AwareDatetime | None = Field(
        None, description="Start of the first attempt, or of the first after an operator's retry."
    )

    @property
    def share(self) -> str:
        """Label of the sender whose share of the turns it takes."""
        return ""


class SubmittedPart(StoredDocument):
    """An image that waits to be processed."""

    part: str = Field(description="Name of the part in the sender's request.")
    object: str = Field(description="Last part of its key.")
    sha256: str | None = Field(
        None,
        description="Of an image that lies where its readings will name it; what has none lies "
        "with the work.",
    )
    sop_instance_uid: str | None = Field(None, description="Of a DICOM file; (0008,0018).")


class Submission(WorkDocument):
    """A study that was accepted and waits to be processed."""

    schema_: Literal["radstream.submission/1"] = Field("radstream.submission/1", alias="schema")
    received_at: AwareDatetime
    metadata: Base64Bytes | None = Field(None, description="Metadata document, byte for byte.")
    parts: tuple[SubmittedPart, ...]
    image_bytes: int = Field(description="Bytes of all its images, admitted at once.")
    callback: str | None = Field(None, description="URL to call at the end.")
    caller: str = Field("unknown", description="Label of the sender.")
    route: str = Field("rest", description="Route by which it came.")
    context: Names = Field(description="Log fields of the request.")
    traceparent: str | None = Field(None, description="Trace context of the request.")

    @property
    def share(self) -> str:
        """See `WorkDocument.share`."""
        return self.caller


class PendingCallback(WorkDocument):
    """A callback that waits to be delivered."""

    schema_: Literal["radstream.notice/1"] = Field("radstream.notice/1", alias="schema")
    url: str
    problem: Problem | None = Field(None, description="Problem of a failed study.")
    not_processed: tuple[NotProcessed, ...] | None = Field(
        None, description="Images that could not be processed, though others were."
    )


class PendingDelivery(WorkDocument):
    """Result that waits to be brought to a destination, which its key names."""

    schema_: Literal["radstream.delivery/1"] = Field("radstream.delivery/1", alias="schema")
    rendering: RenderingKind
    revision: str = Field(description="State of the study that is brought.")


class OwedReadings(WorkDocument):
    """Readings that models owe a study, whose document lists them."""

    schema_: Literal["radstream.owed-readings/1"] = Field(
        "radstream.owed-readings/1", alias="schema"
    )
