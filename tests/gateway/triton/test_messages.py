"""Requests put together from bytes, read by protobuf itself."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from gateway.triton.messages import InputTensor, infer_request, read_output
from tests.support.inference import inferred


def parsed(inputs: dict[str, NDArray[Any]], regions: dict[str, str] | None = None) -> Any:
    named = regions or {}
    data = infer_request(
        ("model", "3"),
        [InputTensor.of(name, array, named.get(name)) for name, array in inputs.items()],
        ["logits", "activation_map"],
        [array for name, array in inputs.items() if name not in named],
        timeout_us=1_500_000,
    )
    return pb.ModelInferRequest.FromString(data)


def test_request_says_what_is_asked() -> None:
    request = parsed({"image": np.zeros((1, 2, 3), np.uint16), "scale": np.ones(1)})
    assert (request.model_name, request.model_version) == ("model", "3")
    assert [(i.name, i.datatype, list(i.shape)) for i in request.inputs] == [
        ("image", "UINT16", [1, 2, 3]),
        ("scale", "FP64", [1]),
    ]
    assert [output.name for output in request.outputs] == ["logits", "activation_map"]
    assert request.parameters["timeout"].int64_param == 1_500_000


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 2**21 - 1, 2**21])
def test_elements_are_those_of_the_arrays_in_their_order(size: int) -> None:
    first = (np.arange(size) % 251).astype(np.uint8)
    second = np.array([7.5], np.float32)
    request = parsed({"first": first, "second": second})
    assert list(request.raw_input_contents) == [first.tobytes(), second.tobytes()]


def test_elements_of_a_view_are_in_c_order() -> None:
    view = np.arange(12, dtype=np.float32).reshape(3, 4).T[::2]
    assert list(parsed({"image": view}).raw_input_contents) == [
        np.array([[0, 4, 8], [2, 6, 10]], np.float32).tobytes()
    ]


def test_input_in_a_region_has_no_elements_in_the_message() -> None:
    arrays = {"a": np.ones(3, np.int8), "b": np.ones((2, 5), np.float32)}
    request = parsed(arrays, {"b": "region-1"})
    parameters = request.inputs[1].parameters
    assert parameters["shared_memory_region"].string_param == "region-1"
    assert parameters["shared_memory_byte_size"].int64_param == 40
    assert not request.inputs[0].parameters
    assert list(request.raw_input_contents) == [b"\1\1\1"]


@pytest.mark.parametrize(
    "dtype",
    ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"],
)
def test_output_of_every_type_is_read(dtype: str) -> None:
    array = np.array([[0, 1], [1, 0]], dtype)
    read = read_output(inferred(other=np.zeros(1, np.float32), out=array), "out")
    assert read is not None
    assert read.dtype == array.dtype
    assert read.tolist() == array.tolist()


def test_output_that_is_not_there_is_none() -> None:
    assert read_output(inferred(other=np.zeros(1, np.float32)), "out") is None
