"""The Python-based backend, inside a real Triton, over models with answers known by hand."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.triton.embedded import onnx_models
from tests.support.triton import running_triton

# Requests that arrive within half a second of each other make one batch, at the latest of eight.
PATIENT_BATCHING = """
max_batch_size: 8
dynamic_batching { max_queue_delay_microseconds: 500000 preferred_batch_size: [ 8 ] }
"""
TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
}
EDGE_VALUES: dict[str, NDArray[Any]] = {
    "BOOL": np.array([True, False]),
    "UINT8": np.array([0, 255], np.uint8),
    "UINT16": np.array([1, 65535], np.uint16),
    "INT64": np.array([-1, 2**62], np.int64),
    "FP16": np.array([0.5, -65504], np.float16),
    "FP32": np.array([1e-38, 3e38], np.float32),
}
EVERY_PARAMETER = """
max_batch_size: 4
parameters { key: "intra_op_thread_count" value { string_value: "2" } }
parameters { key: "inter_op_thread_count" value { string_value: "2" } }
parameters { key: "execution_mode" value { string_value: "1" } }
parameters { key: "enable_mem_arena" value { string_value: "false" } }
parameters { key: "enable_mem_pattern" value { string_value: "false" } }
optimization { graph { level: 2 } }
"""


def output(name: str, data_type: str, dims: str) -> str:
    return f'output [ {{ name: "{name}" data_type: {data_type} dims: [ {dims} ] }} ]'


# Each with the reason that Triton then gives.
REFUSED = {
    "fixed_batch": (onnx_models.single, "max_batch_size: 8", "first dimension of an input"),
    "other_type": (
        onnx_models.affine,
        "max_batch_size: 8 " + output("y", "TYPE_FP16", "3"),
        "'y': the model expects TYPE_FP32",
    ),
    "other_dims": (
        onnx_models.affine,
        "max_batch_size: 8 " + output("y", "TYPE_FP32", "4"),
        r"expects shape \[-1, 3\]",
    ),
    "other_name": (
        onnx_models.affine,
        "max_batch_size: 8 " + output("z", "TYPE_FP32", "3"),
        "unexpected inference output 'z', allowed are: y, minus",
    ),
    "bad_parameter": (
        onnx_models.affine,
        'parameters { key: "intra_op_thread_count" value { string_value: "two" } }',
        "invalid literal for int.*'two'",
    ),
}


@pytest.fixture(scope="module")
def model_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("models")
    onnx_models.affine(repository / "affine")
    onnx_models.affine(repository / "bare", "")
    onnx_models.affine(repository / "batching", PATIENT_BATCHING)
    onnx_models.lookup(repository / "lookup", PATIENT_BATCHING)
    onnx_models.twice(repository / "twice", TYPES)
    onnx_models.row_sum(repository / "row_sum", EVERY_PARAMETER)
    for name, (write, config, _) in REFUSED.items():
        write(repository / name, config)
    return repository


@pytest.fixture(scope="module")
async def triton(model_repository: Path) -> AsyncIterator[EmbeddedTriton]:
    async with running_triton(model_repository) as triton:
        yield triton


@pytest.fixture(scope="module")
async def client(triton: EmbeddedTriton) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(triton.grpc_url) as client:
        yield client


def tensor(name: str, data_type: str, array: NDArray[Any]) -> InferInput:
    made = InferInput(name, array.shape, data_type)
    made.set_data_from_numpy(array)
    return made


def x(*rows: list[float]) -> InferInput:
    return tensor("x", "FP32", np.array(rows, np.float32))


async def test_every_output_has_its_own_values(client: InferenceServerClient):
    result = await client.infer("affine", [x([1, 2, 3], [-0.5, 0, 10])])
    np.testing.assert_array_equal(result.as_numpy("y"), [[3, 5, 7], [0, 1, 21]])
    np.testing.assert_array_equal(result.as_numpy("minus"), [[-1, -2, -3], [0.5, 0, -10]])


async def test_only_requested_outputs_are_sent(client: InferenceServerClient):
    result = await client.infer("affine", [x([1, 2, 3])], outputs=[InferRequestedOutput("minus")])
    assert [output.name for output in result.get_response().outputs] == ["minus"]
    np.testing.assert_array_equal(result.as_numpy("minus"), [[-1, -2, -3]])


async def test_every_data_type_keeps_its_values(client: InferenceServerClient):
    result = await client.infer("twice", [tensor(t, t, a) for t, a in EDGE_VALUES.items()])
    for name, given in EDGE_VALUES.items():
        answer = result.as_numpy(f"twice_{name}")
        assert answer.dtype == given.dtype
        assert answer.tolist() == [*given.tolist(), *given.tolist()]


async def test_large_tensors_pass_through_shared_memory_unharmed(client: InferenceServerClient):
    # 8 MiB in and 16 MiB out, where a backend process starts with a region of 1 MiB.
    given = EDGE_VALUES | {"FP32": np.arange(1 << 21, dtype=np.float32)}
    result = await client.infer("twice", [tensor(t, t, a) for t, a in given.items()])
    np.testing.assert_array_equal(result.as_numpy("twice_FP32"), np.tile(given["FP32"], 2))


async def test_configuration_is_completed_from_the_model(client: InferenceServerClient):
    config = (await client.get_model_config("affine", as_json=True))["config"]
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": ["3"]}]
    assert config["output"] == [
        {"name": "y", "data_type": "TYPE_FP32", "dims": ["3"]},
        {"name": "minus", "data_type": "TYPE_FP32", "dims": ["3"]},
    ]
    assert config["max_batch_size"] == 8
    assert "dynamic_batching" in config


async def test_batch_size_left_out_is_tritons_default(client: InferenceServerClient):
    config = (await client.get_model_config("bare", as_json=True))["config"]
    assert config["max_batch_size"] == 4
    assert "dynamic_batching" in config


async def test_number_per_row_gets_an_axis_of_one(client: InferenceServerClient):
    config = (await client.get_model_config("row_sum", as_json=True))["config"]
    assert config["output"] == [
        {"name": "total", "data_type": "TYPE_FP32", "dims": ["1"], "reshape": {}}
    ]
    result = await client.infer("row_sum", [x([1, 2, 3], [4, 5, 6])])
    assert result.as_numpy("total").tolist() == [[6], [15]]


@pytest.mark.parametrize("name", REFUSED)
async def test_contradictory_configuration_keeps_the_model_out(
    client: InferenceServerClient, name: str
):
    index = await client.get_model_repository_index(as_json=True)
    [model] = [model for model in index["models"] if model["name"] == name]
    assert model["state"] == "UNAVAILABLE"
    assert re.search(REFUSED[name][2], model["reason"])


async def test_concurrent_requests_form_batches(
    triton: EmbeddedTriton, client: InferenceServerClient
):
    results = await asyncio.gather(
        *[client.infer("batching", [x([i, i + 1, i + 2])]) for i in range(16)]
    )
    for i, result in enumerate(results):  # each its own row of the batch
        assert result.as_numpy("y").tolist() == [[2 * i + 1, 2 * i + 3, 2 * i + 5]]
    assert await metric(triton, "nv_inference_count", "batching") == 16
    assert await metric(triton, "nv_inference_exec_count", "batching") < 16


async def metric(triton: EmbeddedTriton, name: str, model: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as http:
        metrics = (await http.get(triton.metrics_url)).text
    [value] = re.findall(rf'^{name}{{model="{model}",version="1"}} (\S+)$', metrics, re.MULTILINE)
    return float(value)


async def test_requests_of_several_rows_get_their_own_rows_back(client: InferenceServerClient):
    one, three = await asyncio.gather(
        client.infer("batching", [x([0, 0, 0])]),
        client.infer(
            "batching",
            [x([1, 1, 1], [2, 2, 2], [3, 3, 3])],
            outputs=[InferRequestedOutput("minus")],
        ),
    )
    assert one.as_numpy("y").tolist() == [[1, 1, 1]]
    assert three.as_numpy("minus").tolist() == [[-1, -1, -1], [-2, -2, -2], [-3, -3, -3]]
    assert three.as_numpy("y") is None


async def test_bad_request_in_a_batch_costs_only_itself(
    triton: EmbeddedTriton, client: InferenceServerClient
):
    async def value(index: int) -> Any:
        result = await client.infer("lookup", [tensor("index", "INT64", np.array([[index]]))])
        return result.as_numpy("value").tolist()

    executed = await metric(triton, "nv_inference_exec_count", "lookup")
    first, bad, third, *rest = await asyncio.gather(
        *[value(i) for i in (0, 7, 2, 1, 1, 1, 1, 1)], return_exceptions=True
    )
    assert (first, third, *rest) == ([[10]], [[30]], *[[[20]]] * 5)
    assert isinstance(bad, InferenceServerException)
    assert "idx=7 must be within the inclusive range" in str(bad)
    # All eight had come to the backend together.
    assert await metric(triton, "nv_inference_exec_count", "lookup") == executed + 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (tensor("x", "FP32", np.zeros((1, 4), np.float32)), "unexpected shape for input 'x'"),
        (tensor("x", "FP32", np.zeros((9, 3), np.float32)), "batch-size must be <= 8"),
        (tensor("x", "FP64", np.zeros((1, 3))), "data-type is 'FP64'"),
    ],
)
async def test_input_that_does_not_fit_is_refused(
    client: InferenceServerClient, bad: InferInput, said: str
):
    with pytest.raises(InferenceServerException, match=said) as caught:
        await client.infer("affine", [bad])
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
