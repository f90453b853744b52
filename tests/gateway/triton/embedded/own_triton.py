"""Traces of a Triton on the machine."""

import tempfile
from pathlib import Path

import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from gateway.triton.embedded import EmbeddedTriton
from tests.support.processes import descendants, is_alive, triton_process

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


async def affine(client: InferenceServerClient) -> list[list[float]]:
    x = InferInput("x", [1, 3], "FP32")
    x.set_data_from_numpy(np.array([[1, 2, 3]], np.float32))
    result = await client.infer("affine", [x], client_timeout=10)
    return result.as_numpy("y").tolist()


class Traces:
    """What the kernel and the file system know of one embedded server."""

    def __init__(self, triton: EmbeddedTriton) -> None:
        self.server = triton_process(triton.grpc_url)
        # Triton does not reap a backend process that was killed.
        [self.stub] = descendants(self.server.pid)
        self.guardian = self.server.parent()
        self.processes = [self.guardian, self.server, self.stub]
        [name] = [a for a in self.server.cmdline() if a.startswith("--id=")]
        self.folder = Path(tempfile.gettempdir()) / name.removeprefix("--id=")

    def shared_memory(self) -> list[Path]:
        return list(SHARED_MEMORY.glob(f"{self.folder.name}*"))

    def assert_none_is_left(self) -> None:
        assert not any(is_alive(process) for process in self.processes)
        assert not self.shared_memory()
        assert not self.folder.exists()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
