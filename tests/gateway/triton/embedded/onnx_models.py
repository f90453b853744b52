"""Tiny ONNX models, written as entries of a Triton model repository."""

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import TensorProto, helper

Shapes = Mapping[str, tuple[int, list[int | str]]]  # name: element type, shape

# One instance: Triton starts two backend processes for each model that does not say.
BACKEND = 'backend: "onnxruntime" instance_group [ { count: 1 kind: KIND_CPU } ]\n'


def affine(model: Path, config: str = "max_batch_size: 8") -> None:
    """y = 2 x + 1 and minus = -x, for x [n, 3]."""
    _write(
        model,
        config,
        nodes=[
            helper.make_node("Mul", ["x", "two"], ["double"]),
            helper.make_node("Add", ["double", "one"], ["y"]),
            helper.make_node("Neg", ["x"], ["minus"]),
        ],
        inputs={"x": (TensorProto.FLOAT, ["n", 3])},
        outputs={"y": (TensorProto.FLOAT, ["n", 3]), "minus": (TensorProto.FLOAT, ["n", 3])},
        constants=[
            helper.make_tensor("two", TensorProto.FLOAT, [], [2.0]),
            helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        ],
    )


def lookup(model: Path, config: str) -> None:
    """value = the element of [10, 20, 30] at index [n, 1]; any other index is an error."""
    _write(
        model,
        config,
        nodes=[helper.make_node("Gather", ["table", "index"], ["value"])],
        inputs={"index": (TensorProto.INT64, ["n", 1])},
        outputs={"value": (TensorProto.FLOAT, ["n", 1])},
        constants=[helper.make_tensor("table", TensorProto.FLOAT, [3], [10.0, 20.0, 30.0])],
    )


def twice(model: Path, types: Mapping[str, int]) -> None:
    """For each named type t: twice_t = t followed by t; the first axis is no batch axis."""
    entry = '{{ name: "{}" data_type: TYPE_{} dims: [ -1 ] }}'
    inputs = ", ".join(entry.format(t, t) for t in types)
    outputs = ", ".join(entry.format(f"twice_{t}", t) for t in types)
    _write(
        model,
        f"max_batch_size: 0 input [ {inputs} ] output [ {outputs} ]",
        nodes=[helper.make_node("Concat", [t, t], [f"twice_{t}"], axis=0) for t in types],
        inputs={t: (element_type, ["n"]) for t, element_type in types.items()},
        outputs={f"twice_{t}": (element_type, ["n2"]) for t, element_type in types.items()},
    )


def row_sum(model: Path, config: str) -> None:
    """total [n] = the sums of the rows of x [n, 3]."""
    _write(
        model,
        config,
        nodes=[helper.make_node("ReduceSum", ["x", "axis"], ["total"], keepdims=0)],
        inputs={"x": (TensorProto.FLOAT, ["n", 3])},
        outputs={"total": (TensorProto.FLOAT, ["n"])},
        constants=[helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )


def single(model: Path, config: str) -> None:
    """y = -x, for x [1, 2]: a model that does not batch."""
    _write(
        model,
        config,
        nodes=[helper.make_node("Neg", ["x"], ["y"])],
        inputs={"x": (TensorProto.FLOAT, [1, 2])},
        outputs={"y": (TensorProto.FLOAT, [1, 2])},
    )


def _write(
    model: Path,
    config: str,
    *,
    nodes: list[onnx.NodeProto],
    inputs: Shapes,
    outputs: Shapes,
    constants: list[onnx.TensorProto] | None = None,
) -> None:
    graph = helper.make_graph(
        nodes,
        model.name,
        [helper.make_tensor_value_info(name, *shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, *shape) for name, shape in outputs.items()],
        constants or [],
    )
    # Versions that the onnxruntime of Triton's container 24.10 reads too.
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto)
    (model / "1").mkdir(parents=True)
    onnx.save(proto, model / "1" / "model.onnx")
    (model / "config.pbtxt").write_text(BACKEND + config)
