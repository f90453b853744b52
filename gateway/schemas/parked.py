"""Items that could not be processed, kept for the operator."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.schemas.patterns import PARKED_ID_PATTERN
from gateway.schemas.problem import Problem
from gateway.schemas.stored_document import StoredDocument


class Half(StrEnum):
    """Kind of an object in a drop folder."""

    IMAGE = "image"
    SIDECAR = "sidecar"


class ParkedItem(StoredDocument):
    """Object or work that failed for good, with the reason. It holds no image bytes."""

    schema_: Literal["radstream.parked/1"] = Field("radstream.parked/1", alias="schema")
    id: str = Field(pattern=PARKED_ID_PATTERN, examples=["9f86d081884c7d659a2feaa0c55ad015"])
    parked_at: AwareDatetime
    half: Half | None = Field(
        None, description="Role of an object in the drop folder; null for anything else."
    )
    key: str = Field(
        description="Of an object of the drop folder its key there; else where the work lies in "
        "the results: `results/{study_id}/submissions/{id}` of a study that was accepted, "
        "`results/{study_id}/callbacks/{id}` of a callback, "
        "`results/{study_id}/deliveries/{destination}/{id}` of a result for a destination."
    )
    version_id: str | None = Field(None, description="The object's version, where it has one.")
    study_id: str | None = Field(
        None,
        description="Of an object of the drop folder: the study it was for, as far as its folder, "
        "its sidecar or its data set could say.",
    )
    sha256: str | None = Field(
        None,
        description="Of an image of the drop folder: of its bytes, in hexadecimal, where they "
        "could be read.",
    )
    problem: Problem


class ParkedList(BaseModel):
    """One page of parked items, by id."""

    model_config = ConfigDict(frozen=True)

    parked: tuple[ParkedItem, ...]
    next: str | None = Field(None, description="Path of the next page, where there is one.")
