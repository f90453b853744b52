"""A model version as it is served, with the contract that it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.schemas.result import ModelVersion
from gateway.vocabulary.ages import years

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.schemas.contract import Contract
    from gateway.schemas.metadata import StudyMetadata


@dataclass(frozen=True, slots=True)
class Ensemble:
    """A Triton ensemble: a preprocessing graph and then the model.

    Parameters
    ----------
    name, version
        Of the ensemble.
    pixels, largest
        Names of its inputs: samples (rows, columns), and the value of white, shape (1,).
    """

    name: str
    version: str
    pixels: str
    largest: str


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model version with the contract it keeps.

    Parameters
    ----------
    ensembles
        By NumPy type name, those that take pictures of such samples as they are.
    """

    name: str
    version: str
    contract: Contract
    ensembles: Mapping[str, Ensemble] = field(default_factory=dict)

    @property
    def reference(self) -> ModelVersion:
        """Name and version as a result carries them."""
        return ModelVersion(name=self.name, version=self.version)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the tensors to ask for."""
        output = self.contract.output
        score = None if output.applicability is None else output.applicability.tensor
        return tuple(filter(None, (output.name, output.activation_map, score)))

    def accepts(self, metadata: StudyMetadata) -> bool:
        """Return True if the contract takes such a study.

        A modality or body part that is not given excludes nothing; a view does, where the contract
        names views.
        """
        accepts = self.contract.accepts
        return self.may_accept(metadata) and (not accepts.views or metadata.view in accepts.views)

    def suits_age(self, metadata: StudyMetadata) -> bool | None:
        """Return True if the contract names the patient's age or none; None if it is not known."""
        ages = self.contract.accepts.ages_years
        if ages is None:
            return True
        return None if metadata.patient_age is None else years(metadata.patient_age) in ages

    def may_accept(self, metadata: StudyMetadata) -> bool:
        """Return True if the contract takes such a study in one view or another."""
        accepts = self.contract.accepts
        return (not accepts.modalities or metadata.modality in accepts.modalities | {None}) and (
            not accepts.body_parts or metadata.body_part in accepts.body_parts | {None}
        )
