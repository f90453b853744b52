"""What the gateway asks of the outside: an inference server, an object store, sinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gateway.runtime.deadline import Deadline
    from gateway.telemetry.records import TelemetryRecord


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
        """Every model version the server knows, loaded or not."""
        ...

    async def model_config(self, name: str, version: str, *, deadline: Deadline) -> ModelConfig:
        """The configuration of one loaded model version."""
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
        """The named outputs for the inputs, batch axis first in both.

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
        Whether it tells a server that hangs from one that starts, and so may be asked to restart
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
        """Have Triton ended and started again; False where it is being started already."""
        ...


class Reserve(Protocol):
    """Makes room for so many bytes; what it raises ends the read."""

    async def __call__(self, size: int, /) -> None:
        """Return once there is room."""
        ...


class ObjectStore(Protocol):
    """Objects under keys, as S3 has them: whole reads, atomic writes, lexicographic listing.

    Every method raises `StoreUnavailableError` when the store does not answer and
    `InvalidKeyError` for a key it cannot hold.
    """

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        """The object's bytes.

        Parameters
        ----------
        key
            Of the object.
        limit_bytes
            The longest object taken; a longer one is not read to its end.
        version_id
            Of S3; None reads the current version, as does a store that keeps one version only.
        reserve
            Told the object's length before its bytes are read, and awaited.

        Raises
        ------
        ObjectNotFoundError
            No object has this key, or not in this version.
        ObjectTooLargeError
            The object is longer than the limit.
        """
        ...

    async def beginning(self, key: str, size: int, *, version_id: str | None = None) -> bytes:
        """Return the object's first bytes, all of a shorter one; no more is read.

        Raises
        ------
        ObjectNotFoundError
        """
        ...

    async def written_at(self, key: str, *, version_id: str | None = None) -> dt.datetime:
        """Return when the object came to lie there, by the store's own clock, in UTC.

        Raises
        ------
        ObjectNotFoundError
        """
        ...

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        """Whether the object was written: False when the key was taken (If-None-Match: *)."""
        ...

    async def replace(self, key: str, data: bytes | memoryview, *, media_type: str) -> None:
        """Write the object, over whatever the key held."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the object, if there is one."""
        ...

    async def purge(self, prefix: str) -> bool:
        """Remove every object whose key starts with the prefix, for good.

        Parameters
        ----------
        prefix
            Of keys, or one key that no other begins with.

        Returns
        -------
        bool
            Whether nothing is left: False where the store keeps older versions and does not let
            them be removed.
        """
        ...

    async def keys(self, prefix: str) -> Sequence[str]:
        """All keys that start with the prefix, in the order of their UTF-8 bytes."""
        ...

    async def folders(self, prefix: str, *, after: str, limit: int) -> Sequence[str]:
        """Names under the prefix, empty or ending in a slash, that a slash and objects follow.

        At most `limit`, beyond `after`, in the order of their keys: "a-b" stands before "a", as
        "a-b/" does before "a/".
        """
        ...


class AuditSink(Protocol):
    """Where the audit trail lies: it only grows."""

    async def append(self, lines: bytes) -> None:
        """Return when the lines, each ending in a line feed, are safe there.

        Raises
        ------
        AuditUnavailableError
            They are not known to be.
        """
        ...


class KeySetSource(Protocol):
    """Where an issuer's signing keys are had."""

    async def fetch(self) -> bytes:
        """A JWK Set as it stands there, of at most 1 MiB.

        Raises
        ------
        IssuerUnavailableError
        """
        ...


class TelemetrySink(Protocol):
    """Where telemetry goes: at least once, in no promised order."""

    async def put(self, records: Sequence[TelemetryRecord]) -> Sequence[int]:
        """The positions of the records that were refused; all the others are safe there.

        Parameters
        ----------
        records
            At most `BATCH_RECORDS`, of `BATCH_BYTES` together; more is a ValueError.

        Raises
        ------
        SinkUnavailableError
            None is known to be safe there.
        """
        ...
