"""Feedback on a study: what a reader or a report says of its findings."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import InvalidFeedbackError
from gateway.schemas.metadata import ModelReference
from gateway.schemas.printable import PRINTABLE
from gateway.schemas.stored_document import StoredDocument
from gateway.schemas.validation_faults import faults_of


class Judgement(StrEnum):
    """Judgement on a finding, or on its absence."""

    AGREE = "agree"
    DISAGREE = "disagree"
    PRESENT = "present"
    ABSENT = "absent"


class Source(StrEnum):
    """Origin of a judgement."""

    READER = "reader"
    REPORT = "report"


class FeedbackRequest(BaseModel):
    """A judgement, as it is sent."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"label": "pneumonia", "judgement": "disagree", "author": "Dr. Weber"}]
        },
    )

    label: str = Field(min_length=1, max_length=64, description="Label of the finding.")
    judgement: Judgement = Field(
        description="`agree` or `disagree` with what the model says of the label; or `present` or "
        "`absent`, whatever it says."
    )
    author: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        pattern=PRINTABLE,
        description="Name of who judges; the caller's if not given.",
    )
    source: Source = Field(
        Source.READER, description="`reader` who looked at the images, or `report` of the study."
    )
    model: ModelReference | None = Field(
        None, description="Model that is agreed or disagreed with, where several read the study."
    )


class Feedback(StoredDocument):
    """A judgement on a study, as it is kept."""

    label: str
    judgement: Literal["agree", "disagree", "present", "absent"]
    present: bool = Field(
        description="True if the study has the finding, by the judgement: of `agree` and "
        "`disagree`, as the model's result was then."
    )
    author: str
    source: Literal["reader", "report"] = "reader"
    at: AwareDatetime = Field(description="Time of the judgement's receipt.")


class StudyFeedback(BaseModel):
    """Feedback on a study."""

    model_config = ConfigDict(frozen=True)

    feedback: tuple[Feedback, ...] = Field(description="The latest of each author on each label.")


def parse_feedback(body: bytes | bytearray) -> FeedbackRequest:
    """Return the judgement in a request's body.

    Raises
    ------
    InvalidFeedbackError
        With every fault, each with its JSON pointer.
    """
    try:
        return FeedbackRequest.model_validate_json(bytes(body))
    except ValidationError as error:
        raise InvalidFeedbackError(faults_of(error)) from error
