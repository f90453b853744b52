"""Documents that the store keeps of deleted studies."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from gateway.schemas.stored_document import StoredDocument


class Reason(StrEnum):
    """Cause of a study's deletion."""

    REQUEST = "request"
    RETENTION = "retention"


class Indexed(StoredDocument):
    """Place of a study in the search index."""

    day: dt.date = Field(description="Day on which it was received.")
    pointers: tuple[str, ...] = Field((), description="Keys of the pointers to it: keyed hashes.")


class Closing(StoredDocument):
    """A study that is being deleted: nothing may be added to it."""

    schema_: Literal["radstream.closing/1"] = Field("radstream.closing/1", alias="schema")
    study_id: str
    requested_at: AwareDatetime
    reason: Reason
    indexed: Indexed | None = Field(
        None, description="None where its document could not be read, or it had no images."
    )
    withdrawal: str | None = Field(
        None, description="Name of the withdrawal of what destinations have of it."
    )


class Tombstone(StoredDocument):
    """Proof of a study's deletion, found only by its study_id."""

    schema_: Literal["radstream.tombstone/1"] = Field("radstream.tombstone/1", alias="schema")
    deleted_at: AwareDatetime
    reason: Reason
    older_versions_kept: bool = Field(
        description="True if the bucket keeps versions that the gateway may not remove."
    )
