"""A model's contract: read, compared with the model's tensors, and used to make findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.errors import ContractError
from gateway.models.contract_versions import contract_of
from gateway.models.served_model import ServedModel
from gateway.schemas.contract import Activation
from gateway.schemas.result import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gateway.schemas.contract import Contract
    from gateway.triton.protocol import ModelConfig, TensorMetadata

_ROUNDING = 1e-6
_MAP_AXES = 4  # image, label, row, column


def read_contract(name: str, version: str, config: ModelConfig) -> ServedModel:
    """Return the model with its contract, which fits the tensors.

    Raises
    ------
    ContractError
        The parameters are no contract of this version, or it does not fit the model's tensors.
    """
    contract = contract_of(config.parameters, version)
    _hold_to_tensors(contract, config)
    return ServedModel(name, version, contract)


def _hold_to_tensors(contract: Contract, config: ModelConfig) -> None:
    given = contract.input
    if [tensor.name for tensor in config.inputs] != [given.name]:
        raise ContractError(f"the model must have one input, named '{given.name}'")
    batch = () if config.max_batch_size > 0 else (1,)
    _hold(config.inputs[0], (*batch, given.channels, given.rows, given.columns))
    outputs = {tensor.name: tensor for tensor in config.outputs}
    labels = len(contract.output.labels)
    _hold(_named(outputs, contract.output.name), (*batch, labels))
    if contract.output.activation_map is not None:
        _hold(_named(outputs, contract.output.activation_map), (*batch, labels, -1, -1))
    if contract.output.applicability is not None:
        _hold(_named(outputs, contract.output.applicability.tensor), (*batch, 1))


def _named(tensors: Mapping[str, TensorMetadata], name: str) -> TensorMetadata:
    if name not in tensors:
        raise ContractError(f"the model has no output named '{name}'")
    return tensors[name]


def _hold(tensor: TensorMetadata, shape: tuple[int, ...]) -> None:
    """Compare a tensor to the shape the contract implies; -1 on either side fits any size."""
    if tensor.datatype != "FP32":
        raise ContractError(f"tensor '{tensor.name}' is {tensor.datatype}, not FP32")
    if len(tensor.shape) != len(shape) or any(
        has != wanted and -1 not in (has, wanted)
        for has, wanted in zip(tensor.shape, shape, strict=True)
    ):
        raise ContractError(
            f"tensor '{tensor.name}' has shape {list(tensor.shape)}, not {list(shape)}"
        )


def probabilities(contract: Contract, output: NDArray[Any]) -> NDArray[np.float64]:
    """Return a probability for each label.

    Parameters
    ----------
    output
        The output tensor for one image, shape (1, labels); not changed.

    Raises
    ------
    ContractError
        The tensor has another count of numbers, or one of them is not finite or, with the identity
        activation, no probability.
    """
    if output.shape != (1, len(contract.output.labels)):
        raise ContractError(f"the output has shape {list(output.shape)}")
    values = np.asarray(output[0], dtype=np.float64)
    if not np.isfinite(values).all():
        raise ContractError("the output is not finite")
    match contract.output.activation:
        case Activation.SIGMOID:
            return 0.5 * (1.0 + np.tanh(0.5 * values))  # does not overflow, unlike 1 / (1 + exp)
        case Activation.SOFTMAX:
            shifted = np.exp(values - values.max())
            return np.asarray(shifted / shifted.sum(), dtype=np.float64)
        case Activation.IDENTITY:
            # A model's own softmax in single precision may pass 1 by a rounding.
            if ((values < -_ROUNDING) | (values > 1 + _ROUNDING)).any():
                raise ContractError("the output lies outside 0 to 1")
            return np.clip(values, 0.0, 1.0)


def findings(contract: Contract, output: NDArray[Any]) -> tuple[Finding, ...]:
    """Return the model's finding for each label, in the contract's order; see `probabilities`."""
    rounded = [round(float(value), 6) for value in probabilities(contract, output)]
    return tuple(
        Finding(
            label=label.label,
            code=label.code,
            probability=probability,
            threshold=label.threshold,
            positive=probability >= label.threshold,  # as the reader of the finding can check
        )
        for label, probability in zip(contract.output.labels, rounded, strict=True)
    )


def applicability_score(contract: Contract, outputs: Mapping[str, NDArray[Any]]) -> float | None:
    """Return the model's score of a picture; None where it gives none.

    Raises
    ------
    ContractError
        The tensor holds another count of numbers than one, or none that is finite.
    """
    if contract.output.applicability is None:
        return None
    output = outputs[contract.output.applicability.tensor]
    if output.shape != (1, 1) or not np.isfinite(output).all():
        raise ContractError("the applicability score is not one finite number")
    return round(float(output[0, 0]), 6)


def activation_cells(contract: Contract, output: NDArray[Any]) -> NDArray[np.float16]:
    """Return the activation map in little-endian half precision, shape (labels, rows, columns).

    Eight bits of colour are made of it, and it is read by nothing else.

    Parameters
    ----------
    output
        The tensor for one image, shape (1, labels, rows, columns); not changed.

    Raises
    ------
    ContractError
        The tensor has another shape, or a number in it is not finite.
    """
    labels = len(contract.output.labels)
    if output.ndim != _MAP_AXES or output.shape[:2] != (1, labels) or not output.size:
        raise ContractError(f"the activation map has shape {list(output.shape)}")
    if not np.isfinite(output).all():
        raise ContractError("the activation map is not finite")
    largest = np.finfo(np.float16).max
    return np.asarray(np.clip(output[0], -largest, largest), dtype=np.dtype("<f2"))
