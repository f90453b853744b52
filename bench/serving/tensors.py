"""A client of Triton alone: keeps N inferences under way on one channel, as perf_analyzer does.

    python -m bench.serving.tensors URL MODEL IMAGE --studies 200 --concurrency 16 [--each]

Makes the tensor from the image once and sends the same bytes again and again, so that next to all
that is measured is Triton. With --each the file is decoded and shrunk for every inference, in as
many threads as cores: what a client has to do that is given pictures. Prints one JSON document, as
`bench.serving.load` does.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter

import grpc
from tritonclient.grpc import service_pb2 as pb

from bench.serving.densenet import SPEC
from bench.serving.load import Log, run
from preprocess import decode, to_tensor

_METHOD = "/inference.GRPCInferenceService/ModelInfer"


def message(model: str, image: bytes) -> bytes:
    """One inference of the image (1, 1, rows, columns), as it goes over the wire."""
    tensor = to_tensor(decode(image)[0], SPEC)[None]
    request = pb.ModelInferRequest(model_name=model)
    request.inputs.add(name="image", datatype="FP32", shape=tensor.shape)
    request.outputs.add(name="logits")
    request.raw_input_contents.append(tensor.tobytes())
    return request.SerializeToString()


async def closed(
    url: str, made: Callable[[], bytes], log: Log, *, studies: int, concurrency: int, each: bool
) -> None:
    """So many inferences, so many at a time; the message is made once, or for each."""
    loop = asyncio.get_running_loop()
    ready, turns = made(), [None] * studies
    async with grpc.aio.insecure_channel(url, options=[("grpc.enable_http_proxy", 0)]) as channel:
        infer = channel.unary_unary(_METHOD)  # bytes to bytes: nothing is made or read here

        async def sender(pool: ThreadPoolExecutor) -> None:
            while turns:
                turns.pop()
                began = perf_counter()
                answer = await infer(await loop.run_in_executor(pool, made) if each else ready)
                log.seconds.append(perf_counter() - began)
                log.statuses[200 if answer else 0] += 1

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            await asyncio.gather(*(sender(pool) for _ in range(concurrency)))


def main() -> None:
    """Read the arguments, send, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("model")
    parser.add_argument("image", type=Path)
    parser.add_argument("--studies", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--each", action="store_true")
    given = parser.parse_args()
    made = partial(message, given.model, given.image.read_bytes())
    log = Log()
    amount = {"studies": given.studies, "concurrency": given.concurrency}
    work = closed(given.url, made, log, **amount, each=given.each)
    print(json.dumps(asyncio.run(run(work, log))))


if __name__ == "__main__":
    main()
