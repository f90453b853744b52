"""Body of a webhook: the end of a study's processing, and where its result is."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.schemas.not_processed import NotProcessed
from gateway.schemas.problem import Problem
from gateway.schemas.result import Status

DELETED: Final = "deleted"


class CallbackBody(BaseModel):
    """The body of a webhook. It holds no finding: the receiver reads the study as itself."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    schema_: Literal["radstream.callback/1"] = Field("radstream.callback/1", alias="schema")
    delivery: str = Field(description="The same in every repetition, to tell them by.")
    study_id: str
    study: str = Field(description="Path of the study's result.")
    status: Status | Literal["deleted"] = Field(
        description="Outcome for these images: `completed`, `partial` or `failed`; of the study "
        "in a notice to a destination, `deleted` too."
    )
    problem: Problem | None = Field(None, description="The reason of the failure.")
    not_processed: tuple[NotProcessed, ...] | None = Field(
        None, description="Images that could not be processed, though others were: `partial`."
    )
