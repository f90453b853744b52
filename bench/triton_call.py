"""Cost of a call beside its model: in the caller, in tritonserver, in the backend process.

    python -m bench.triton_call [ROUNDS]

The embedded Triton serves a model that does next to nothing to a tensor of 1x224x224, and is asked
by turns in three ways: by tritonclient's own wrapper, with the tensor in RadStream's message, and
with it in shared memory. Prints milliseconds of CPU time a call, median of the rounds, and the
least, with one call under way at a time and with sixteen.
"""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import onnx
import psutil
import uvloop
from onnx import TensorProto, helper
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient

from gateway.runtime.deadline import Deadline
from gateway.triton.client import TritonClient
from gateway.triton.embedded import EmbeddedTriton

CALLS = 200
AT_ONCE = (1, 16)
TENSOR = np.random.default_rng(1).random((1, 1, 224, 224), dtype=np.float32)
CONFIG = """name: "corner"
backend: "onnxruntime"
max_batch_size: 16
input [ { name: "image" data_type: TYPE_FP32 dims: [ 1, 224, 224 ] } ]
output [ { name: "corner" data_type: TYPE_FP32 dims: [ 1, 14, 14 ] } ]
dynamic_batching { max_queue_delay_microseconds: 0 }
"""
Call = Callable[[], Awaitable[object]]


def write_model(repository: Path) -> Path:
    """The repository, with a model that cuts 14x14 pixels out of its picture."""
    folder = repository / "corner" / "1"
    folder.mkdir(parents=True)
    ends = [([2, 3], "axes"), ([0, 0], "starts"), ([14, 14], "ends")]
    graph = helper.make_graph(
        [helper.make_node("Slice", ["image", "starts", "ends", "axes"], ["corner"])],
        "corner",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 224, 224])],
        [helper.make_tensor_value_info("corner", TensorProto.FLOAT, ["n", 1, 14, 14])],
        [onnx.numpy_helper.from_array(np.array(values), name) for values, name in ends],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    (folder.parent / "config.pbtxt").write_text(CONFIG)
    return repository


async def wrapper(url: str, stack: AsyncExitStack) -> Call:
    """A call by tritonclient's wrapper."""
    client = await stack.enter_async_context(InferenceServerClient(url))

    async def call() -> object:
        tensor = InferInput("image", list(TENSOR.shape), "FP32")
        tensor.set_data_from_numpy(TENSOR)
        outputs = [InferRequestedOutput("corner")]
        answer = await client.infer(
            "corner", [tensor], model_version="1", outputs=outputs, client_timeout=30
        )
        return answer.as_numpy("corner")

    return call


async def radstream(url: str, stack: AsyncExitStack, shared_memory_bytes: int) -> Call:
    """A call by RadStream's client."""
    client = TritonClient(url, message_bytes=1 << 24, shared_memory_bytes=shared_memory_bytes)
    stack.push_async_callback(client.close)
    return lambda: client.infer(
        "corner", "1", {"image": TENSOR}, ["corner"], deadline=Deadline.after(30)
    )


def processes() -> dict[str, list[psutil.Process]]:
    """The caller, Triton and its backend processes."""
    own = psutil.Process()
    children = own.children(recursive=True)
    server = [child for child in children if child.name() == "tritonserver"]
    return {"caller": [own], "tritonserver": server, "backend": server[0].children()}


def cpu_ms(process: psutil.Process) -> float:
    """Milliseconds of CPU time of all its threads so far, by the scheduler's own clock."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


async def measured(
    call: Call, at_once: int, watched: dict[str, list[psutil.Process]]
) -> dict[str, float]:
    """Milliseconds of CPU time a call, by process."""
    before = {name: sum(map(cpu_ms, group)) for name, group in watched.items()}
    turns = iter(range(CALLS))

    async def work() -> None:
        for _ in turns:
            await call()

    await asyncio.gather(*(work() for _ in range(at_once)))
    return {
        name: (sum(map(cpu_ms, group)) - before[name]) / CALLS for name, group in watched.items()
    }


def tell(way: str, at_once: int, rounds: Sequence[dict[str, float]]) -> None:
    """Print one line of the table."""
    cells = []
    for name in rounds[0]:
        values = [figures[name] for figures in rounds]
        cells.append(f"{statistics.median(values):.2f} ({min(values):.2f})")
    print(f"| {way}, {at_once} at once | {' | '.join(cells)} |")


async def main(rounds: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            EmbeddedTriton(write_model(Path(folder)), on_log=lambda _: None) as triton,
            AsyncExitStack() as stack,
        ):
            ways = {
                "tritonclient's wrapper": await wrapper(triton.grpc_url, stack),
                "message": await radstream(triton.grpc_url, stack, 0),
                "shared memory": await radstream(triton.grpc_url, stack, 1 << 25),
            }
            watched = processes()
            print(f"| way | {' | '.join(watched)} |\n|---|{'---:|' * len(watched)}")
            for at_once in AT_ONCE:
                seen: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
                for call in ways.values():
                    await measured(call, at_once, watched)
                for _ in range(rounds):
                    for way, call in ways.items():
                        seen[way].append(await measured(call, at_once, watched))
                for way, figures in seen.items():
                    tell(way, at_once, figures)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the gateway does
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 31))
