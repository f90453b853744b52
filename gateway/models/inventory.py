"""Inventory of Triton's repository: its index, the configurations and the graphs beside models."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import InferenceUnavailableError
from gateway.models.placement import collect_ensembles, placements_of
from gateway.runtime.deadline import Deadline
from gateway.schemas.patterns import MODEL_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.models.placement import Key
    from gateway.models.served_model import Ensemble
    from gateway.triton.protocol import InferenceServer, ModelConfig, RepositoryEntry


@dataclass(frozen=True, slots=True)
class Inventory:
    """The repository as it was found.

    Attributes
    ----------
    names
        Everything in the repository, graphs and ensembles among it.
    new
        Names of folders that the server has never loaded, nor tried to.
    models
        The model versions that read studies, loaded or not.
    configs
        The configurations of those that are loaded.
    faults
        The fault in the placement of a model version, where there is one.
    ensembles
        The ensembles that make tensors of pictures for a model version, by type of samples.
    """

    names: frozenset[str]
    new: frozenset[str]
    models: Sequence[RepositoryEntry]
    configs: Mapping[Key, ModelConfig]
    faults: Mapping[Key, str]
    ensembles: Mapping[Key, Mapping[str, Ensemble]]


async def take_inventory(
    server: InferenceServer, timeout_s: float, *, use_ensembles: bool
) -> Inventory:
    """Return what the server has in its repository.

    Parameters
    ----------
    timeout_s
        Seconds that one question may take.
    use_ensembles
        Pictures become tensors in Triton, where a model has ensembles for it.

    Raises
    ------
    RadStreamError
        The server does not answer.
    """
    index = await server.repository_index(deadline=Deadline.after(timeout_s))
    configs: dict[Key, ModelConfig] = {}
    for entry in index:
        # A model may be unloaded between the index and this question.
        with contextlib.suppress(InferenceUnavailableError):
            if entry.ready:
                configs[entry.name, entry.version] = await server.model_config(
                    entry.name, entry.version, deadline=Deadline.after(timeout_s)
                )
    placements, faults = placements_of(configs)
    return Inventory(
        names=frozenset(entry.name for entry in index),
        # No model is called as `lost+found` or `.git` are, which lie beside models.
        new=frozenset(
            entry.name
            for entry in index
            if not entry.version and re.fullmatch(MODEL_PATTERN, entry.name)
        ),
        models=[
            entry
            for entry in index
            if entry.version and (entry.name, entry.version) not in placements
        ],
        configs=configs,
        faults=faults,
        ensembles=collect_ensembles(placements) if use_ensembles else {},
    )
