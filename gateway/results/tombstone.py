"""Documents that the store keeps of deleted studies."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from gateway.schemas.stored_document import StoredDocument


class Reason(StrEnum):
    """Cause of a study's deletion."""

    REQUEST = "request"
    RETENTION = "retention"


class Closing(StoredDocument):
    """A study that is being deleted: nothing may be added to it."""

    schema_: Literal["radstream.closing/1"] = Field("radstream.closing/1", alias="schema")
    study_id: str
    requested_at: AwareDatetime
    reason: Reason


class Tombstone(StoredDocument):
    """That a study was deleted. Whoever knows its study_id can find this; it tells nobody else."""

    schema_: Literal["radstream.tombstone/1"] = Field("radstream.tombstone/1", alias="schema")
    deleted_at: AwareDatetime
    reason: Reason
    older_versions_kept: bool = Field(
        description="Whether the bucket keeps versions that the gateway may not remove."
    )
