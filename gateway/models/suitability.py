"""Suitability of a model for a study: what its contract says of one that it was not made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.schemas.contract import Outcome
from gateway.vocabulary.ages import years

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.schemas.contract import Accepts
    from gateway.schemas.metadata import StudyMetadata

VIEW = "/view"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason to doubt that a model was made for a study.

    Parameters
    ----------
    pointer
        JSON pointer of the field of the metadata that it is about.
    reason
        The reason, as the end of a sentence about the model.
    outcome
        The contract's choice.
    """

    pointer: str
    reason: str
    outcome: Outcome


def doubts_about(accepts: Accepts, metadata: StudyMetadata) -> Iterator[Doubt]:
    """Yield each doubt about a study, by what a contract accepts."""
    if accepts.modalities and metadata.modality not in accepts.modalities | {None}:
        made_for = ", ".join(sorted(accepts.modalities))
        reason = f"was made for {made_for}, not for the modality {metadata.modality}"
        yield Doubt("/modality", reason, Outcome.REFUSE)
    if accepts.body_parts and metadata.body_part not in accepts.body_parts:
        known = metadata.body_part is not None
        outcome = accepts.other_body_part if known else accepts.unknown_body_part
        what = f"the body part {metadata.body_part}" if known else "an unknown body part"
        made_for = ", ".join(sorted(accepts.body_parts))
        yield from _doubt("/body_part", f"was made for {made_for}, not for {what}", outcome)
    if accepts.views and metadata.view not in accepts.views:
        known = metadata.view is not None
        outcome = accepts.other_view if known else accepts.unknown_view
        what = f"the view {metadata.view}" if known else "an unknown view"
        made_for = ", ".join(sorted(accepts.views))
        yield from _doubt(VIEW, f"was made for {made_for} views, not for {what}", outcome)
    yield from _doubts_about_age(accepts, metadata)


def _doubts_about_age(accepts: Accepts, metadata: StudyMetadata) -> Iterator[Doubt]:
    ages = accepts.ages_years
    if ages is None:
        return
    if metadata.patient_age is None:
        reason = f"was made for patients of {ages}, not for an unknown age"
        yield Doubt("/patient_age", reason, Outcome(ages.unknown))
    elif (age := years(metadata.patient_age)) not in ages:
        # The age itself stays out of a sentence that goes wherever the result goes.
        patient = "a younger patient" if age < ages.from_ else "an older patient"
        reason = f"was made for patients of {ages}, not for {patient}"
        yield Doubt("/patient_age", reason, Outcome.NOT_APPLICABLE)


def _doubt(pointer: str, reason: str, outcome: Outcome) -> Iterator[Doubt]:
    if outcome is not Outcome.ACCEPT:
        yield Doubt(pointer, reason, outcome)
