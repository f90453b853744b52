"""Calibrates trained members on val and writes them as one ONNX model."""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from training.cxr_pneumonia.dataset import CALIBRATION_SPOILINGS, load_split, spoil
from training.cxr_pneumonia.network import CalibratedEnsemble, PneumoniaNet
from training.cxr_pneumonia.train import logits_of

# onnxruntime 1.19 (Triton 24.10) reads up to opset 21 and IR 10; these are well inside.
OPSET = 17
IR_VERSION = 8


def platt(
    labels: NDArray[np.int64], logits: NDArray[np.float64], *, balanced: bool = False
) -> tuple[float, float]:
    """Slope and intercept under which the sigmoid of the logits is a probability.

    Balanced, both labels weigh the same, as if half of the pictures showed pneumonia.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999, with his smoothed targets.
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weight = np.ones(len(labels))
    if balanced:
        weight = len(labels) / 2 / np.where(labels == 1, positives, negatives)
    design = np.column_stack((logits, np.ones_like(logits)))
    line = np.array([1.0, 0.0])
    for _ in range(50):  # Newton; some ten steps suffice
        probability = 1 / (1 + np.exp(-design @ line))
        spread = weight * probability * (1 - probability)
        line -= np.linalg.solve(
            design.T @ (design * spread[:, None]) + 1e-6 * np.eye(2),
            design.T @ (weight * (probability - target)),
        )
    return float(line[0]), float(line[1])


def calibrated(data: Path, members: list[PneumoniaNet], version: int) -> CalibratedEnsemble:
    """The members' mean, Platt-scaled over val and its spoilt copies by a version's rule."""
    val = load_split(data, "val")
    copies = [spoil(val.pictures, name) for name in CALIBRATION_SPOILINGS[version]]
    logits = np.concatenate(
        [np.mean([logits_of(member, copy) for member in members], axis=0) for copy in copies]
    )
    labels = np.tile(val.labels, len(copies))
    slope, intercept = platt(labels, logits, balanced=version > 1)
    print(f"slope {slope:.4f}, intercept {intercept:.4f}")
    return CalibratedEnsemble(members, slope, intercept)


def export(model: CalibratedEnsemble, path: Path) -> None:
    """Write `model` to `path` with a free batch dimension and the contract's tensor names."""
    model.eval()
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 224, 224),),
        str(path),
        input_names=["image"],
        output_names=["logits", "activation_map"],
        dynamic_axes={name: {0: "n"} for name in ("image", "logits", "activation_map")},
        opset_version=OPSET,
        dynamo=False,
    )
    exported = onnx.load(str(path))
    exported.ir_version = IR_VERSION
    onnx.checker.check_model(exported, full_check=True)
    onnx.save(exported, str(path))


def main() -> None:
    """Read members, calibrate, write ONNX."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("members", type=Path, nargs="+", help="weights written by train.py")
    parser.add_argument("--data", type=Path, required=True, help="folder of images.zip, labels.csv")
    parser.add_argument("--version", type=int, choices=CALIBRATION_SPOILINGS, default=1)
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    members = []
    for path in arguments.members:
        member = PneumoniaNet()
        member.load_state_dict(torch.load(path, weights_only=True))
        members.append(member.eval())
    export(calibrated(arguments.data, members, arguments.version), arguments.out)


if __name__ == "__main__":
    main()
