"""Effect of decoding JPEGs at 1/2, 1/4 or 1/8 size on a model's tensors and probabilities.

    python -m bench.scaled_decoding MODEL_FOLDER IMAGE.jpeg...

For each reduction that leaves at least the model's input size, every picture is decoded in full
and reduced, both by the model's contract, and both tensors are run through its `model.onnx`. A
reduction whose probabilities move by 0.003 at most and flip no finding may stand in the contract.
"""

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from gateway.models.build import newest_version
from gateway.models.config_file import parameters_of, read_config
from gateway.models.contract_versions import contract_of
from gateway.models.contracts import probabilities
from gateway.schemas.contract import Contract
from preprocess import Frame, decode, measure, to_tensor

QUALITIES = (None, 95, 75, 50)
REDUCTIONS = (2, 4, 8)


def recompressed(data: bytes, quality: int | None) -> bytes:
    """Return the picture coded again at another quality; the original bytes for None."""
    if quality is None:
        return data
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("L").save(out, "JPEG", quality=quality)
    return out.getvalue()


def reduced(data: bytes, reduction: int) -> Frame:
    """Return the picture, decoded at a reduction."""
    header = measure(data)
    (frame,) = decode(data, at_least=(header.rows // reduction, header.columns // reduction))
    return frame


def reader(folder: Path) -> tuple[Contract, Callable[[np.ndarray], np.ndarray]]:
    """Return a model's contract, and what gives its probabilities for a tensor."""
    version = newest_version(folder)
    contract = contract_of(parameters_of(read_config(folder)), version)
    model = onnxruntime.InferenceSession(
        folder / version / "model.onnx", providers=["CPUExecutionProvider"]
    )

    def read(tensor: np.ndarray) -> np.ndarray:
        (output,) = model.run([contract.output.name], {contract.input.name: tensor[None]})
        return probabilities(contract, output)

    return contract, read


def main() -> None:
    """Print a line for each reduction."""
    contract, read = reader(Path(sys.argv[1]))
    spec = contract.input.spec()
    thresholds = np.array([label.threshold for label in contract.output.labels])
    pictures = [Path(name).read_bytes() for name in sys.argv[2:]]
    print("reduction  quality   cases  tensor max  probability max  flips  speed-up")
    for reduction in REDUCTIONS:
        for quality in QUALITIES:
            rows = []
            for data in (recompressed(picture, quality) for picture in pictures):
                start = time.perf_counter()
                full = decode(data)[0]
                middle = time.perf_counter()
                small = reduced(data, reduction)
                end = time.perf_counter()
                if small.rows // reduction < spec.rows or small.columns // reduction < spec.columns:
                    continue
                ours, theirs = to_tensor(small, spec), to_tensor(full, spec)
                p, q = read(ours), read(theirs)
                flips = ((p >= thresholds) != (q >= thresholds)).sum()
                gain = (middle - start) / (end - middle)
                rows.append((np.abs(ours - theirs).max(), np.abs(p - q).max(), flips, gain))
            if rows:
                tensor, change, flips, gain = np.array(rows, float).T
                print(
                    f"1/{reduction:<8} {quality or 'as it is':8} {len(rows):6} {tensor.max():11.4f}"
                    f" {change.max():16.5f} {int(flips.sum()):6} {np.median(gain):9.2f}"
                )


if __name__ == "__main__":
    main()
