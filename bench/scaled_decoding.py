"""Effect of decoding JPEGs at 1/2, 1/4 or 1/8 size on a model's tensors and probabilities.

    python bench/scaled_decoding.py MODEL.onnx THRESHOLD IMAGE.jpeg...

For each reduction that leaves at least the model's input size, every picture is decoded in full
and reduced, and both tensors are run through the model.
"""

import io
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from preprocess import Frame, InputSpec, decode, jpeg, to_tensor

SPEC = InputSpec(rows=224, columns=224)
QUALITIES = (None, 95, 75, 50)


def recompressed(data: bytes, quality: int | None) -> bytes:
    """The picture again at another quality; the original bytes for None."""
    if quality is None:
        return data
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("L").save(out, "JPEG", quality=quality)
    return out.getvalue()


def reduced(data: bytes, reduction: int) -> Frame:
    """The picture decoded at a reduction."""
    header = jpeg.read_header(data)
    pixels = jpeg.decode_grey(data, header, reduction)
    return Frame(pixels, 8, rows=header.rows, columns=header.columns)


def main() -> None:
    """Print a line for each reduction."""
    threshold = float(sys.argv[2])
    model = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])

    def probability(tensor: np.ndarray) -> float:
        (logits,) = model.run(["logits"], {"image": tensor[None]})
        return float(1 / (1 + np.exp(-logits[0, 0])))

    pictures = [Path(name).read_bytes() for name in sys.argv[3:]]
    print("reduction  cases  least rest  tensor max  tensor mean  probability max  flips  speed-up")
    for reduction in (2, 4, 8):
        rows = []
        for picture in pictures:
            for quality in QUALITIES:
                data = recompressed(picture, quality)
                start = time.perf_counter()
                full = decode(data)[0]
                middle = time.perf_counter()
                small = reduced(data, reduction)
                end = time.perf_counter()
                rest = min(
                    small.samples.shape[0] / SPEC.rows, small.samples.shape[1] / SPEC.columns
                )
                if rest < 1:
                    continue
                ours, theirs = to_tensor(small, SPEC), to_tensor(full, SPEC)
                p, q = probability(ours), probability(theirs)
                difference = np.abs(ours - theirs)
                flip = (p >= threshold) != (q >= threshold)
                gain = (middle - start) / (end - middle)
                rows.append((rest, difference.max(), difference.mean(), abs(p - q), flip, gain))
        rest, most, mean, change, flips, gain = np.array(rows, float).T
        print(
            f"1/{reduction:<8} {len(rows):5} {rest.min():11.2f} {most.max():11.4f} "
            f"{mean.mean():12.5f} {change.max():16.5f} {int(flips.sum()):6} {np.median(gain):9.2f}"
        )
        for margin in (1.5, 2, 3, 4):
            kept = rest >= margin
            if kept.any():
                worst, flipped = change[kept].max(), int(flips[kept].sum())
                print(f"  rest >= {margin}: {kept.sum()} cases, {worst:.5f}, {flipped} flips")


if __name__ == "__main__":
    main()
