"""What the store holds of a drop folder's studies while they are on their way."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from gateway.schemas.stored_document import StoredDocument


class Half(StrEnum):
    """What an object of a drop folder is."""

    IMAGE = "image"
    SIDECAR = "sidecar"


class WaitingHalf(StoredDocument):
    """An image without its sidecar, or a sidecar without any image."""

    schema_: Literal["radstream.waiting/1"] = Field("radstream.waiting/1", alias="schema")
    key: str
    version_id: str | None = None
    since: AwareDatetime


class Claim(StoredDocument):
    """A piece of work that one gateway is at now, such as an image of the drop folder."""

    schema_: Literal["radstream.claim/1"] = Field("radstream.claim/1", alias="schema")
    key: str
    version_id: str | None = None
    owner: str
    expires_at: AwareDatetime


class Binding(StoredDocument):
    """The study that an image outside of any study's folder was read for.

    It outlives the study, and so does not name it.
    """

    schema_: Literal["radstream.binding/1"] = Field("radstream.binding/1", alias="schema")
    study: str = Field(description="SHA-256 of its study_id.")
