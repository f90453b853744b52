"""Work of every peer on a study: decode, resize, infer, as Pillow's and ONNX Runtime's pages do.

`DRAFT=1` decodes JPEG at an eighth where the model needs no more (Pillow's `draft`).
"""

import io
import os

import numpy as np
import onnxruntime
from PIL import Image

_SIDE = 224
_DRAFT = os.environ.get("DRAFT") == "1"


def session() -> onnxruntime.InferenceSession:
    """The model named by MODEL, on one thread, since the servers bring threads or processes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
    )


def tensor(data: bytes) -> np.ndarray:
    """float32 (1, 1, 224, 224) in 0 to 1."""
    image = Image.open(io.BytesIO(data))
    if _DRAFT:
        image.draft("L", (_SIDE, _SIDE))
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    return (np.asarray(small, dtype=np.float32) / 255.0)[None, None]


def findings(logits: np.ndarray) -> dict[str, list[float]]:
    """Probabilities, as JSON carries them."""
    return {"probabilities": (1.0 / (1.0 + np.exp(-logits[0]))).tolist()}
