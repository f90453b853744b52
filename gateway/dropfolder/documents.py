"""Documents in the store for a drop folder's studies while they are on their way."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from gateway.schemas.stored_document import StoredDocument


class WaitingHalf(StoredDocument):
    """An image without its sidecar, a sidecar without any image, or the mark of a parked object."""

    schema_: Literal["radstream.waiting/1"] = Field("radstream.waiting/1", alias="schema")
    key: str
    version_id: str | None = None
    since: AwareDatetime
    needs_other: bool = Field(
        False, description="True if it was looked at and lacks nothing but its other half."
    )


class Binding(StoredDocument):
    """The study that an image outside of any study's folder was read for.

    It outlives the study, and so does not name it.
    """

    schema_: Literal["radstream.binding/1"] = Field("radstream.binding/1", alias="schema")
    study: str = Field(description="SHA-256 of its study_id.")
