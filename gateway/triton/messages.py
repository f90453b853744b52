"""ModelInferRequest and ModelInferResponse of the Open Inference Protocol, from arrays and to them.

A request is put together from the bytes of its parts: protobuf reads several serialised messages
behind one another as one merged message, and all of a request but its time and its tensors'
elements is the same each time.

References
----------
https://protobuf.dev/programming-guides/encoding, "Last One Wins"
https://github.com/triton-inference-server/common/blob/main/protobuf/grpc_service.proto
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tritonclient.grpc import service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

# BYTES is left out: no contract has it.
_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
}
_DATATYPES = {dtype: datatype for datatype, dtype in _DTYPES.items()}


class TruncatedOutputError(ValueError):
    """An output has fewer bytes than its shape and type, or none at all."""


class InputTensor(NamedTuple):
    """A request's description of an input; elements follow, unless a shared region holds them."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    size: int
    region: str | None

    @classmethod
    def of(cls, name: str, array: NDArray[Any], region: str | None) -> InputTensor:
        """Return the input that this array is."""
        return cls(name, _DATATYPES[array.dtype], array.shape, array.nbytes, region)


def infer_request(
    model: tuple[str, str],
    inputs: Sequence[InputTensor],
    outputs: Sequence[str],
    contents: Iterable[NDArray[Any]],
    *,
    timeout_us: int,
) -> bytes:
    """Return a serialised ModelInferRequest.

    Parameters
    ----------
    model
        Name and version.
    inputs
        All of them.
    outputs
        Names of those wanted.
    contents
        The arrays of the inputs that lie in no region, in their order.
    timeout_us
        Microseconds that the request may wait in Triton's queue, at least one.
    """
    timeout = pb.InferParameter(int64_param=timeout_us)
    parts: list[bytes] = [
        _head(model, tuple(inputs), tuple(outputs)),
        pb.ModelInferRequest(parameters={"timeout": timeout}).SerializeToString(),
    ]
    parts += [
        pb.ModelInferRequest(raw_input_contents=[array.tobytes()]).SerializeToString()
        for array in contents
    ]
    return b"".join(parts)


def read_output(answer: pb.ModelInferResponse, name: str) -> NDArray[Any] | None:
    """Return the output of this name, read-only; None where the answer has none.

    Raises
    ------
    TruncatedOutputError
        Its bytes are fewer than those of its shape and type.
    ValueError
        They are more, or its type is none that is read.
    """
    contents = answer.raw_output_contents
    for position, output in enumerate(answer.outputs):
        if output.name == name:
            dtype = _DTYPES.get(output.datatype)
            if dtype is None:
                raise ValueError(output.datatype)
            content = contents[position] if position < len(contents) else b""
            if len(content) < math.prod(output.shape) * dtype.itemsize:
                raise TruncatedOutputError(name)
            return np.frombuffer(content, dtype).reshape(tuple(output.shape))
    return None


@lru_cache(maxsize=256)
def _head(
    model: tuple[str, str], inputs: tuple[InputTensor, ...], outputs: tuple[str, ...]
) -> bytes:
    """Return all of a request that does not change with its picture."""
    name, version = model
    request = pb.ModelInferRequest(model_name=name, model_version=version)
    for tensor in inputs:
        entry = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if tensor.region is not None:
            entry.parameters["shared_memory_region"].string_param = tensor.region
            entry.parameters["shared_memory_byte_size"].int64_param = tensor.size
    for output in outputs:
        request.outputs.add(name=output)
    head: bytes = request.SerializeToString()
    return head
