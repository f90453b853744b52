"""Trains a member of version 2: goes on from a member of an exported model, among strangers.

The published weights of version 1 are enough to start from: its file holds each member with its
batch normalisation folded into the convolutions, where it stays. In each batch a share of pictures
are strangers (`strangers.py`), none of them pneumonia, so that a positive answer is no default.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from training.cxr_pneumonia.network import PneumoniaNet
from training.cxr_pneumonia.strangers import foreign
from training.cxr_pneumonia.train import Phase, train

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
    network.dropout.train()  # all else stays as it serves: the normalisation is folded in
    phase = Phase(seed, arguments.epochs, RATE, ZOOM, "cropped by a tenth on each side", others)
    average = train(arguments.data, network, phase)
    torch.save(average.state_dict(), arguments.out)


if __name__ == "__main__":
    main()
