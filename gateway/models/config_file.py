"""The config.pbtxt of a model in a repository on disk or in S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from gateway.errors import ContractError
from gateway.models.contract_versions import merged_document, of_another_version
from gateway.schemas.contract import PARAMETER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_config(folder: Path) -> pb.ModelConfig:
    """Return the configuration of the model in a folder of the repository.

    Raises
    ------
    ContractError
        It cannot be read.
    """
    try:
        return text_format.Parse((folder / "config.pbtxt").read_text(), pb.ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ContractError(f"{folder.name}/config.pbtxt cannot be read: {error}") from error


def parameters_of(config: pb.ModelConfig) -> Mapping[str, str]:
    """Return the free parameters by name."""
    return {name: value.string_value for name, value in config.parameters.items()}


def same_answers(one: bytes, other: bytes, version: str) -> bool:
    """Return True if two texts of a config.pbtxt make the same answers of one version.

    They may serve other versions beside it, and may divide its contract otherwise between
    `radstream` and `radstream.<version>`. Texts that cannot be read make other answers.
    """
    try:
        return _answering(one, version) == _answering(other, version)
    except (ContractError, UnicodeDecodeError, text_format.ParseError):
        return False


def _answering(text: bytes, version: str) -> tuple[bytes, Mapping[str, str], Mapping[str, Any]]:
    """Return all of a configuration that makes the answers of one version, to be compared."""
    config = text_format.Parse(text.decode(), pb.ModelConfig())
    parameters = parameters_of(config)
    contract = merged_document(parameters, version) if PARAMETER in parameters else {}
    own = {PARAMETER, f"{PARAMETER}.{version}"}
    others = {
        name: value
        for name, value in parameters.items()
        if name not in own and not of_another_version(name, version)
    }
    config.ClearField("parameters")
    config.ClearField("version_policy")
    return config.SerializeToString(deterministic=True), others, contract
