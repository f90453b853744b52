"""Contracts by version: what a model's versions have in common, and what one of them overrides.

Triton has one config.pbtxt for all versions of a model. Its parameter `radstream` is the contract;
`radstream.2` holds the fields that differ in version 2.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from gateway.errors import ContractError
from gateway.schemas.contract import PARAMETER, Contract
from gateway.schemas.validation_faults import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_VERSION = re.compile(r"[1-9][0-9]*")  # a folder's name in Triton's repository
# Parts of which a version gives the fields that differ; every other field it gives whole.
_PARTS = frozenset({"accepts", "input", "output", "golden"})


def contract_of(parameters: Mapping[str, str], version: str) -> Contract:
    """Return the contract of one version, from the parameters of the model's configuration.

    Raises
    ------
    ContractError
        The parameter is missing, one for a version is named or filled wrongly, or what they give
        together is no contract.
    """
    common = parameters.get(PARAMETER)
    if common is None:
        raise ContractError(f"config.pbtxt has no parameter '{PARAMETER}'")
    _check_names(parameters)
    own = f"{PARAMETER}.{version}"
    if own not in parameters:
        return _validated(common, f"parameter '{PARAMETER}'")
    merged = merged_document(parameters, version)
    return _validated(json.dumps(merged), f"parameters '{PARAMETER}' and '{own}'")


def merged_document(parameters: Mapping[str, str], version: str) -> dict[str, Any]:
    """Return what `radstream` says, with what `radstream.<version>` overrides; neither is checked.

    Raises
    ------
    ContractError
        One of them is no JSON object.
    """
    merged = _object(parameters.get(PARAMETER, ""), PARAMETER)
    own = f"{PARAMETER}.{version}"
    overridden = _object(parameters[own], own) if own in parameters else {}
    for name, value in overridden.items():
        part = merged.get(name)
        if name in _PARTS and isinstance(part, dict) and isinstance(value, dict):
            merged[name] = part | value
        else:
            merged[name] = value
    return merged


def of_another_version(parameter: str, version: str) -> bool:
    """Return True of a parameter that overrides the contract of another version."""
    return parameter.startswith(f"{PARAMETER}.") and parameter != f"{PARAMETER}.{version}"


def _check_names(parameters: Mapping[str, str]) -> None:
    for name in sorted(parameters):
        prefix, dot, version = name.partition(".")
        if prefix == PARAMETER and dot and not _VERSION.fullmatch(version):
            raise ContractError(f"parameter '{name}': '{version}' is not the number of a version")


def _object(text: str, parameter: str) -> dict[str, Any]:
    try:
        return _OBJECT.validate_json(text)
    except ValidationError as error:
        raise ContractError(f"parameter '{parameter}': {_faults(error)}") from error


def _validated(text: str, source: str) -> Contract:
    try:
        return Contract.model_validate_json(text)
    except ValidationError as error:
        raise ContractError(f"{source}: {_faults(error)}") from error


def _faults(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(step) for step in item['loc']) or 'document'}: {sentence(item)}"
        for item in error.errors()
    )
