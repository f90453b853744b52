"""DenseNet-121 as chest radiograph models use it, with seeded random weights, as ONNX.

    python -m bench.serving.densenet FOLDER

Writes a Triton model folder `densenet121` (Huang et al. 2017, table 1: growth rate 32, blocks of 6,
12, 24 and 16 layers) with an input of 1x224x224, 18 outputs and a contract that takes radiographs.
Its answers mean nothing; it costs what a real one costs.
"""

import base64
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from preprocess import Aspect, FullRange, InputSpec, Resample, decode, to_tensor

_GROWTH = 32
_BLOCKS = (6, 12, 24, 16)
_LABELS = tuple(f"L{number:02}" for number in range(1, 19))
SPEC = InputSpec(
    rows=224,
    columns=224,
    channels=1,
    resample=Resample.BILINEAR,
    aspect=Aspect.STRETCH,
    intensity=FullRange(),
    output_range=(0.0, 1.0),
)

_CONFIG = """name: "densenet121"
backend: "onnxruntime"
max_batch_size: 16
input [ {{ name: "image" data_type: TYPE_FP32 dims: [ 1, 224, 224 ] }} ]
output [ {{ name: "logits" data_type: TYPE_FP32 dims: [ 18 ] }} ]
dynamic_batching {{ max_queue_delay_microseconds: 0 }}
parameters {{ key: "radstream" value {{ string_value: '{contract}' }} }}
"""


class _Graph:
    """Nodes and weights as they come."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(121)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        """The name of a new node's output."""
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(self, array: np.ndarray) -> str:
        """The name of a new initializer."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def convolution(self, x: str, channels: int, out: int, side: int, stride: int = 1) -> str:
        """A convolution with He's initial weights (2015, equation 10)."""
        fan_in = channels * side * side
        kernel = self._random.normal(0, np.sqrt(2 / fan_in), (out, channels, side, side))
        half = side // 2
        return self.node(
            "Conv",
            [x, self.weight(kernel)],
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[half] * 4,
        )

    def normalised(self, x: str, channels: int) -> str:
        """Batch normalisation and ReLU."""
        one, zero = np.ones(channels), np.zeros(channels)
        names = [self.weight(values) for values in (one, zero, zero, one)]
        return self.node("Relu", [self.node("BatchNormalization", [x, *names])])


def build() -> onnx.ModelProto:
    """The model: `image` float32 (N, 1, 224, 224) to `logits` float32 (N, 18)."""
    graph = _Graph()
    x = graph.convolution("image", 1, 64, 7, stride=2)
    x = graph.normalised(x, 64)
    x = graph.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for number, layers in enumerate(_BLOCKS):
        for _ in range(layers):
            y = graph.convolution(graph.normalised(x, channels), channels, 4 * _GROWTH, 1)
            y = graph.convolution(graph.normalised(y, 4 * _GROWTH), 4 * _GROWTH, _GROWTH, 3)
            x = graph.node("Concat", [x, y], axis=1)
            channels += _GROWTH
        if number + 1 < len(_BLOCKS):
            x = graph.convolution(graph.normalised(x, channels), channels, channels // 2, 1)
            x = graph.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
            channels //= 2
    x = graph.node("Flatten", [graph.node("GlobalAveragePool", [graph.normalised(x, channels)])])
    weights = np.random.default_rng(18).normal(0, 0.01, (channels, len(_LABELS)))
    names = [graph.weight(weights), graph.weight(np.zeros(len(_LABELS)))]
    graph.nodes.append(helper.make_node("Gemm", [x, *names], ["logits"]))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "densenet121",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 224, 224])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(_LABELS)])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


def _golden(model: Path) -> dict[str, object]:
    """The picture that proves the model at load, with its answers from ONNX Runtime here."""
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    picture = cv2.imencode(".png", np.add.outer(ramp // 2, ramp // 2))[1].tobytes()
    tensor = to_tensor(decode(picture)[0], SPEC)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    [logits] = session.run(None, {"image": tensor[None]})
    probabilities = 1 / (1 + np.exp(-logits[0].astype(float)))
    return {
        "image": base64.b64encode(picture).decode(),
        "probabilities": dict(zip(_LABELS, probabilities.round(6).tolist(), strict=True)),
        "tolerance": 0.01,
    }


def write_folder(repository: Path) -> None:
    """Write the model's folder for Triton under `repository`."""
    folder = repository / "densenet121"
    (folder / "1").mkdir(parents=True)
    onnx.save(build(), folder / "1" / "model.onnx")
    contract = {
        "schema": "radstream.model/1",
        "title": "DenseNet-121 with random weights",
        "summary": "For benchmarks; its answers mean nothing.",
        "accepts": {"modalities": ["CR", "DX"], "body_parts": ["CHEST"], "views": ["AP"]},
        "input": {
            "name": "image",
            "rows": 224,
            "columns": 224,
            "channels": 1,
            "resample": "bilinear",
            "aspect": "stretch",
            "intensity": {"rule": "full_range"},
            "range": [0, 1],
        },
        "output": {
            "name": "logits",
            "activation": "sigmoid",
            "labels": [{"label": label, "threshold": 0.5} for label in _LABELS],
        },
        "golden": _golden(folder / "1" / "model.onnx"),
    }
    (folder / "config.pbtxt").write_text(_CONFIG.format(contract=json.dumps(contract)))


if __name__ == "__main__":
    write_folder(Path(sys.argv[1]))
