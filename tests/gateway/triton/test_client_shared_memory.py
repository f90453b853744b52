"""Large tensors beside the message, against a server that says which region it was given."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest

from gateway.errors import InferenceFailedError, InferenceUnavailableError
from gateway.runtime.deadline import Deadline
from gateway.triton.client import TritonClient
from tests.support.inference import (
    GRPC_TIMEOUT_STEP_S,
    ScriptedTriton,
    brightness,
    refuses,
    serving,
)

UNKNOWN = "Unable to find shared memory region: 'a'"
SMALL = np.zeros((1, 1, 32, 32), np.float32)
LARGE = np.zeros((1, 1, 128, 128), np.float32)  # 64 KiB
REGION_BYTES = 2**18


class SharingTriton(ScriptedTriton):
    """Notes where the inputs of its calls were.

    Attributes
    ----------
    regions, contents
        Of every call that came, in order.
    forgotten
        How many more calls it answers as a server that was started anew.
    """

    def __init__(self) -> None:
        super().__init__()
        self.infer = self._note
        self.regions: list[list[str]] = []
        self.contents: list[list[int]] = []
        self.forgotten = 0

    async def _note(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        named = [tensor.parameters for tensor in request.inputs]
        self.regions.append(
            [
                parameters["shared_memory_region"].string_param
                for parameters in named
                if "shared_memory_region" in parameters
            ]
        )
        self.contents.append([len(content) for content in request.raw_input_contents])
        if self.forgotten:
            self.forgotten -= 1
            await refuses(grpc.StatusCode.NOT_FOUND, UNKNOWN)(request, context)
        return brightness()


@pytest.fixture
async def triton() -> SharingTriton:
    return SharingTriton()


@pytest.fixture
async def client(triton: SharingTriton) -> AsyncIterator[TritonClient]:
    async with serving(triton) as url:
        client = TritonClient(url, message_bytes=2**20, shared_memory_bytes=3 * REGION_BYTES)
        yield client
        await client.close()


async def infer(client: TritonClient, **inputs: Any) -> Any:
    return await client.infer("brightness", "1", inputs, ["logits"], deadline=Deadline.after(30))


async def test_only_what_is_large_travels_in_a_region(
    triton: SharingTriton, client: TritonClient
) -> None:
    await infer(client, image=LARGE, other=SMALL)
    [[region]] = triton.regions
    assert region.startswith("radstream-tensors-")
    assert triton.contents == [[SMALL.nbytes]]


async def test_region_is_registered_once_and_used_again(
    triton: SharingTriton, client: TritonClient
) -> None:
    for _ in range(3):
        await infer(client, image=LARGE)
    assert triton.calls == ["register", "infer", "infer", "infer"]
    assert triton.regions[0] == triton.regions[1] == triton.regions[2]


async def test_server_that_was_started_anew_is_given_another_region(
    triton: SharingTriton, client: TritonClient
) -> None:
    await infer(client, image=LARGE)
    triton.forgotten = 1
    await infer(client, image=LARGE)
    [first, again, another] = triton.regions
    assert first == again != another


async def test_server_that_never_finds_its_regions_is_unavailable(
    triton: SharingTriton, client: TritonClient
) -> None:
    triton.forgotten = 2
    with pytest.raises(InferenceUnavailableError, match="started anew"):
        await infer(client, image=LARGE)
    assert triton.forgotten == 0


async def test_region_of_a_call_that_failed_rests(
    triton: SharingTriton, client: TritonClient
) -> None:
    note, triton.infer = triton.infer, refuses(grpc.StatusCode.INTERNAL)
    for _ in range(3):
        with pytest.raises(InferenceFailedError):
            await infer(client, image=LARGE)
    triton.infer = note
    await infer(client, image=LARGE)
    assert triton.regions == [[]]  # all three may still be read from
    assert triton.contents == [[LARGE.nbytes]]


async def test_region_is_registered_in_the_time_that_the_request_has(
    triton: SharingTriton, client: TritonClient
) -> None:
    """A Triton that stands still for some seconds costs no study that can wait for it."""
    register, left = triton.register, []

    async def note(request: Any, context: grpc.aio.ServicerContext) -> Any:
        left.append(context.time_remaining())
        return await register(request, context)

    triton.register = note
    await infer(client, image=LARGE)
    assert 2 < left[0] <= 30 + GRPC_TIMEOUT_STEP_S


async def test_region_that_could_not_be_registered_makes_room_for_another(
    triton: SharingTriton, client: TritonClient
) -> None:
    register, names = triton.register, []

    async def refuse(request: Any, context: grpc.aio.ServicerContext) -> Any:
        names.append(request.name)
        await refuses(grpc.StatusCode.UNAVAILABLE)(request, context)

    triton.register = refuse
    for _ in range(4):  # the server may know each of their names now, or not
        with pytest.raises(InferenceUnavailableError):
            await infer(client, image=LARGE)
    triton.register = register
    await infer(client, image=LARGE)
    [[region]] = triton.regions
    assert len({*names, region}) == 5
