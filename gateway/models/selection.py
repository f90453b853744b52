"""Selection of the model that processes a study, among those that Triton serves."""

from __future__ import annotations

import itertools
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
    from collections.abc import Iterator, Sequence

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
    return min(fit, key=lambda state: (_doubts(state, metadata), *_preference(state)))


def ties(states: Sequence[ModelState]) -> Iterator[tuple[str, str]]:
    """Yield each two models of equal priority that accept the same studies, the chosen one first.

    Of each model counts the version that is chosen of it.
    """
    best: dict[str, ModelState] = {}
    for state in sorted((each for each in states if each.served), key=_preference):
        best.setdefault(state.name, state)
    for one, other in itertools.combinations(best.values(), 2):
        first, second = one.served, other.served
        if (
            first
            and second
            and first.contract.priority == second.contract.priority
            and first.contract.accepts.overlaps(second.contract.accepts)
        ):
            yield one.name, other.name


def _doubts(state: ModelState, metadata: StudyMetadata) -> tuple[int, int]:
    """Return the sort key by which the model with the fewest doubts about a study comes first."""
    outcomes = [doubt.outcome for doubt in state.served.doubts(metadata)] if state.served else []
    return outcomes.count(Outcome.NOT_APPLICABLE), outcomes.count(Outcome.WARN)


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
        served = {(state.name, state.version) for state in states if state.served}
        known = tuple(f"{name}:{version}" for name, version in sorted(served, key=by_version))
        asked = wanted.name if wanted.version is None else f"{wanted.name}:{wanted.version}"
        raise UnknownModelError(asked, known)
    return min(versions, key=_preference)


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
        accepted=tuple(dict.fromkeys(map(_accepted, models))),  # versions are often alike
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
    """Return the sort key by which the best of several models comes first.

    The name counts before readiness: studies do not go to another model while theirs is sick.
    """
    priority = state.served.contract.priority if state.served else 0
    return -priority, state.name, state.state is not State.READY, -int(state.version)


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
