"""Trains a member of version 2: goes on from a member of an exported model, among strangers.

The published weights of version 1 are enough to start from: its file holds each member with its
batch normalisation folded into the convolutions, where it stays. In each batch a share of pictures
are strangers (`strangers.py`), none of them pneumonia, so that a positive answer is no default.
"""

import argparse
import copy
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from training.cxr_pneumonia.augment import augment
from training.cxr_pneumonia.dataset import Split, as_input, load_split, spoil
from training.cxr_pneumonia.network import PneumoniaNet
from training.cxr_pneumonia.scoring import auc
from training.cxr_pneumonia.strangers import foreign, stranger
from training.cxr_pneumonia.train import (
    BATCH,
    LABEL_SMOOTHING,
    WEIGHT_DECAY,
    balanced_order,
    follow,
    logits_of,
)

STRANGERS = 8  # beside the BATCH radiographs of a batch
ZOOM = 1.5
RATE = 5e-4


def member_of(model: onnx.ModelProto, number: int) -> PneumoniaNet:
    """Return member `number`, 0 to 3, of an exported ensemble; its normalisation changes nothing.

    The exporter names nodes by modules and keeps their order, that of `named_modules`.
    """
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = [
        node
        for node in model.graph.node
        if node.op_type == "Conv"
        and node.name.startswith(f"/members.{number}/")
        and "/stem/" not in node.name
    ]
    network = PneumoniaNet()
    modules = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.BatchNorm2d)]
    with torch.no_grad():
        convolutions, bias = iter(nodes), torch.empty(0)
        for module in modules:
            if isinstance(module, nn.BatchNorm2d):
                module.bias.copy_(bias)
                module.running_var.fill_(1 - module.eps)
                continue
            _, weight, bias = (
                torch.from_numpy(values.get(name, np.empty(0)).copy())
                for name in next(convolutions).input
            )
            if weight.shape != module.weight.shape:
                raise ValueError(f"member {number} has another structure")
            module.weight.copy_(weight)
            if module.bias is not None:
                module.bias.copy_(bias)
    return network.eval()


def batches(
    split: Split, others: NDArray[np.uint8], rng: Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch of pictures (n, 1, 224, 224) and labels (n,), 1 for pneumonia."""
    order = balanced_order(split.labels, rng)
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        pictures = [augment(split.pictures[index], rng, ZOOM) for index in chosen]
        for _ in range(STRANGERS):
            picture, _is_radiograph = stranger(split.pictures, others, rng)
            pictures.append(augment(picture, rng, ZOOM))
        labels = np.concatenate((split.labels[chosen], np.zeros(STRANGERS, np.int64)))
        yield torch.from_numpy(as_input(np.stack(pictures))), torch.from_numpy(labels).float()


def trained(
    data: Path, others: NDArray[np.uint8], network: PneumoniaNet, seed: int, epochs: int
) -> PneumoniaNet:
    """Return the running average of the network's weights; `network` itself is trained too."""
    rng = np.random.default_rng(seed)
    split, val = load_split(data, "train"), load_split(data, "val")
    cropped = spoil(val.pictures, "cropped by a tenth on each side")
    # torch's stubs leave this overload out.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average: PneumoniaNet = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    steps = epochs * (2 * (len(split.labels) // 2) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=0.15
    )
    started, step = time.monotonic(), 0
    network.dropout.train()  # all else stays as it serves: the normalisation is folded in
    for epoch in range(epochs):
        losses = []
        for pictures, labels in batches(split, others, rng):
            logits = network(pictures).mean(dim=(1, 2, 3))
            target = labels * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 2
            loss = functional.binary_cross_entropy_with_logits(logits, target)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
            optimiser.step()
            schedule.step()
            step += 1
            follow(average, network, step)
            losses.append(loss.item())
        print(
            f"epoch {epoch + 1}/{epochs}  loss {np.mean(losses):.4f}  "
            f"val AUC {auc(val.labels, logits_of(average, val.pictures)):.4f}  "
            f"cropped {auc(val.labels, logits_of(average, cropped)):.4f}  "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
    return average


def main() -> None:
    """Train and save one member."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of images.zip, labels.csv")
    parser.add_argument("--start", type=Path, required=True, help="the ONNX file to go on from")
    parser.add_argument("--member", type=int, required=True, help="its number in that file, 0 to 3")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="where the weights go (.pt)")
    parser.add_argument("foreign", type=Path, nargs="+", help="folders of other pictures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    seed = 20 + arguments.member
    torch.manual_seed(seed)
    network = member_of(onnx.load(arguments.start), arguments.member)
    others = foreign(arguments.foreign)
    print(f"{len(others)} foreign pictures", flush=True)
    average = trained(arguments.data, others, network, seed, arguments.epochs)
    torch.save(average.state_dict(), arguments.out)


if __name__ == "__main__":
    main()
