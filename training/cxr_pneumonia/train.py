"""Trains one member of the ensemble: one seed, one file of weights.

`go_on.py` trains by the same loop, with strangers in each batch.
"""

import argparse
import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.cxr_pneumonia.augment import augment
from training.cxr_pneumonia.dataset import Split, as_input, load_split, spoil
from training.cxr_pneumonia.network import PneumoniaNet
from training.cxr_pneumonia.scoring import auc
from training.cxr_pneumonia.strangers import stranger

BATCH = 32
STRANGERS = 8  # beside the BATCH radiographs of a batch, where there are any
WEIGHT_DECAY = 0.03
AVERAGING = 0.998
LABEL_SMOOTHING = 0.05


def balanced_order(labels: NDArray[np.int64], rng: Generator) -> NDArray[np.int64]:
    """One epoch's indices: as many of each label, together about as many as there are pictures."""
    half = len(labels) // 2
    draws = []
    for label in (0, 1):
        members = np.flatnonzero(labels == label)
        rounds = [rng.permutation(members) for _ in range(half // len(members) + 1)]
        draws.append(np.concatenate(rounds)[:half])
    return rng.permutation(np.concatenate(draws))


@dataclass(frozen=True)
class Phase:
    """One phase of training: how long, how fast, and on what beside the radiographs of train.

    Pictures are magnified up to `zoom` times. `watched` names the spoilt copy of val whose AUC is
    printed after each epoch. With `others`, pictures (n, 224, 224) of other things, each batch has
    strangers among them, none of them pneumonia.
    """

    seed: int
    epochs: int
    rate: float
    zoom: float
    watched: str = "JPEG quality 40"
    others: NDArray[np.uint8] | None = None


def batches(split: Split, rng: Generator, phase: Phase) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch of pictures (n, 1, 224, 224) and labels (n,), 1 for pneumonia."""
    order = balanced_order(split.labels, rng)
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        pictures = [augment(split.pictures[index], rng, phase.zoom) for index in chosen]
        labels = split.labels[chosen]
        if phase.others is not None:
            for _ in range(STRANGERS):
                picture, _is_radiograph = stranger(split.pictures, phase.others, rng)
                pictures.append(augment(picture, rng, phase.zoom))
            labels = np.concatenate((labels, np.zeros(STRANGERS, np.int64)))
        yield torch.from_numpy(as_input(np.stack(pictures))), torch.from_numpy(labels).float()


def follow(average: PneumoniaNet, network: PneumoniaNet, step: int) -> None:
    """Move the averaged weights and statistics towards those of `network`."""
    weight = min(AVERAGING, step / (step + 10))
    with torch.no_grad():
        for mean, now in zip(
            average.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mean.dtype.is_floating_point:
                mean.lerp_(now, 1 - weight)


@torch.no_grad()
def logits_of(network: PneumoniaNet, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Uncalibrated logits, (n,)."""
    network.eval()
    parts = [
        network(torch.from_numpy(as_input(pictures[start : start + 64]))).mean(dim=(1, 2, 3))
        for start in range(0, len(pictures), 64)
    ]
    return torch.cat(parts).double().numpy()


def train(data: Path, network: PneumoniaNet, phase: Phase) -> PneumoniaNet:
    """Return the network's running average over the phase, which also trains `network` itself.

    Its layers stay in the mode, of training or of serving, that they are in.
    """
    rng = np.random.default_rng(phase.seed)
    split, val = load_split(data, "train"), load_split(data, "val")
    spoilt = spoil(val.pictures, phase.watched)
    # torch's stubs leave this overload out.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average: PneumoniaNet = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        phase.rate,
        total_steps=phase.epochs * (2 * (len(split.labels) // 2) // BATCH),
        pct_start=0.15,
    )
    started, step = time.monotonic(), 0
    for epoch in range(phase.epochs):
        losses = []
        for pictures, labels in batches(split, rng, phase):
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
            f"epoch {epoch + 1}/{phase.epochs}  loss {np.mean(losses):.4f}  "
            f"val AUC {auc(val.labels, logits_of(average, val.pictures)):.4f}  "
            f"{phase.watched} {auc(val.labels, logits_of(average, spoilt)):.4f}  "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
    return average


def main() -> None:
    """Train and save one member."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of images.zip, labels.csv")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--zoom", type=float, default=1.2, help="largest magnification")
    parser.add_argument("--start", type=Path, help="weights of an earlier phase to go on from")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="where the weights go (.pt)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(arguments.seed)
    network = PneumoniaNet()
    if arguments.start is not None:
        network.load_state_dict(torch.load(arguments.start, weights_only=True))
    phase = Phase(arguments.seed, arguments.epochs, arguments.rate, arguments.zoom)
    average = train(arguments.data, network.train(), phase)
    torch.save(average.state_dict(), arguments.out)


if __name__ == "__main__":
    main()
