"""`radstream models build`: writes the ensembles that let Triton do a model's preprocessing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import onnx
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from gateway.errors import ContractError
from gateway.models.config_file import parameters_of, read_config
from gateway.models.contract_versions import contract_of
from gateway.models.placement_document import PARAMETER, PlacementDocument, Role
from preprocess.graph import build_graph

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.schemas.contract import Contract

Datatype = Literal["UINT8", "UINT16"]

_NOTE = (
    "# Made from the contract of {model} by `radstream models build`: build anew, do not edit.\n"
)
_PREPARED = "prepared"  # the tensor between the graph and the model, known to the ensemble alone
_IMAGE = "image"  # the graph's output


def build_placements(model_repository: Path, name: str) -> list[Path]:
    """Write, for each type of samples, a preprocessing graph and an ensemble beside the model.

    Parameters
    ----------
    model_repository
        Triton's; what is written are models of their own in it.
    name
        Of a model with a contract; the newest version that Triton serves is taken.

    Returns
    -------
    list of Path
        The folders written. What an earlier build wrote there is replaced.

    Raises
    ------
    ContractError
        The model cannot be read, or has no valid contract.
    """
    config = read_config(model_repository / name)
    version = newest_version(model_repository / name)
    contract = _contract(config, version)
    written = []
    for datatype in ("UINT8", "UINT16"):
        graph, ensemble = _graph(config, contract, datatype), _ensemble(config, version, datatype)
        for made, role in ((graph, Role.GRAPH), (ensemble, Role.ENSEMBLE)):
            document = PlacementDocument(role=role, model=name, version=version, datatype=datatype)
            text = document.model_dump_json(by_alias=True)
            made.parameters[PARAMETER].string_value = text
            written.append(_write(model_repository / made.name, made, name))
        model = build_graph(contract.input.spec(), datatype)
        onnx.save(model, str(model_repository / graph.name / "1" / "model.onnx"))
    return written


def models_with_contract(model_repository: Path) -> list[str]:
    """Return names of the models in the repository that have a contract."""
    names = []
    for folder in sorted(model_repository.iterdir()):
        try:
            _contract(read_config(folder), newest_version(folder))
        except ContractError:
            continue
        names.append(folder.name)
    return names


def newest_version(folder: Path) -> str:
    """Return the highest version in the model's folder that Triton serves.

    Raises
    ------
    ContractError
        The model cannot be read, or no version of it is served.
    """
    policy = read_config(folder).version_policy
    named = {str(each) for each in policy.specific.versions}
    versions = [
        path.name
        for path in folder.iterdir()
        if path.is_dir() and path.name.isdecimal() and (not named or path.name in named)
    ]
    if not versions:
        raise ContractError(f"{folder.name} has no version")
    return max(versions, key=int)


def _contract(config: pb.ModelConfig, version: str) -> Contract:
    try:
        return contract_of(parameters_of(config), version)
    except ContractError as error:
        raise ContractError(f"{config.name} {version}: {error.reason}") from error


def _graph(config: pb.ModelConfig, contract: Contract, datatype: Datatype) -> pb.ModelConfig:
    spec = contract.input
    return pb.ModelConfig(
        name=f"{config.name}_graph_{datatype.lower()}",
        backend="onnxruntime",
        input=_pixels(datatype),
        output=[_output(_IMAGE, pb.TYPE_FP32, [1, spec.channels, spec.rows, spec.columns])],
    )


def _ensemble(config: pb.ModelConfig, version: str, datatype: Datatype) -> pb.ModelConfig:
    batch = [1] if config.max_batch_size > 0 else []  # a step's batch axis is seen from outside
    ensemble = pb.ModelConfig(
        name=f"{config.name}_{datatype.lower()}",
        platform="ensemble",
        input=_pixels(datatype),
        output=[
            _output(output.name, output.data_type, [*batch, *output.dims])
            for output in config.output
        ],
    )
    graph = ensemble.ensemble_scheduling.step.add(
        model_name=f"{config.name}_graph_{datatype.lower()}", model_version=1
    )
    for tensor in ensemble.input:
        graph.input_map[tensor.name] = tensor.name
    graph.output_map[_IMAGE] = _PREPARED
    model = ensemble.ensemble_scheduling.step.add(
        model_name=config.name, model_version=int(version)
    )
    model.input_map[config.input[0].name] = _PREPARED
    for output in config.output:
        model.output_map[output.name] = output.name
    return ensemble


def _pixels(datatype: Datatype) -> list[pb.ModelInput]:
    defaults = PlacementDocument.model_fields
    return [
        pb.ModelInput(
            name=defaults["pixels"].default,
            data_type=pb.DataType.Value(f"TYPE_{datatype}"),
            dims=[-1, -1],
        ),
        pb.ModelInput(name=defaults["largest"].default, data_type=pb.TYPE_FP32, dims=[1]),
    ]


def _output(name: str, data_type: int, dims: list[int]) -> pb.ModelOutput:
    return pb.ModelOutput(name=name, data_type=data_type, dims=dims)


def _write(folder: Path, config: pb.ModelConfig, model: str) -> Path:
    (folder / "1").mkdir(parents=True, exist_ok=True)  # an ensemble's version is an empty folder
    text = _NOTE.format(model=model) + text_format.MessageToString(config)
    (folder / "config.pbtxt").write_text(text)
    return folder
