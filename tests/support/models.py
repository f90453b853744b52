"""Triton models whose answers follow by hand, written as a model repository.

`brightness` takes a picture of 32x32, black 0 and white 1. Its activation map has 8x8 cells, each
GAIN times the mean of 4x4 pixels plus BIAS, and its logit is the mean of the map:

    white picture    logit  4    probability 0.982014
    level 153        logit  0.8  probability 0.689974 (the golden image)
    mid-grey         logit  0    probability 0.5, the threshold
    black picture    logit -4    probability 0.017986
"""

import base64
import copy
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from google.protobuf import text_format
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tritonclient.grpc import model_config_pb2 as pb

GAIN, BIAS = 8.0, -4.0
SIDE, CELLS = 32, 8
GOLDEN_LEVEL = 153  # 0.6 of white

# What a real deployment sends along: as the reference model's config.pbtxt has it.
BATCHING = "max_queue_delay_microseconds: 0"


def probability(mean: float) -> float:
    """Return what `brightness` gives for a picture with this mean, black 0 and white 1."""
    return 1.0 / (1.0 + math.exp(-(GAIN * mean + BIAS)))


def png(samples: NDArray[Any]) -> bytes:
    """The samples (rows, columns), uint8 or uint16, as a greyscale PNG."""
    done, data = cv2.imencode(".png", samples)
    assert done
    return data.tobytes()


def flat_png(level: int, rows: int = SIDE, columns: int = SIDE) -> bytes:
    """A picture in 8 bits, its mean a grey level, and nearly of that level throughout.

    One that is so altogether is blank, and refused. A few of the first pixels go a level up and
    down by turns; at the ends of the range, two levels away from it.
    """
    samples = np.full(rows * columns, level, np.uint8)
    few = len(samples) // 150 + 2
    if 1 <= level <= 254:
        samples[: 2 * few : 2] += 1
        samples[1 : 2 * few : 2] -= 1
    else:
        samples[:few] = abs(level - 2)
    return png(samples.reshape(rows, columns))


def contract(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The contract of `brightness`, with changes merged in; a value of None takes a field out."""
    document = {
        "schema": "radstream.model/1",
        "title": "Brightness",
        "summary": "Finds pictures brighter than mid-grey. For tests.",
        "priority": 0,
        "accepts": {"modalities": ["CR", "DX"], "body_parts": ["CHEST"], "views": ["AP", "PA"]},
        "input": {
            "name": "image",
            "rows": SIDE,
            "columns": SIDE,
            "channels": 1,
            "resample": "area",
            "aspect": "stretch",
            "intensity": {"rule": "full_range"},
            "range": [0, 1],
        },
        "output": {
            "name": "logits",
            "activation": "sigmoid",
            "labels": [{"label": "bright", "threshold": 0.5}],
            "activation_map": "activation_map",
        },
        "golden": {
            "image": base64.b64encode(flat_png(GOLDEN_LEVEL)).decode(),
            "probabilities": {"bright": 0.689974},
            "tolerance": 0.001,
        },
    }
    return _merged(document, changes or {})


# The same picture's brightness and darkness: logits l and -l, so that softmax gives sigmoid(2 l).
TWO_LABELS: Mapping[str, Any] = {
    "output": {
        "activation": "softmax",
        "labels": [{"label": "bright", "threshold": 0.5}, {"label": "dark", "threshold": 0.5}],
    },
    "golden": {"probabilities": {"bright": 0.832018, "dark": 0.167982}},
}


def write_repository(folder: Path) -> Path:
    """A repository with `brightness` alone."""
    write_model(folder)
    return folder


def write_model(
    repository: Path,
    name: str = "brightness",
    *,
    document: Mapping[str, Any] | str | None = None,
    labels: int = 1,
    element_type: int = TensorProto.FLOAT,
    versions: Sequence[str] = ("1",),
    max_batch_size: int = 8,
    batching: str = BATCHING,
    gain: float = GAIN,
    instances: int = 1,
) -> Path:
    """A model folder in the repository.

    Parameters
    ----------
    document
        The contract; a string is written as it is, an empty one leaves the parameter out.
    labels
        1, or 2 for the logits l and -l; see `TWO_LABELS`.
    element_type
        Of every tensor.
    versions
        Version folders; all are served.
    max_batch_size
        0 makes a model without a batch axis in its configuration.
    batching
        Fields of Triton's `dynamic_batching`.
    gain
        Other than GAIN, and the golden image gives another probability.
    instances
        Number of processes that run the model.
    """
    for version in versions:
        (repository / name / version).mkdir(parents=True)
        onnx.save(
            _network(labels, element_type, max_batch_size, gain),
            repository / name / version / "model.onnx",
        )
    text = document if isinstance(document, str) else json.dumps(document or contract())
    config = model_config(name, labels, element_type, max_batch_size, batching)
    config.instance_group[0].count = instances
    if text:
        config.parameters["radstream"].string_value = text
    (repository / name / "config.pbtxt").write_text(text_format.MessageToString(config))
    return repository / name


def write_version(
    folder: Path, version: str, overrides: Mapping[str, Any], *, gain: float = GAIN
) -> None:
    """Add a version to a model: a network of another gain, and what differs in its contract."""
    (folder / version).mkdir()
    onnx.save(_network(1, TensorProto.FLOAT, 8, gain), folder / version / "model.onnx")
    config = text_format.Parse((folder / "config.pbtxt").read_text(), pb.ModelConfig())
    config.parameters[f"radstream.{version}"].string_value = json.dumps(overrides)
    (folder / "config.pbtxt").write_text(text_format.MessageToString(config))


def _network(labels: int, element_type: int, max_batch_size: int, gain: float) -> onnx.ModelProto:
    signs = np.array([1.0, -1.0][:labels]).reshape(1, labels, 1, 1)
    dtype = helper.tensor_dtype_to_np_dtype(element_type)
    batch: str | int = "n" if max_batch_size else 1
    graph = helper.make_graph(
        [
            helper.make_node(
                "AveragePool", ["image"], ["means"], kernel_shape=[4, 4], strides=[4, 4]
            ),
            helper.make_node("Mul", ["means", "gain"], ["spread"]),
            helper.make_node("Add", ["spread", "bias"], ["activation_map"]),
            helper.make_node("ReduceMean", ["activation_map"], ["logits"], axes=[2, 3], keepdims=0),
        ],
        "brightness",
        [helper.make_tensor_value_info("image", element_type, [batch, 1, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("logits", element_type, [batch, labels]),
            helper.make_tensor_value_info(
                "activation_map", element_type, [batch, labels, CELLS, CELLS]
            ),
        ],
        [
            onnx.numpy_helper.from_array((signs * gain).astype(dtype), "gain"),
            onnx.numpy_helper.from_array((signs * BIAS).astype(dtype), "bias"),
        ],
    )
    # Versions that the onnxruntime of Triton's container 24.10 reads too.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def model_config(
    name: str = "brightness",
    labels: int = 1,
    element_type: int = TensorProto.FLOAT,
    max_batch_size: int = 8,
    batching: str = BATCHING,
) -> pb.ModelConfig:
    """The configuration of a model that `write_model` writes, without a contract."""
    data_type = {
        TensorProto.FLOAT: pb.TYPE_FP32,
        TensorProto.FLOAT16: pb.TYPE_FP16,
        TensorProto.DOUBLE: pb.TYPE_FP64,
    }[element_type]
    batch = [] if max_batch_size else [1]
    config = pb.ModelConfig(
        name=name,
        backend="onnxruntime",
        max_batch_size=max_batch_size,
        input=[
            pb.ModelInput(name="image", data_type=data_type, dims=[*batch, 1, SIDE, SIDE]),
        ],
        output=[
            pb.ModelOutput(name="logits", data_type=data_type, dims=[*batch, labels]),
            pb.ModelOutput(
                name="activation_map", data_type=data_type, dims=[*batch, labels, CELLS, CELLS]
            ),
        ],
        instance_group=[pb.ModelInstanceGroup(count=1, kind=pb.ModelInstanceGroup.KIND_CPU)],
        version_policy=pb.ModelVersionPolicy(all=pb.ModelVersionPolicy.All()),
    )
    if max_batch_size:
        config.dynamic_batching.CopyFrom(text_format.Parse(batching, pb.ModelDynamicBatching()))
    return config


def _merged(document: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(document)
    for name, value in changes.items():
        if value is None:
            del merged[name]
        elif isinstance(value, Mapping) and isinstance(merged.get(name), dict):
            merged[name] = _merged(merged[name], value)
        else:
            merged[name] = copy.deepcopy(value)
    return merged
