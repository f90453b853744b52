"""Selection of the model that processes a study, among those that Triton serves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn

from gateway.errors import (
    Fault,
    InferenceUnavailableError,
    InvalidMetadataError,
    NoModelAcceptsError,
    UnknownModelError,
)
from gateway.schemas.contract import Outcome
from gateway.schemas.metadata import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.models.served_model import ServedModel
    from gateway.schemas.metadata import ModelReference, StudyMetadata

# Triton's reason for a model that was taken out of service by a request to its repository.
UNLOADED = "unloaded"


class State(StrEnum):
    """The state of a model version: usable, or the obstacle to its use."""

    READY = "ready"  # contract and golden image hold
    REFUSED = "refused"  # Triton serves it, but its contract or golden image does not hold
    UNAVAILABLE = "unavailable"  # Triton does not serve it now


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model version and how it stands."""

    name: str
    version: str
    state: State
    reason: str = ""
    served: ServedModel | None = None

    @property
    def sick(self) -> bool:
        """Return True if the model should answer and does not."""
        return self.state is State.UNAVAILABLE and self.reason != UNLOADED


def accepting(states: Sequence[ModelState], metadata: StudyMetadata) -> ModelState:
    """Return the model that reads such a study, ready or not; see `ModelRegistry.select`."""
    if metadata.model is not None:
        named = _named(states, metadata.model)
        if metadata.view is None:
            _demand_view([named])
        return named
    served = [state for state in states if state.served is not None]
    if not served:
        raise InferenceUnavailableError("no model is ready")
    fit = [state for state in served if state.served and state.served.accepts(metadata)]
    if not fit:
        _refuse(metadata, served)
    return max(fit, key=lambda state: (_suitability(state, metadata), *_preference(state)))


def _suitability(state: ModelState, metadata: StudyMetadata) -> tuple[int, int]:
    """Return the sort key by which the model with the fewest doubts about a study is greatest."""
    outcomes = [doubt.outcome for doubt in state.served.doubts(metadata)] if state.served else []
    return -outcomes.count(Outcome.NOT_APPLICABLE), -outcomes.count(Outcome.WARN)


def by_version(key: tuple[str, str]) -> tuple[str, int]:
    """Return the sort key of a model's name and version."""
    return key[0], int(key[1])


def _named(states: Sequence[ModelState], wanted: ModelReference) -> ModelState:
    versions = [
        state
        for state in states
        if state.name == wanted.name
        and state.served is not None
        and wanted.version in {None, state.version}
    ]
    if not versions:
        served = {state.name for state in states if state.served}
        raise UnknownModelError(str(wanted), tuple(sorted(served)))
    return max(versions, key=_preference)


def _refuse(metadata: StudyMetadata, served: Sequence[ModelState]) -> NoReturn:
    if metadata.view is None:
        _demand_view(
            [state for state in served if state.served and state.served.may_accept(metadata)]
        )
    raise not_accepted(metadata, [state.served for state in served if state.served])


def not_accepted(metadata: StudyMetadata, models: Sequence[ServedModel]) -> NoModelAcceptsError:
    """Return the error of a study that the contracts of none of these models take."""
    return NoModelAcceptsError(
        modality=metadata.modality,
        body_part=metadata.body_part,
        view=metadata.view and metadata.view.value,
        accepted=tuple(map(_accepted, models)),
    )


def _demand_view(states: Sequence[ModelState]) -> None:
    """Refuse a study without a view, where these models were made for some views only."""
    contracts = [state.served.contract.accepts for state in states if state.served]
    views = [each.views for each in contracts if each.unknown_view is Outcome.REFUSE]
    if any(views):
        takes = ", ".join(sorted(frozenset[View]().union(*views)))
        detail = (
            f"is required: {states[0].name} takes {takes}; a DICOM file tells it by words of View "
            "Position (0018,5101) or codes of View Code Sequence (0054,0220) that are known here"
        )
        raise InvalidMetadataError((Fault("/view", detail),))


def _preference(state: ModelState) -> tuple[int, str, bool, int]:
    """Return the sort key by which the best of several models is the greatest."""
    priority = state.served.contract.priority if state.served else 0
    return priority, state.name, state.state is State.READY, int(state.version)


def _accepted(served: ServedModel) -> str:
    accepts = served.contract.accepts
    words = [
        "/".join(sorted(choice)) or f"any {kind}"
        for kind, choice in (
            ("modality", accepts.modalities),
            ("body part", accepts.body_parts),
            ("view", accepts.views),
        )
    ]
    return f"{served.name}: {', '.join(words)}"
