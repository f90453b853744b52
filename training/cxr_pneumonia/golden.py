"""Makes a golden image: a small JPEG and the probability that a sound set-up gives for it."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from training.cxr_pneumonia.dataset import SIDE
from training.cxr_pneumonia.inference import Classifier, sigmoid


def main() -> None:
    """Shrink one picture, store it, and print what the model says of the stored file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the ONNX file")
    parser.add_argument("--picture", type=Path, required=True, help="the radiograph to shrink")
    parser.add_argument("--side", type=int, default=112, help="of the golden image, in pixels")
    parser.add_argument("--quality", type=int, default=85, help="JPEG quality of the golden image")
    parser.add_argument("--out", type=Path, required=True, help="the JPEG to write")
    arguments = parser.parse_args()
    with Image.open(arguments.picture) as original:
        size = (arguments.side, arguments.side)
        small = original.convert("L").resize(size, Image.Resampling.BILINEAR)
    small.save(arguments.out, quality=arguments.quality)
    with Image.open(arguments.out) as golden:
        whole = np.asarray(golden.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    grey = whole[None, None].astype(np.float32)
    model = Classifier(arguments.model)
    for range_name, inputs in (
        ("[0, 1]", grey / 255),
        ("[-1, 1]", grey / 127.5 - 1),
        ("[0, 255]", grey),
        ("[-1024, 1024]", grey * (2048 / 255) - 1024),
        ("[0, 1] inverted", 1 - grey / 255),
    ):
        logits, activation_map = model.run(inputs.astype(np.float32))
        print(f"{range_name}: {sigmoid(logits)[0]:.6f}, map {activation_map.min():.3f} to", end=" ")
        print(f"{activation_map.max():.3f}")


if __name__ == "__main__":
    main()
