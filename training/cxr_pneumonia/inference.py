"""The exported model, run on one CPU thread as any ONNX runtime runs it."""

import time
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray

from training.cxr_pneumonia.dataset import SIDE, as_input

BATCH = 32


class Classifier:
    """The model in an ONNX file."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Logits (n,) and activation maps (n, 14, 14) of inputs (n, 1, 224, 224) in [0, 1]."""
        logits, maps = [], []
        for start in range(0, len(inputs), BATCH):
            feed = {"image": inputs[start : start + BATCH]}
            answer = self._session.run(["logits", "activation_map"], feed)
            logits.append(np.asarray(answer[0], dtype=np.float64)[:, 0])
            maps.append(np.asarray(answer[1], dtype=np.float64)[:, 0])
        return np.concatenate(logits), np.concatenate(maps)

    def probabilities(self, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Probabilities of pneumonia (n,) in pictures (n, 224, 224)."""
        return sigmoid(self.run(as_input(pictures))[0])

    def milliseconds_each(self, repeats: int = 200) -> float:
        """Median processor time of one picture alone; other work on the machine does not count."""
        inputs = np.random.default_rng(0).random((1, 1, SIDE, SIDE), dtype=np.float32)
        times = []
        for _ in range(repeats):
            started = time.thread_time()
            self.run(inputs)
            times.append(time.thread_time() - started)
        return float(np.median(times)) * 1e3


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probabilities that the logits stand for."""
    probabilities: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return probabilities
