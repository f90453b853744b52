"""Clients of a Triton, and calls of theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.runtime.deadline import Deadline
from gateway.triton.client import TritonClient
from tests.support.inference import (
    ScriptedTriton,
)

# A request waits a minute for seven others.
WAITING = "max_queue_delay_microseconds: 60000000 preferred_batch_size: [ 8 ]"


QUEUE_OF_ONE = f"{WAITING} default_queue_policy {{ max_queue_size: 1 }}"


OUTPUTS = ["logits", "activation_map"]


MESSAGE_BYTES = 2**20


def soon() -> Deadline:
    """Long enough for anything that works."""
    return Deadline.after(30)


def image(level: float = 0.5) -> dict[str, NDArray[Any]]:
    return {"image": np.full((1, 1, 32, 32), level, np.float32)}


@asynccontextmanager
async def connected(url: str, message_bytes: int = MESSAGE_BYTES) -> AsyncIterator[TritonClient]:
    client = TritonClient(url, message_bytes=message_bytes)
    try:
        yield client
    finally:
        await client.close()


async def infer(client: TritonClient, name: str = "brightness", **more: Any) -> Any:
    call = {"version": "1", "inputs": image(), "outputs": OUTPUTS, "deadline": soon()} | more
    return await client.infer(name, **call)


Scripted = tuple[ScriptedTriton, TritonClient]
