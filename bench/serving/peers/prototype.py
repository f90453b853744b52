"""The prototype's way: Pillow and NumPy in doubles at full size, JSON over HTTP to Triton.

Run by `uvicorn prototype:app`. TRITON_HTTP is the address, NAME the model's name.
"""

import io
import os
from typing import Annotated

import numpy as np
import tritonclient.http as triton
from fastapi import FastAPI, File, Form
from PIL import Image
from reading import findings

app = FastAPI()


@app.post("/v1/studies")
def study(
    metadata: Annotated[str, Form()],  # noqa: ARG001 - part of the form
    image: Annotated[bytes, File()],
) -> dict[str, list[float]]:
    """Normalise the whole picture, then shrink it, and ask with a connection of its own."""
    whole = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"), dtype=np.float64) / 255.0
    grey = Image.fromarray((whole.mean(axis=2) * 255.0).astype(np.uint8))
    small = np.asarray(grey.resize((224, 224), Image.Resampling.BILINEAR), dtype=np.float32) / 255.0
    client = triton.InferenceServerClient(os.environ["TRITON_HTTP"])
    asked = triton.InferInput("image", [1, 1, 224, 224], "FP32")
    asked.set_data_from_numpy(small[None, None], binary_data=False)
    output = triton.InferRequestedOutput("logits", binary_data=False)
    answer = client.infer(os.environ["NAME"], [asked], outputs=[output])
    client.close()
    return findings(answer.as_numpy("logits"))
