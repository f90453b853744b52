"""A plain FastAPI service before Triton, as the two projects' documentation shows it.

Run by `uvicorn plain_fastapi:app`. TRITON is the gRPC address, NAME the model's name.
"""

import os
from typing import Annotated

import tritonclient.grpc.aio as triton
from fastapi import FastAPI, File, Form
from fastapi.concurrency import run_in_threadpool
from reading import findings, tensor

app = FastAPI()
client = None


@app.post("/v1/studies")
async def study(
    metadata: Annotated[str, Form()],  # noqa: ARG001 - part of the form
    image: Annotated[bytes, File()],
) -> dict[str, list[float]]:
    """Decode on a thread, ask Triton, answer."""
    global client  # noqa: PLW0603 - made on the loop that uses it
    client = client or triton.InferenceServerClient(os.environ["TRITON"])
    array = await run_in_threadpool(tensor, image)
    asked = triton.InferInput("image", list(array.shape), "FP32")
    asked.set_data_from_numpy(array)
    output = triton.InferRequestedOutput("logits")
    answer = await client.infer(os.environ["NAME"], [asked], outputs=[output])
    return findings(answer.as_numpy("logits"))
