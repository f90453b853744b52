"""NVIDIA Triton over gRPC; the only module that knows tritonclient's ways."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import grpc
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from gateway.clients.protocols import ModelConfig, RepositoryEntry, TensorMetadata
from gateway.clients.shared_memory import RegionPool
from gateway.errors import (
    BackendDiedError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
)
from gateway.tracing import traceparent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from numpy.typing import NDArray

    from gateway.clients.shared_memory import Region
    from gateway.deadline import Deadline

# Triton's words for a full queue: its status, UNAVAILABLE, is also that of a stopped server.
_QUEUE_FULL = "Exceeds maximum queue size"
_QUEUE_TIMEOUT = "Request timeout expired"
# A server that was started anew has forgotten what was registered with the old one.
_REGION_UNKNOWN = "Unable to find shared memory region"
# Below this a copy into a message costs less than the bookkeeping.
_SHARED_FROM_BYTES = 1 << 18
_REGISTER_TIMEOUT_S = 2.0
# A backend process that died leaves the model "ready"; only a reload mends it.
_BACKEND_DIED = "is not healthy"


class TritonClient:
    """One long-lived channel to one Triton.

    Parameters
    ----------
    url
        ``host:port`` of the gRPC endpoint.
    message_bytes
        The largest gRPC message in either direction.
    shared_memory_bytes
        Of /dev/shm for large inputs, where Triton shares it; 0 where it does not.
    """

    def __init__(self, url: str, *, message_bytes: int, shared_memory_bytes: int = 0) -> None:
        self._regions = RegionPool(shared_memory_bytes)
        self._client = InferenceServerClient(
            url,
            channel_args=[
                ("grpc.max_send_message_length", message_bytes),
                ("grpc.max_receive_message_length", message_bytes),
                # gRPC backs off up to two minutes by itself; a restarted sidecar is back sooner.
                ("grpc.initial_reconnect_backoff_ms", 100),
                # The time one attempt may take: a busy machine needs more than a moment for it.
                ("grpc.min_reconnect_backoff_ms", 1000),
                ("grpc.max_reconnect_backoff_ms", 1000),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 5_000),
                # A proxy in the environment is never on the way to a sidecar.
                ("grpc.enable_http_proxy", 0),
            ],
        )

    async def close(self) -> None:
        """Close the channel and take the shared memory away."""
        await self._client.close()
        self._regions.close()

    async def repository_index(self, *, deadline: Deadline) -> Sequence[RepositoryEntry]:
        """See `InferenceServer.repository_index`."""
        async with _translated("repository index", "", deadline):
            index = await self._client.get_model_repository_index(
                client_timeout=deadline.remaining_s()
            )
        return [
            RepositoryEntry(
                name=entry.name,
                version=entry.version,
                ready=entry.state == "READY",
                reason=entry.reason,
            )
            for entry in index.models
        ]

    async def model_config(self, name: str, version: str, *, deadline: Deadline) -> ModelConfig:
        """See `InferenceServer.model_config`."""
        async with _translated("model config", name, deadline):
            answer = await self._client.get_model_config(
                name, version, client_timeout=deadline.remaining_s()
            )
        config = answer.config
        return ModelConfig(
            max_batch_size=config.max_batch_size,
            inputs=tuple(_tensor(tensor) for tensor in MessageToDict(config).get("input", ())),
            outputs=tuple(_tensor(tensor) for tensor in MessageToDict(config).get("output", ())),
            parameters={key: value.string_value for key, value in config.parameters.items()},
        )

    async def infer(
        self,
        name: str,
        version: str,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
        *,
        deadline: Deadline,
    ) -> Mapping[str, NDArray[Any]]:
        """See `InferenceServer.infer`."""
        remaining_s = deadline.remaining_s()
        async with _translated("inference", name, deadline), self._sent(inputs) as tensors:
            answer = await self._client.infer(
                name,
                tensors,
                model_version=version,
                outputs=[InferRequestedOutput(output) for output in outputs],
                timeout=max(1, int(remaining_s * 1e6)),  # microseconds: Triton's own queue
                client_timeout=remaining_s,  # seconds: this call
                headers=_trace(),
            )
        return {output: _array(name, answer, output) for output in outputs}

    @asynccontextmanager
    async def _sent(self, inputs: Mapping[str, NDArray[Any]]) -> AsyncIterator[list[InferInput]]:
        """The inputs as tritonclient takes them: large ones in shared memory, until the answer."""
        taken: list[Region] = []
        try:
            yield [await self._tensor(name, array, taken) for name, array in inputs.items()]
        except BaseException as error:
            if _REGION_UNKNOWN in str(error):
                self._regions.forget_registrations()
            for region in taken:
                region.rest()  # no answer: Triton may still be reading
            raise
        finally:
            for region in taken:
                self._regions.give_back(region)

    async def _tensor(self, name: str, array: NDArray[Any], taken: list[Region]) -> InferInput:
        tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        region = self._regions.take(array.nbytes) if array.nbytes >= _SHARED_FROM_BYTES else None
        if region is None:
            tensor.set_data_from_numpy(array)
            return tensor
        taken.append(region)
        if not region.registered:
            await self._client.register_system_shared_memory(
                region.name, region.key, region.size, client_timeout=_REGISTER_TIMEOUT_S
            )
            region.registered = True
        await anyio.to_thread.run_sync(region.write, array)
        tensor.set_shared_memory(region.name, array.nbytes)
        return tensor

    async def reload_model(self, name: str, *, deadline: Deadline) -> None:
        """See `InferenceServer.reload_model`."""
        async with _translated("reload", name, deadline):
            await self._client.unload_model(name, client_timeout=deadline.remaining_s())
            await self._client.load_model(name, client_timeout=deadline.remaining_s())


def _trace() -> dict[str, str] | None:
    """What lets Triton's own trace join the study's."""
    header = traceparent()
    return {"traceparent": header} if header else None


def _tensor(tensor: Mapping[str, Any]) -> TensorMetadata:
    return TensorMetadata(
        name=tensor["name"],
        datatype=str(tensor["dataType"]).removeprefix("TYPE_"),
        shape=tuple(int(size) for size in tensor.get("dims", ())),
    )


def _array(model_name: str, answer: InferResult, output: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] | None = answer.as_numpy(output)
    except (ValueError, TypeError, struct.error) as error:
        # The bytes are not those of the shape and type.
        raise InferenceFailedError(model_name, f"output {output} is malformed") from error
    if array is None:
        raise InferenceFailedError(model_name, f"the answer lacks {output}")
    return array


@asynccontextmanager
async def _translated(stage: str, model_name: str, deadline: Deadline) -> AsyncIterator[None]:
    """Turn what tritonclient and grpc raise into our errors."""
    if deadline.remaining_s() == 0:
        raise DeadlineExceededError(stage)  # grpc may answer even a call with no time at all
    try:
        yield
    except InferenceServerException as error:
        raise _error(stage, model_name, error, deadline) from error
    except grpc.aio.UsageError as error:  # the channel was closed under a call
        raise InferenceUnavailableError("the channel is closed") from error
    except asyncio.CancelledError:
        # grpc.aio cancels the call when its task is cancelled; a call cancelled from within
        # (the channel closing) looks the same but for the task.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise InferenceUnavailableError("the call was cancelled") from None


def _error(  # noqa: PLR0911 - one return a status reads better than a variable
    stage: str, model_name: str, error: InferenceServerException, deadline: Deadline
) -> Exception:
    status = str(error.status() or "").removeprefix("StatusCode.")
    message = str(error.message() or "")
    match status:
        case "DEADLINE_EXCEEDED":
            return DeadlineExceededError(stage)
        case "UNAVAILABLE" if _QUEUE_FULL in message:
            return InferenceOverloadedError(model_name)
        case "UNAVAILABLE" if _QUEUE_TIMEOUT in message:
            return DeadlineExceededError("queue")
        case "UNAVAILABLE" | "CANCELLED":
            return InferenceUnavailableError("Triton does not answer")
        case "NOT_FOUND" if _REGION_UNKNOWN in message:
            return InferenceUnavailableError("Triton was started anew")
        case "NOT_FOUND":
            return InferenceUnavailableError(f"Triton does not serve {model_name}")
        case "INTERNAL" if _BACKEND_DIED in message:
            return BackendDiedError(f"the backend of {model_name} died")
        case _ if deadline.remaining_s() == 0:
            return DeadlineExceededError(stage)
        case _:
            return InferenceFailedError(model_name, f"{status}: {message}"[:500])
