"""Images that came with others and could not be processed: as told, and as stored."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.schemas.metadata import View
from gateway.schemas.problem import Problem
from gateway.schemas.stored_document import StoredDocument


class NotProcessed(BaseModel):
    """An image that could not be processed, though others of its request were."""

    model_config = ConfigDict(frozen=True)

    part: str = Field(
        description="The name of the part, with its index in the request; of an image of the drop "
        "folder the file's name.",
        examples=["image[1]"],
    )
    sha256: str = Field(description="Of the image's bytes, in hexadecimal.")
    problem: Problem


class NotProcessedDocument(StoredDocument):
    """An image that is still to be sent again, mended."""

    schema_: Literal["radstream.not-processed/1"] = Field(
        "radstream.not-processed/1", alias="schema"
    )
    part: str
    sha256: str
    problem: Problem
    received_at: AwareDatetime
    view: View | None = Field(None, description="As its metadata had it, where they were valid.")
    sop_instance_uid: str | None = Field(
        None, description="SOP Instance UID (0008,0018), where its data set could be read."
    )
    beside: tuple[str, ...] = Field(
        (),
        description="SHA-256 of the images of the same request that were processed, or its first "
        "digits.",
    )
    parked: str | None = Field(
        None, description="Id of the parked item that an image of the drop folder is kept as."
    )


def told(entry: NotProcessedDocument) -> NotProcessed:
    """Return what the sender is told of an entry."""
    return NotProcessed(part=entry.part, sha256=entry.sha256, problem=entry.problem)
