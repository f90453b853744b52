"""The place where a picture becomes the model's tensor: here, or in Triton, next to the model."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from gateway.errors import ContractError
from gateway.models.placement_document import PARAMETER, PlacementDocument, Role
from gateway.models.served_model import Ensemble
from preprocess import grey_range, to_shown_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from gateway.models.served_model import ServedModel
    from gateway.triton.protocol import ModelConfig
    from preprocess import Frame, GreyRange

Key = tuple[str, str]

_FRAMING_BYTES = 1 << 16  # what a message carries beside the pixels: names, shapes, far less


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One question to Triton.

    Parameters
    ----------
    name, version
        Of the model that is asked.
    inputs
        By name.
    shown
        The values of the picture that are black and white to the model.
    """

    name: str
    version: str
    inputs: Mapping[str, NDArray[Any]]
    shown: GreyRange


def call_for(model: ServedModel, frame: Frame, *, message_bytes: int = sys.maxsize) -> ModelCall:
    """Return the call to Triton that makes the model process this frame.

    An ensemble for the samples' type takes them as they are; without one, or where they are more
    than `message_bytes`, the largest gRPC message, they are made the model's tensor here.
    """
    spec = model.contract.input.spec()
    ensemble = model.ensembles.get(frame.samples.dtype.name)
    if ensemble is None or frame.samples.nbytes + _FRAMING_BYTES > message_bytes:
        tensor, shown = to_shown_tensor(frame, spec)
        name = model.contract.input.name
        return ModelCall(model.name, model.version, {name: tensor[None]}, shown)
    white = np.array([frame.largest], dtype=np.float32)
    inputs = {ensemble.pixels: frame.samples, ensemble.largest: white}
    return ModelCall(ensemble.name, ensemble.version, inputs, grey_range(frame, spec))


def read_placement(config: ModelConfig) -> PlacementDocument | None:
    """Return the placement that a model's configuration declares, None where it declares none.

    Raises
    ------
    ContractError
        It says so in a form that cannot be read.
    """
    document = config.parameters.get(PARAMETER)
    if document is None:
        return None
    try:
        return PlacementDocument.model_validate_json(document)
    except ValidationError as error:
        raise ContractError(f"parameter '{PARAMETER}' is not valid") from error


def collect_ensembles(
    placements: Mapping[Key, PlacementDocument],
) -> Mapping[Key, Mapping[str, Ensemble]]:
    """Return the ensembles of each model version, by the NumPy name of the samples' type."""
    found: defaultdict[Key, dict[str, Ensemble]] = defaultdict(dict)
    for (name, version), document in placements.items():
        if document.role is Role.ENSEMBLE:
            found[document.model, document.version][document.datatype.lower()] = Ensemble(
                name, version, document.pixels, document.largest
            )
    return found


def placements_of(
    configs: Mapping[Key, ModelConfig],
) -> tuple[dict[Key, PlacementDocument], dict[Key, str]]:
    """Return the graphs and ensembles among the models, and why others that claim to be are not."""
    placements, faults = {}, {}
    for key, config in configs.items():
        try:
            document = read_placement(config)
        except ContractError as error:
            faults[key] = error.reason
        else:
            if document is not None:
                placements[key] = document
    return placements, faults
