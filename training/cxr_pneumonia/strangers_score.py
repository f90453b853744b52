"""The applicability score of version 2: a distance, and a head that was shown strangers.

    python -m training.cxr_pneumonia.strangers_score --data DATA --model model.onnx FOLDER...

The distance is that of `applicability.py`, fitted on train pictures half of which are changed as in
training, tighter crops among them. The head, two small layers on the members' last maps averaged
over each quarter, so that it tells top from bottom, is trained on the same pictures against
strangers. Each is set so that 0.5 is passed by all but one in two hundred pictures of val, as they
are and with a tenth cut off on each side; the score is the lesser of the two.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional

from training.cxr_pneumonia.applicability import OUTPUT, Numbers, features, fitted, folded, maps_of
from training.cxr_pneumonia.augment import augment
from training.cxr_pneumonia.dataset import load_split, spoil
from training.cxr_pneumonia.go_on import ZOOM
from training.cxr_pneumonia.strangers import TURNS, foreign, stranger, turned

INSIDE, OUTSIDE = 2400, 3000  # pictures
HIDDEN = 32
EPOCHS = 60
BATCH = 128
BEYOND_PERCENT = 0.5
SEED = 30


@dataclass(frozen=True)
class Head:
    """Two layers on standardised features of quarters; 0 is the least that is applicable."""

    mean: Numbers
    deviation: Numbers
    weight1: Numbers
    bias1: Numbers
    weight2: Numbers
    bias2: Numbers

    def values(self, quarters: Numbers) -> Numbers:
        """Return the values (n,) of features of quarters (n, features)."""
        standard = (quarters - self.mean) / self.deviation
        hidden = np.maximum(standard @ self.weight1 + self.bias1, 0)
        found: Numbers = (hidden @ self.weight2 + self.bias2)[:, 0]
        return found


def views(
    radiographs: NDArray[np.uint8], others: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return pictures that the model is for and strangers, each half of them changed."""
    rng = np.random.default_rng(SEED)
    inside = radiographs[rng.choice(len(radiographs), INSIDE, replace=False)]
    outside = np.stack([stranger(radiographs, others, rng)[0] for _ in range(OUTSIDE)])
    for pictures in (inside, outside):
        for index in range(0, len(pictures), 2):
            pictures[index] = augment(pictures[index], rng, ZOOM)
    return inside, outside


def trained(inside: Numbers, outside: Numbers) -> Head:
    """Return the head that tells features of both kinds apart, each kind of equal weight."""
    torch.manual_seed(SEED)
    mean, deviation = inside.mean(0), inside.std(0) + 1e-6
    given = torch.from_numpy((np.concatenate((inside, outside)) - mean) / deviation).float()
    given = given.clamp(-20, 20)  # a stranger far away must not outweigh the many that are near
    wanted = torch.cat((torch.ones(len(inside)), torch.zeros(len(outside))))[:, None]
    head = nn.Sequential(
        nn.Dropout(0.2), nn.Linear(given.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
    )
    optimiser = torch.optim.AdamW(head.parameters(), 1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    balance = torch.tensor([len(outside) / len(inside)])
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(given)).split(BATCH):
            loss = functional.binary_cross_entropy_with_logits(
                head(given[chosen]), wanted[chosen], pos_weight=balance
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
            optimiser.step()
        schedule.step()
    layers = [each.detach().double().numpy().T for each in head.parameters()]
    return Head(mean, deviation, *layers)


def with_head(model: onnx.ModelProto, head: Head) -> onnx.ModelProto:
    """Return the model, whose score by distance becomes the lesser of that and the head's."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph, distance, quarters = made.graph, f"{OUTPUT}/by_distance", []
    next(node for node in graph.node if OUTPUT in node.output).output[0] = distance
    for name, value in vars(head).items():
        graph.initializer.append(
            numpy_helper.from_array(value.astype(np.float32), f"{OUTPUT}/head/{name}")
        )

    def node(kind: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        graph.node.append(
            helper.make_node(
                kind, inputs, [output], name=f"{OUTPUT}/head/{kind}_{output}", **attributes
            )
        )
        return output

    def own(name: str) -> str:
        return f"{OUTPUT}/head/{name}"

    for number, name in enumerate(maps_of(model)):
        pooled = node(
            "AveragePool", [name], own(f"map{number}"), kernel_shape=[7, 7], strides=[7, 7]
        )
        quarters.append(node("Flatten", [pooled], own(f"flat{number}"), axis=1))
    given = node("Concat", quarters, own("quarters"), axis=1)
    given = node("Sub", [given, own("mean")], own("centred"))
    given = node("Div", [given, own("deviation")], own("standard"))
    given = node("MatMul", [given, own("weight1")], own("product1"))
    given = node("Add", [given, own("bias1")], own("sum1"))
    given = node("Relu", [given], own("hidden"))
    given = node("MatMul", [given, own("weight2")], own("product2"))
    given = node("Add", [given, own("bias2")], own("sum2"))
    given = node("Sigmoid", [given], own("score"))
    node("Min", [distance, given], OUTPUT)
    onnx.checker.check_model(made, full_check=True)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit distance and head, fold both into the model's file, and say what val makes of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("foreign", type=Path, nargs="+", help="folders of other pictures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    model = onnx.load(options.model)
    val = load_split(options.data, "val").pictures
    inside, outside = (
        features(model, pictures, cells=2)
        for pictures in views(load_split(options.data, "train").pictures, foreign(options.foreign))
    )
    wanted = features(
        model, np.concatenate((val, spoil(val, "cropped by a tenth on each side"))), cells=2
    )
    space = fitted(whole(inside), whole(wanted), BEYOND_PERCENT)
    head = trained(inside, outside)
    least = float(np.percentile(head.values(wanted), BEYOND_PERCENT))
    head = replace(head, bias2=head.bias2 - least)
    onnx.save(with_head(folded(model, space), head), options.model)
    for name in TURNS:
        found = features(model, np.stack([turned(picture, name) for picture in val]), cells=2)
        below = space.distances(whole(found)) > space.threshold
        by_head = head.values(found) < 0
        print(
            f"val, {name}: {(below | by_head).mean():.1%}, by the head alone {by_head.mean():.1%}"
        )
    beyond = (space.distances(whole(wanted)) > space.threshold) | (head.values(wanted) < 0)
    for name, each in (("as it is", beyond[: len(val)]), ("cropped", beyond[len(val) :])):
        print(f"val, {name}: {each.mean():.1%}")


def whole(quarters: Numbers) -> Numbers:
    """Return the features of whole maps, from those of their quarters, four times as many."""
    found: Numbers = quarters.reshape(len(quarters), -1, 4).mean(2)
    return found


if __name__ == "__main__":
    main()
