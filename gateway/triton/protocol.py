"""Protocols of the inference server and of the process that it runs in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gateway.runtime.deadline import Deadline


@dataclass(frozen=True, slots=True)
class RepositoryEntry:
    """One version of a model, as the server's repository index gives it."""

    name: str
    version: str
    ready: bool
    reason: str
    in_transition: bool = False


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """A tensor's name, Open Inference Protocol datatype and shape without the batch axis."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model's configuration: its tensors, its instances and its free parameters."""

    max_batch_size: int
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    parameters: Mapping[str, str]
    instances: int = 1


class InferenceServer(Protocol):
    """A server of the Open Inference Protocol (KServe v2) with a model repository.

    Every method raises `InferenceUnavailableError` when the server does not answer and
    `DeadlineExceededError` when the deadline passes first.
    """

    async def repository_index(self, *, deadline: Deadline) -> Sequence[RepositoryEntry]:
        """Return every model version the server knows, loaded or not."""
        ...

    async def model_config(self, name: str, version: str, *, deadline: Deadline) -> ModelConfig:
        """Return the configuration of one loaded model version."""
        ...

    async def infer(
        self,
        name: str,
        version: str,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
        *,
        deadline: Deadline,
    ) -> Mapping[str, NDArray[Any]]:
        """Return the named outputs for the inputs, batch axis first in both.

        Raises
        ------
        InferenceOverloadedError
            The model's queue is full.
        InferenceFailedError
            The model failed on this input.
        """
        ...

    async def reload_model(self, name: str, *, deadline: Deadline) -> None:
        """Unload and load the model: what mends a backend process that died."""
        ...

    async def load_model(self, name: str, *, deadline: Deadline) -> None:
        """Load the model; nothing happens if it is loaded, and a load under way is waited for."""
        ...


class TritonHost(Protocol):
    """Supervisor of the process that Triton runs in, which can start it anew.

    Attributes
    ----------
    restarts_silent
        True if it tells a server that hangs from one that starts, and so may be asked to restart
        one that does not answer at all.
    """

    restarts_silent: bool

    def lost_backends(self) -> frozenset[int]:
        """Return the process ids of backends that died and that Triton has not noticed yet."""
        ...

    def backends_of(self, model_name: str) -> frozenset[int]:
        """Return the process ids of the model's living backends, as far as they are to be seen."""
        ...

    def end_backends(self, model_name: str, pids: frozenset[int]) -> None:
        """Kill those of these processes that are backends of the model still."""
        ...

    def restart(self) -> bool:
        """End Triton and start it again; return False where it is being started already."""
        ...
