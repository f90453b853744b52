"""A gRPC server of Triton's protocol that answers as a test tells it: for faults Triton has not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype

from tests.support import models

# gRPC tells a server the time that is left as text in `grpc-timeout`, rounded up: from 10 s on to
# the next tenth of a second. So a server may see more than its caller gave; the caller's own clock
# ends the call.
GRPC_TIMEOUT_STEP_S = 0.1

Answer = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]


def inferred(**tensors: NDArray[Any]) -> service_pb2.ModelInferResponse:
    """An answer with these outputs, as Triton makes it."""
    return service_pb2.ModelInferResponse(
        outputs=[
            service_pb2.ModelInferResponse.InferOutputTensor(
                name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape
            )
            for name, array in tensors.items()
        ],
        raw_output_contents=[array.tobytes() for array in tensors.values()],
    )


def brightness(logit: float = 0.8) -> service_pb2.ModelInferResponse:
    """Return the answer of `tests.support.models` for its golden image, or one of another logit."""
    cells = np.full((1, 1, models.CELLS, models.CELLS), logit, np.float32)
    return inferred(logits=np.array([[logit]], np.float32), activation_map=cells)


class ScriptedTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves `brightness`, ready and right, until a test puts something else in its place.

    Attributes
    ----------
    infer, index, config, load, unload, register
        The answers to each call.
    calls
        Names of the calls that came, in order.
    peers
        Addresses they came from, one for each connection.
    cancelled
        Set once the server was told that a caller gave up.
    """

    def __init__(self) -> None:
        self.infer: Answer = answers(brightness())
        self.index: Answer = answers(indexed(("brightness", "1", "READY")))
        self.config: Answer = answers(configured(models.contract()))
        self.load: Answer = answers(service_pb2.RepositoryModelLoadResponse())
        self.unload: Answer = answers(service_pb2.RepositoryModelUnloadResponse())
        self.register: Answer = answers(service_pb2.SystemSharedMemoryRegisterResponse())
        self.calls: list[str] = []
        self.peers: set[str] = set()
        self.arrived = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def ModelInfer(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        return await self._called("infer", self.infer, request, context)

    async def RepositoryIndex(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        return await self._called("index", self.index, request, context)

    async def ModelConfig(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        return await self._called("config", self.config, request, context)

    async def RepositoryModelLoad(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        return await self._called("load", self.load, request, context)

    async def RepositoryModelUnload(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        return await self._called("unload", self.unload, request, context)

    async def SystemSharedMemoryRegister(  # noqa: N802 - the protocol's name
        self, request: Any, context: grpc.aio.ServicerContext
    ) -> Any:
        return await self._called("register", self.register, request, context)

    async def _called(
        self, name: str, answer: Answer, request: Any, context: grpc.aio.ServicerContext
    ) -> Any:
        self.calls.append(name)
        self.peers.add(context.peer())
        self.arrived.set()
        try:
            return await answer(request, context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def answers(message: Any) -> Answer:
    """The same answer always."""

    async def answer(_request: Any, _context: grpc.aio.ServicerContext) -> Any:
        return message

    return answer


def refuses(status: grpc.StatusCode, detail: str = "") -> Answer:
    """No answer but a status."""

    async def answer(_request: Any, context: grpc.aio.ServicerContext) -> Any:
        await context.abort(status, detail)

    return answer


async def never(_request: Any, _context: grpc.aio.ServicerContext) -> Any:
    """An answer that does not come."""
    await asyncio.Event().wait()


def held_back(until: asyncio.Event, answer: Answer) -> Answer:
    """An answer that comes once the event is set."""

    async def answered(request: Any, context: grpc.aio.ServicerContext) -> Any:
        await until.wait()
        return await answer(request, context)

    return answered


def indexed(
    *entries: tuple[str, str, str], reason: str = ""
) -> service_pb2.RepositoryIndexResponse:
    """A repository index of names, versions and states, all for one reason."""
    index = service_pb2.RepositoryIndexResponse
    return index(
        models=[
            index.ModelIndex(name=name, version=version, state=state, reason=reason)
            for name, version, state in entries
        ]
    )


def configured(document: Mapping[str, Any]) -> service_pb2.ModelConfigResponse:
    """The configuration of a `brightness` with this contract."""
    config = models.model_config()
    config.parameters["radstream"].string_value = json.dumps(document)
    return service_pb2.ModelConfigResponse(config=config)


@asynccontextmanager
async def serving(triton: ScriptedTriton) -> AsyncIterator[str]:
    """Its host and port."""
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(triton, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(grace=None)
