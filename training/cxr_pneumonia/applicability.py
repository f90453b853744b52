"""The applicability score: how far a picture lies from those that the networks were fitted on.

    python -m training.cxr_pneumonia.applicability --data DATA --model model.onnx

Of each picture the networks' last maps, 128 channels each, averaged over their places, make the
features. Two distances are added: from the space of the first quarter of the principal components
of the train split (128 of 512 for four networks), and within that space from its middle, each
divided by its root mean square over train. The threshold t is the distance that one in a hundred
pictures of val passes. The score is t / (t + distance), so that 0.5 stands for the threshold; it is
folded into the graph as a third output, and the others stay as they are.

The kind of distance and the number of components were chosen on val, on turned, mirrored, inverted
and cropped copies of it, and on noise; on nothing else.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.cxr_pneumonia.dataset import as_input, load_split
from training.cxr_pneumonia.inference import BATCH

COMPONENTS_SHARE = 4  # of the features, one in so many
BEYOND_PERCENT = 1
OUTPUT = "applicability"

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Space:
    """The space of the features of train.

    `axes` (features, components) leads from standardised features to components, which `spread`
    (components,) divides; `outside` is the root mean square of what is left beside them,
    `threshold` a distance.
    """

    mean: Numbers
    deviation: Numbers
    axes: Numbers
    spread: Numbers
    outside: float
    threshold: float = 0.0

    def distances(self, features: Numbers) -> Numbers:
        """The distances (n,) of features (n, features)."""
        standard = (features - self.mean) / self.deviation
        components = standard @ self.axes
        left = np.maximum((standard**2).sum(1) - (components**2).sum(1), 0)
        within = ((components / self.spread) ** 2).mean(1)
        distances: Numbers = np.sqrt(left) / self.outside + np.sqrt(within)
        return distances


def maps_of(model: onnx.ModelProto) -> list[str]:
    """The tensors that hold the networks' last maps, (n, 128, 14, 14) each."""
    ends = "/trunk/trunk.7/Relu_output_0"
    return [name for node in model.graph.node for name in node.output if name.endswith(ends)]


def features(model: onnx.ModelProto, pictures: NDArray[np.uint8], cells: int = 1) -> Numbers:
    """The features (n, networks * 128 * cells * cells) of pictures (n, 224, 224).

    Maps are averaged over so many `cells`, 1, 2, 7 or 14, in each direction.
    """
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    names = maps_of(model)
    for name in names:
        open_model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(open_model.SerializeToString(), options)
    found = []
    for start in range(0, len(pictures), BATCH):
        maps = session.run(names, {"image": as_input(pictures[start : start + BATCH])})
        parts = [
            each.reshape(*each.shape[:2], cells, each.shape[2] // cells, cells, -1) for each in maps
        ]
        found.append(
            np.concatenate([each.mean((3, 5)).reshape(len(each), -1) for each in parts], 1)
        )
    return np.concatenate(found).astype(np.float64)


def fitted(train: Numbers, val: Numbers, beyond_percent: float = BEYOND_PERCENT) -> Space:
    """The space of these features of train, with the threshold that so many of val pass."""
    mean, deviation = train.mean(0), train.std(0) + 1e-6
    standard = (train - mean) / deviation
    variances, axes = np.linalg.eigh(standard.T @ standard / len(standard))
    count = len(mean) // COMPONENTS_SHARE
    largest, others = variances[::-1][:count], variances[::-1][count:]
    space = Space(
        mean,
        deviation,
        axes[:, ::-1][:, :count],
        np.sqrt(largest),
        float(np.sqrt(others.sum())),
    )
    threshold = float(np.percentile(space.distances(val), 100 - beyond_percent))
    return replace(space, threshold=threshold)


def folded(model: onnx.ModelProto, space: Space) -> onnx.ModelProto:
    """The model with the score as a third output, (n, 1); a score that it has is replaced."""
    graph, maps = model.graph, maps_of(model)
    kept = [node for node in graph.node if not node.name.startswith(f"{OUTPUT}/")]
    values = [value for value in graph.initializer if not value.name.startswith(f"{OUTPUT}/")]
    outputs = [output for output in graph.output if output.name != OUTPUT]
    constants = {
        "mean": space.mean,
        "deviation": space.deviation,
        "axes": space.axes,
        "spread": space.spread,
        "outside": np.array([space.outside]),
        "threshold": np.array([space.threshold]),
        "nothing": np.array([0.0]),
        "two": np.array([2.0]),
        "size": np.array([len(space.mean)]),
        "components_size": np.array([len(space.spread)]),
    }
    for name, value in constants.items():
        values.append(numpy_helper.from_array(value.astype(np.float32), f"{OUTPUT}/{name}"))

    def node(kind: str, inputs: Sequence[str], output: str, **attributes: object) -> None:
        names = [name if name.startswith("/") else f"{OUTPUT}/{name}" for name in inputs]
        given = output if output == OUTPUT else f"{OUTPUT}/{output}"
        kept.append(helper.make_node(kind, names, [given], name=f"{OUTPUT}/{output}", **attributes))

    for number, name in enumerate(maps):
        node("ReduceMean", [name], f"map{number}", axes=[2, 3], keepdims=0)
    node("Concat", [f"map{number}" for number in range(len(maps))], "features", axis=1)
    node("Sub", ["features", "mean"], "centred")
    node("Div", ["centred", "deviation"], "standard")
    node("MatMul", ["standard", "axes"], "components")
    node("Pow", ["standard", "two"], "standard2")
    node("Pow", ["components", "two"], "components2")
    node("ReduceMean", ["standard2"], "whole", axes=[1], keepdims=1)
    node("ReduceMean", ["components2"], "part", axes=[1], keepdims=1)
    node("Mul", ["whole", "size"], "whole_sum")
    node("Mul", ["part", "components_size"], "part_sum")
    node("Sub", ["whole_sum", "part_sum"], "left2")
    node("Max", ["left2", "nothing"], "left2_positive")
    node("Sqrt", ["left2_positive"], "left")
    node("Div", ["left", "outside"], "beyond")
    node("Div", ["components", "spread"], "scaled")
    node("Pow", ["scaled", "two"], "scaled2")
    node("ReduceMean", ["scaled2"], "within2", axes=[1], keepdims=1)
    node("Sqrt", ["within2"], "within")
    node("Add", ["beyond", "within"], "distance")
    node("Add", ["distance", "threshold"], "sum")
    node("Div", ["threshold", "sum"], OUTPUT)
    score = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", 1])
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.initializer[:], made.graph.output[:]
    made.graph.node.extend(kept)
    made.graph.initializer.extend(values)
    made.graph.output.extend([*outputs, score])
    onnx.checker.check_model(made)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the score and fold it into the model's file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    options = parser.parse_args(arguments)
    model = onnx.load(options.model)
    train, val = (
        features(model, load_split(options.data, split).pictures) for split in ("train", "val")
    )
    space = fitted(train, val)
    onnx.save(folded(model, space), options.model)
    beyond = float((space.distances(train) > space.threshold).mean())
    print(f"threshold {space.threshold:.4f}; {beyond:.2%} of train lie beyond it")


if __name__ == "__main__":
    main()
