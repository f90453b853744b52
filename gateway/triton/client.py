"""NVIDIA Triton over gRPC.

Over the stubs of tritonclient, without its client: that one builds each request anew and gives a
call's status as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.to_thread
import grpc
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from gateway.errors import InferenceFailedError, InferenceUnavailableError
from gateway.observability.tracing import traceparent
from gateway.triton.errors import region_is_unknown, translated
from gateway.triton.messages import (
    InputTensor,
    TruncatedOutputError,
    infer_request,
    read_output,
)
from gateway.triton.protocol import ModelConfig, RepositoryEntry, TensorMetadata
from gateway.triton.shared_memory import RegionPool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gateway.runtime.deadline import Deadline
    from gateway.triton.shared_memory import Region

# Below this a copy into the message costs less than the bookkeeping.
_SHARED_FROM_BYTES = 1 << 16
# Above this a copy takes longer than the way to a thread that does it.
_WRITTEN_HERE_BYTES = 1 << 20


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
        self._channel = grpc.aio.insecure_channel(
            url,
            options=[
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
        self._stub = GRPCInferenceServiceStub(self._channel)
        # Not the stub's: this one takes bytes.
        self._infer = self._channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            response_deserializer=pb.ModelInferResponse.FromString,
        )

    async def close(self) -> None:
        """Close the channel and take the shared memory away."""
        await self._channel.close()
        self._regions.close()

    async def repository_index(self, *, deadline: Deadline) -> Sequence[RepositoryEntry]:
        """See `InferenceServer.repository_index`."""
        with translated("repository index", "", deadline):
            index = await self._stub.RepositoryIndex(
                pb.RepositoryIndexRequest(), timeout=deadline.remaining_s()
            )
        return [
            RepositoryEntry(
                name=entry.name,
                version=entry.version,
                ready=entry.state == "READY",
                reason=entry.reason,
                in_transition=entry.state in {"LOADING", "UNLOADING"},
            )
            for entry in index.models
        ]

    async def model_config(self, name: str, version: str, *, deadline: Deadline) -> ModelConfig:
        """See `InferenceServer.model_config`."""
        with translated("model config", name, deadline):
            answer = await self._stub.ModelConfig(
                pb.ModelConfigRequest(name=name, version=version), timeout=deadline.remaining_s()
            )
        config = answer.config
        return ModelConfig(
            max_batch_size=config.max_batch_size,
            inputs=tuple(_tensor(tensor) for tensor in MessageToDict(config).get("input", ())),
            outputs=tuple(_tensor(tensor) for tensor in MessageToDict(config).get("output", ())),
            parameters={key: value.string_value for key, value in config.parameters.items()},
            instances=sum(group.count * max(1, len(group.gpus)) for group in config.instance_group),
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
        with translated("inference", name, deadline):
            try:
                answer = await self._ask((name, version), inputs, outputs, deadline)
            except grpc.aio.AioRpcError as error:
                if not region_is_unknown(error):
                    raise
                answer = await self._ask((name, version), inputs, outputs, deadline)
        return {output: _array(name, answer, output) for output in outputs}

    async def _ask(
        self,
        model: tuple[str, str],
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
        deadline: Deadline,
    ) -> Any:
        large = {
            name: array.nbytes
            for name, array in inputs.items()
            if array.nbytes >= _SHARED_FROM_BYTES
        }
        with self._regions.lent(large) as regions:
            for name, region in regions.items():
                await self._fill(region, inputs[name], deadline)
            remaining_s = deadline.remaining_s()
            request = infer_request(
                model,
                [
                    InputTensor.of(name, array, regions[name].name if name in regions else None)
                    for name, array in inputs.items()
                ],
                outputs,
                [array for name, array in inputs.items() if name not in regions],
                timeout_us=max(1, int(remaining_s * 1e6)),  # Triton's own queue
            )
            try:
                return await self._infer(request, timeout=remaining_s, metadata=_trace())
            except grpc.aio.AioRpcError as error:
                if region_is_unknown(error):
                    self._regions.forget(regions.values())
                raise

    async def _fill(self, region: Region, array: NDArray[Any], deadline: Deadline) -> None:
        """Copy the array into the region, which Triton knows then."""
        if not region.registered:
            await self._stub.SystemSharedMemoryRegister(
                pb.SystemSharedMemoryRegisterRequest(
                    name=region.name, key=region.key, byte_size=region.size
                ),
                timeout=deadline.remaining_s(),
            )
            region.register()
        if array.nbytes <= _WRITTEN_HERE_BYTES:
            region.write(array)
        else:
            await anyio.to_thread.run_sync(region.write, array)

    async def reload_model(self, name: str, *, deadline: Deadline) -> None:
        """See `InferenceServer.reload_model`."""
        with translated("reload", name, deadline):
            await self._stub.RepositoryModelUnload(
                pb.RepositoryModelUnloadRequest(model_name=name), timeout=deadline.remaining_s()
            )
        await self.load_model(name, deadline=deadline)

    async def load_model(self, name: str, *, deadline: Deadline) -> None:
        """See `InferenceServer.load_model`."""
        with translated("load", name, deadline):
            await self._stub.RepositoryModelLoad(
                pb.RepositoryModelLoadRequest(model_name=name), timeout=deadline.remaining_s()
            )


def _trace() -> tuple[tuple[str, str], ...]:
    """Return the gRPC metadata that lets Triton's own trace join the study's; empty without one."""
    header = traceparent()
    return (("traceparent", header),) if header else ()


def _tensor(tensor: Mapping[str, Any]) -> TensorMetadata:
    return TensorMetadata(
        name=tensor["name"],
        datatype=str(tensor["dataType"]).removeprefix("TYPE_"),
        shape=tuple(int(size) for size in tensor.get("dims", ())),
    )


def _array(model_name: str, answer: pb.ModelInferResponse, output: str) -> NDArray[Any]:
    """Return the output; a crashing server leaves some or all of them out, or cuts them short.

    A model that fails on its input has an error of its own, so such an answer says nothing of it.
    """
    try:
        array = read_output(answer, output)
    except TruncatedOutputError as error:
        raise InferenceUnavailableError(f"{model_name} answers with half of {output}") from error
    except ValueError as error:
        raise InferenceFailedError(model_name, f"output {output} is malformed") from error
    if array is None:
        raise InferenceUnavailableError(f"{model_name} answers without {output}")
    return array
