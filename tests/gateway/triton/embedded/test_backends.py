"""Backend processes that died unnoticed, and those of a model that was reloaded."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.triton.embedded.own_triton import Traces, affine
from tests.support.gateway import until
from tests.support.models import write_model
from tests.support.processes import backend_process
from tests.support.triton import running_triton


async def test_backend_process_that_died_unnoticed_is_seen(triton: EmbeddedTriton):
    await until(lambda: triton.lost_backends() == frozenset())
    stub = Traces(triton).stub
    stub.kill()
    await until(lambda: triton.lost_backends() == {stub.pid})
    async with InferenceServerClient(triton.grpc_url) as client:
        await client.unload_model("affine")
        await client.load_model("affine")
        assert await affine(client) == [[3, 5, 7]]
    await until(lambda: triton.lost_backends() == frozenset())


@pytest.mark.server
async def test_processes_of_a_model_that_was_reloaded_are_ended(tmp_path: Path):
    """Triton itself keeps the living one of two for good, once the other had died."""
    write_model(tmp_path, instances=2)
    write_model(tmp_path, "brightness_2")
    async with (
        running_triton(tmp_path) as triton,
        InferenceServerClient(triton.grpc_url) as client,
    ):
        before, others = triton.backends_of("brightness"), triton.backends_of("brightness_2")
        assert (len(before), len(others)) == (2, 1)
        backend_process(triton.grpc_url, "brightness").kill()
        with suppress(InferenceServerException):
            while True:
                await bright(client)  # until one of them meets the dead one
        await client.unload_model("brightness")
        await client.load_model("brightness")
        after = triton.backends_of("brightness") - before
        assert len(after) == 2
        triton.end_backends("brightness", before | others)
        await until(lambda: triton.backends_of("brightness") == after)
        assert triton.backends_of("brightness_2") == others
        assert [await bright(client) for _ in range(4)] == [[[4.0]]] * 4


async def bright(client: InferenceServerClient) -> list[list[float]]:
    image = InferInput("image", [1, 1, 32, 32], "FP32")
    image.set_data_from_numpy(np.ones((1, 1, 32, 32), np.float32))
    return (await client.infer("brightness", [image])).as_numpy("logits").tolist()
