"""A model version as it is served, with the contract that it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.models.suitability import VIEW, doubts_about
from gateway.schemas.contract import Outcome
from gateway.schemas.result import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.models.suitability import Doubt
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

    def doubts(self, metadata: StudyMetadata) -> tuple[Doubt, ...]:
        """Return the reasons to doubt that the model was made for such a study."""
        return tuple(doubts_about(self.contract.accepts, metadata))

    def accepts(self, metadata: StudyMetadata) -> bool:
        """Return True if the contract takes such a study, with a verdict or without."""
        return all(doubt.outcome is not Outcome.REFUSE for doubt in self.doubts(metadata))

    def may_accept(self, metadata: StudyMetadata) -> bool:
        """Return True if the contract takes such a study in one view or another."""
        return all(
            doubt.outcome is not Outcome.REFUSE or doubt.pointer == VIEW
            for doubt in self.doubts(metadata)
        )
