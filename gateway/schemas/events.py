"""S3's events as EventBridge brings them, and what the gateway says of each.

The names are AWS's own ("EventBridge event message structure" in the S3 User Guide). The key in
``detail.object.key`` is the object's key as it is: unlike the keys in S3's event notifications to
queues, topics and functions ("Event message structure", same guide) it is not URL-encoded, so that
a ``+`` is a plus and a space a space.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import InvalidEventError
from gateway.schemas.parked import ParkedItem
from gateway.schemas.validation_faults import faults_of

OBJECT_CREATED = "Object Created"


class _Part(BaseModel):
    # AWS adds fields as it likes.
    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)


class Bucket(_Part):
    """The bucket of an event."""

    name: str = Field(min_length=3, max_length=63, examples=["radstream-images-prod"])


class EventObject(_Part):
    """The object of an event."""

    key: str = Field(min_length=1, max_length=1024, examples=["images/CXR-1/front.jpg"])
    size: int | None = Field(None, ge=0)
    etag: str | None = None
    version_id: str | None = Field(None, alias="version-id", max_length=1024)
    sequencer: str | None = None


class Detail(_Part):
    """Payload of the event: the bucket, the object and the S3 operation."""

    bucket: Bucket
    object: EventObject
    reason: str | None = Field(None, examples=["PutObject"])


class S3Event(_Part):
    """The envelope."""

    id: str = Field(max_length=128)
    detail_type: str = Field(alias="detail-type", examples=[OBJECT_CREATED])
    source: str = Field(pattern=r"^aws\.s3$", examples=["aws.s3"])
    time: AwareDatetime
    detail: Detail


def parse_event(body: bytes | bytearray) -> S3Event:
    """Return the event in a request's body.

    Raises
    ------
    InvalidEventError
        With every fault, each with its JSON pointer.
    """
    try:
        return S3Event.model_validate_json(bytes(body))
    except ValidationError as error:
        raise InvalidEventError(faults_of(error)) from error


class Outcome(StrEnum):
    """Result of a delivery."""

    PROCESSED = "processed"
    WAITING = "waiting"
    DUPLICATE = "duplicate"
    PENDING = "pending"
    IGNORED = "ignored"
    PARKED = "parked"


class Delivery(BaseModel):
    """The answer to an event."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome = Field(
        description="processed: the study's result is stored. waiting: for the other half, image "
        "or sidecar. duplicate: had been read before. ignored: no image or sidecar, or gone. "
        "parked: failed for good, see `parked`."
    )
    detail: str
    study: str | None = Field(
        None, description="Path of the study's result.", examples=["/v1/studies/CXR-1"]
    )
    parked: tuple[ParkedItem, ...] = Field((), description="Parked objects with their problems.")
