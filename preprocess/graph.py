"""The ONNX twin of `to_tensor`: the same preparation as a graph, for a GPU beside the model.

Resampling becomes two matrix products, `rows_weights @ pixels @ columns_weights.T`, whose weights
the graph works out from the picture's own size, so one graph serves pictures of every size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from preprocess.types import Aspect, FullRange, InputSpec, Percentile, Resample, Window

Datatype = Literal["UINT8", "UINT16"]

# The oldest that Triton's ONNX Runtime and this package's tests have in common with all newer ones.
_OPSET, _IR_VERSION = 17, 8


def build_graph(spec: InputSpec, datatype: Datatype) -> onnx.ModelProto:
    """Return an ONNX model that makes the tensor `to_tensor` makes.

    Parameters
    ----------
    spec : InputSpec
    datatype : "UINT8" or "UINT16"
        Of the samples it takes.

    Returns
    -------
    onnx.ModelProto
        Inputs `pixels`, (rows, columns) of any size, and `largest`, float32 (1,), the value of
        white in them (`Frame.largest`). Output `image`, float32 (1, channels, rows, columns).

    Notes
    -----
    Weights are worked out in double precision; products and sums are float32. `BILINEAR` rounds
    to whole grey levels after each axis, columns first, as Pillow does, and `AREA` where OpenCV
    does. What remains is the order of summation: a sample on the edge between two grey levels may
    fall on the other side, so the tensors differ by at most one grey level of the picture.
    """
    graph = _Graph()
    samples = graph.op("Cast", "pixels", to=TensorProto.FLOAT)
    sizes = graph.op("Shape", "pixels")
    rows, columns = (graph.op("Gather", sizes, graph.integer(axis)) for axis in (0, 1))
    vertical, horizontal = _place(graph, rows, columns, spec)
    small = _resample(graph, samples, vertical, horizontal, spec)
    scaled = _scale(graph, small, vertical, horizontal, spec)
    picture = graph.op("Unsqueeze", scaled, graph.integers(0, 1))
    graph.op(
        "Expand", picture, graph.integers(1, spec.channels, spec.rows, spec.columns), output="image"
    )
    return graph.model(spec, datatype)


@dataclass(slots=True)
class _Axis:
    """Placement along one axis of the picture; names of integers in the graph but for `size`.

    Attributes
    ----------
    whole, size
        Samples of the picture and of the input.
    source, length
        The first sample that is read, and how many are.
    target, fitted
        The first sample that is filled, and how many are.
    """

    whole: str
    size: int
    length: str
    fitted: str
    source: str = ""
    target: str = ""


class _Graph:
    """ONNX nodes under construction; every method gives the name of the value it adds."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], str] = {}
        self._initializers: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        name = output or f"{kind}_{len(self._nodes)}"
        self._add(kind, inputs, [name], attributes)
        return name

    def pair(self, kind: str, *inputs: str, **attributes: object) -> tuple[str, str]:
        """Return the two outputs of an operator that has two."""
        names = (f"{kind}_{len(self._nodes)}", f"{kind}_{len(self._nodes)}_second")
        self._add(kind, inputs, names, attributes)
        return names

    def _add(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, object],
    ) -> None:
        node = helper.make_node(kind, inputs, outputs)
        node.attribute.extend(
            helper.make_attribute(name, value) for name, value in attributes.items()
        )
        self._nodes.append(node)

    def constant(self, value: np.typing.ArrayLike, dtype: type[np.generic]) -> str:
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.name, array.tobytes(), array.shape)
        if key not in self._constants:
            self._constants[key] = f"constant_{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def integer(self, value: int) -> str:
        return self.constant(value, np.int64)

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def real(self, value: float) -> str:
        return self.constant(value, np.float32)

    def double(self, value: float) -> str:
        return self.constant(value, np.float64)

    def to_double(self, value: str) -> str:
        return self.op("Cast", value, to=TensorProto.DOUBLE)

    def vector(self, *scalars: str) -> str:
        axis = self.integers(0)
        return self.op("Concat", *(self.op("Unsqueeze", s, axis) for s in scalars), axis=0)

    def model(self, spec: InputSpec, datatype: Datatype) -> onnx.ModelProto:
        shape = [1, spec.channels, spec.rows, spec.columns]
        graph = helper.make_graph(
            self._nodes,
            "radstream_preprocess",
            [
                helper.make_tensor_value_info(
                    "pixels", TensorProto.DataType.Value(datatype), ["rows", "columns"]
                ),
                helper.make_tensor_value_info("largest", TensorProto.FLOAT, [1]),
            ],
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            self._initializers,
        )
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def _place(graph: _Graph, rows: str, columns: str, spec: InputSpec) -> tuple[_Axis, _Axis]:
    """Return `geometry.place` in the graph: the vertical and the horizontal axis."""
    vertical = _Axis(rows, spec.rows, length=rows, fitted=graph.integer(spec.rows))
    horizontal = _Axis(columns, spec.columns, length=columns, fitted=graph.integer(spec.columns))
    if spec.aspect is not Aspect.STRETCH:
        to_rows, to_columns = graph.integer(spec.rows), graph.integer(spec.columns)
        wide = graph.op("Mul", columns, to_rows)
        high = graph.op("Mul", rows, to_columns)
        taller = graph.op("Greater", high, wide)
        if spec.aspect is Aspect.LETTERBOX:
            fit_columns = _rounded(graph, wide, rows)
            fit_rows = _rounded(graph, high, columns)
            vertical.fitted = graph.op("Where", taller, to_rows, fit_rows)
            horizontal.fitted = graph.op("Where", taller, fit_columns, to_columns)
        else:
            cut_rows = _rounded(graph, wide, to_columns)
            cut_columns = _rounded(graph, high, to_rows)
            vertical.length = graph.op("Where", taller, cut_rows, rows)
            horizontal.length = graph.op("Where", taller, columns, cut_columns)
    for axis in (vertical, horizontal):
        axis.source = _half_the_rest(graph, axis.whole, axis.length)
        axis.target = _half_the_rest(graph, graph.integer(axis.size), axis.fitted)
    return vertical, horizontal


def _half_the_rest(graph: _Graph, whole: str, part: str) -> str:
    if whole == part:
        return graph.integer(0)
    return graph.op("Div", graph.op("Sub", whole, part), graph.integer(2))


def _rounded(graph: _Graph, numerator: str, denominator: str) -> str:
    """Round half up, to 1 at the least; all are positive integers."""
    two = graph.integer(2)
    above = graph.op("Add", graph.op("Mul", two, numerator), denominator)
    return graph.op(
        "Max", graph.integer(1), graph.op("Div", above, graph.op("Mul", two, denominator))
    )


def _resample(
    graph: _Graph, samples: str, vertical: _Axis, horizontal: _Axis, spec: InputSpec
) -> str:
    """Return whole grey levels of the input's size; 0 where a letterbox leaves it empty."""
    across = graph.op("Transpose", _weights(graph, horizontal, spec.resample), perm=[1, 0])
    narrow = graph.op("MatMul", samples, across)
    rounded = graph.op("Round", narrow)
    if spec.resample is Resample.AREA:
        # OpenCV averages both axes at once unless one of them grows.
        grows = graph.op(
            "Or",
            graph.op("Greater", vertical.fitted, vertical.length),
            graph.op("Greater", horizontal.fitted, horizontal.length),
        )
        rounded = graph.op("Where", grows, rounded, narrow)
    small = graph.op("MatMul", _weights(graph, vertical, spec.resample), rounded)
    return graph.op("Round", small)


def _weights(graph: _Graph, axis: _Axis, method: Resample) -> str:
    """Return the share of each input sample (axis 1) in each output sample (axis 0), float32."""
    one, zero, half = graph.double(1.0), graph.double(0.0), graph.double(0.5)
    outputs = graph.op(
        "Sub",
        graph.constant(np.arange(axis.size)[:, None], np.float64),
        graph.to_double(axis.target),
    )
    count = graph.op("Range", graph.integer(0), axis.whole, graph.integer(1))
    inputs = graph.op("Sub", graph.to_double(count), graph.to_double(axis.source))
    length, fitted = graph.to_double(axis.length), graph.to_double(axis.fitted)
    step = graph.op("Div", length, fitted)
    if method is Resample.AREA:
        left = graph.op("Mul", outputs, step)
        right = graph.op("Add", left, step)
        shared = graph.op(
            "Sub",
            graph.op("Min", right, graph.op("Add", inputs, one)),
            graph.op("Max", left, inputs),
        )
        weights = graph.op("Max", shared, zero)
    else:  # the triangle filter, whose support grows with the reduction
        center = graph.op("Mul", graph.op("Add", outputs, half), step)
        distance = graph.op("Sub", graph.op("Add", inputs, half), center)
        reach = graph.op("Max", step, one)
        slope = graph.op("Abs", graph.op("Div", distance, reach))
        weights = graph.op("Max", graph.op("Sub", one, slope), zero)
    inside = graph.op(
        "And",
        _between(graph, inputs, length),
        _between(graph, outputs, fitted),
    )
    weights = graph.op("Where", inside, weights, zero)
    total = graph.op("ReduceSum", weights, graph.integers(1), keepdims=1)
    # An output outside the fitted part has no weights at all.
    safe = graph.op("Where", graph.op("Greater", total, zero), total, one)
    return graph.op("Cast", graph.op("Div", weights, safe), to=TensorProto.FLOAT)


def _between(graph: _Graph, positions: str, end: str) -> str:
    """Return the name of the comparison 0 <= position < end."""
    not_before = graph.op("GreaterOrEqual", positions, graph.double(0.0))
    return graph.op("And", not_before, graph.op("Less", positions, end))


def _scale(graph: _Graph, small: str, vertical: _Axis, horizontal: _Axis, spec: InputSpec) -> str:
    """Return `tensor.scale` in the graph; the low end of the range where a letterbox is empty."""
    black, white = _bounds(graph, small, vertical, horizontal, spec)
    low, high = spec.output_range
    width = graph.op("Sub", white, black)
    has_contrast = graph.op("Greater", width, graph.real(0.0))
    safe = graph.op("Where", has_contrast, width, graph.real(1.0))
    gain = graph.op("Div", graph.real(high - low), safe)
    spread = graph.op("Add", graph.op("Mul", graph.op("Sub", small, black), gain), graph.real(low))
    clipped = graph.op("Clip", spread, graph.real(min(low, high)), graph.real(max(low, high)))
    filled = graph.op(
        "And",
        graph.op("Unsqueeze", _filled(graph, vertical), graph.integers(1)),
        _filled(graph, horizontal),
    )
    return graph.op("Where", graph.op("And", filled, has_contrast), clipped, graph.real(low))


def _filled(graph: _Graph, axis: _Axis) -> str:
    """Return the name of a mask, True for each output of an axis that the picture reaches."""
    positions = graph.op(
        "Sub", graph.constant(np.arange(axis.size), np.float64), graph.to_double(axis.target)
    )
    return _between(graph, positions, graph.to_double(axis.fitted))


def _bounds(
    graph: _Graph, small: str, vertical: _Axis, horizontal: _Axis, spec: InputSpec
) -> tuple[str, str]:
    """Return grey levels that become black and white, each of shape (1,)."""
    match spec.intensity:
        case FullRange():
            return graph.constant([0.0], np.float32), "largest"
        case Window(center, width):
            edges = (center - width / 2, center + width / 2)
            black, white = (graph.op("Mul", "largest", graph.real(edge)) for edge in edges)
            return black, white
        case Percentile(low, high):
            part = graph.op(
                "Slice",
                small,
                graph.vector(vertical.target, horizontal.target),
                graph.vector(
                    graph.op("Add", vertical.target, vertical.fitted),
                    graph.op("Add", horizontal.target, horizontal.fitted),
                ),
            )
            flat = graph.op("Reshape", part, graph.integers(-1))
            ascending, _ = graph.pair("TopK", flat, graph.op("Shape", flat), largest=0, sorted=1)
            black, white = (_percentile(graph, ascending, each) for each in (low, high))
            return black, white


def _percentile(graph: _Graph, ascending: str, percent: float) -> str:
    """Return the percentile with linear interpolation, NumPy's default; shape (1,)."""
    last = graph.op("Sub", graph.op("Shape", ascending), graph.integers(1))
    position = graph.op("Mul", graph.to_double(last), graph.double(percent / 100))
    below = graph.op("Floor", position)
    index = graph.op("Cast", below, to=TensorProto.INT64)
    following = graph.op("Min", graph.op("Add", index, graph.integers(1)), last)
    lower = graph.op("Gather", ascending, index)
    upper = graph.op("Gather", ascending, following)
    share = graph.op("Cast", graph.op("Sub", position, below), to=TensorProto.FLOAT)
    return graph.op("Add", lower, graph.op("Mul", share, graph.op("Sub", upper, lower)))
