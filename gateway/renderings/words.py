"""Words that all renderings have in common."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.vocabulary.statements import statement

if TYPE_CHECKING:
    from gateway.schemas.result import Applicability, Finding, ModelVersion, StudyResult

NOT_REVIEWED = "Made by a machine. Not reviewed by a physician."


class Withdrawal(StrEnum):
    """Cause of the withdrawal of results that were sent; the value of HL7's OBX-11."""

    DELETED = "D"
    WRONG_PATIENT = "W"


WITHDRAWN = {
    Withdrawal.DELETED: "Withdrawn: the study was deleted.",
    Withdrawal.WRONG_PATIENT: "Withdrawn: these are not results of this patient or order.",
}


def model_name(model: ModelVersion) -> str:
    """Return the name of a model with its version."""
    return f"{model.name} {model.version}"


def said_of(finding: Finding, applicable: Applicability) -> str:
    """Return the sentences that a finding comes to.

    Parameters
    ----------
    applicable
        Fitness of the model for the image.
    """
    said = statement(finding.label, finding.positive)
    if finding.positive is not None:
        doubts = (f" Doubtful: the model {doubt}." for doubt in applicable.doubts or ())
        return f"{said}.{''.join(doubts)}"
    return f"{said}: the model {applicable.reason or 'is not made for this image'}."


def incompleteness(study: StudyResult) -> str | None:
    """Return a remark on images and readings that the results lack; None where they are whole."""
    waiting = sum(item.images for item in study.pending or ())
    # A submission that cannot be read has an unknown number of images, one at least.
    failed = sum(max(1, item.images) for item in study.failures or ())
    not_processed = len(study.not_processed or ()) + (study.not_processed_left_out or 0)
    images = not_processed + failed + waiting
    readings = len(study.missing_readings or ())
    lacks = (("Images not processed", images), ("Readings missing", readings))
    told = [f"{name}: {number}." for name, number in lacks if number]
    return " ".join(("Incomplete.", *told)) if told else None
