"""`radstream models tune`: how many instances a model has, and how it batches, on this machine.

Triton takes both from a model's config.pbtxt alone. They depend on the machine, the rest of that
file on the model: so the file is changed in a copy of the repository, and the contract in it stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import text_format
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from gateway.errors import ContractError
from gateway.models.config_file import read_config

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tritonclient.grpc import model_config_pb2 as pb

_NOTE = "# Tuned by `radstream models tune`; the rest is as the model's maker wrote it.\n"


class Tuning(BaseModel):
    """The settings that a model has on one machine; one that is not given stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instances: int | None = Field(None, ge=1, description="Instances on each device.")
    max_queue_delay_us: int | None = Field(
        None, ge=0, description="Microseconds that a request waits for others to be batched with."
    )
    preferred_batch_sizes: list[int] | None = Field(
        None, description="Sizes of a batch that is run at once."
    )
    max_queue_size: int | None = Field(
        None, ge=0, description="Requests that may wait; 0 for any number."
    )


class Tunings(RootModel[dict[str, Tuning]]):
    """Tunings by model."""


def read_tunings(text: str) -> Mapping[str, Tuning]:
    """Return tunings by model, from their JSON.

    Raises
    ------
    ContractError
        It is not valid.
    """
    try:
        return Tunings.model_validate_json(text).root
    except ValidationError as error:
        raise ContractError(f"the tuning is not valid: {error}") from error


def tune(model_repository: Path, tunings: Mapping[str, Tuning]) -> list[Path]:
    """Return the config.pbtxt of each model named, written anew.

    Raises
    ------
    ContractError
        There is no such model, or it does not batch and shall.
    """
    changed = []
    for name, tuning in tunings.items():
        path = model_repository / name / "config.pbtxt"
        config = read_config(model_repository / name)
        _set_instances(config, tuning)
        _set_batching(config, tuning, name)
        path.write_text(_NOTE + text_format.MessageToString(config))
        changed.append(path)
    return changed


def _set_instances(config: pb.ModelConfig, tuning: Tuning) -> None:
    if tuning.instances is None:
        return
    for group in config.instance_group or [config.instance_group.add()]:
        group.count = tuning.instances


def _set_batching(config: pb.ModelConfig, tuning: Tuning, name: str) -> None:
    if tuning.model_dump(exclude={"instances"}, exclude_none=True) and not config.max_batch_size:
        raise ContractError(f"{name} has no max_batch_size, so it cannot batch")
    batching = config.dynamic_batching
    if tuning.max_queue_delay_us is not None:
        batching.max_queue_delay_microseconds = tuning.max_queue_delay_us
    if tuning.preferred_batch_sizes is not None:
        batching.preferred_batch_size[:] = tuning.preferred_batch_sizes
    if tuning.max_queue_size is not None:
        batching.default_queue_policy.max_queue_size = tuning.max_queue_size
