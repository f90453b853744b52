"""The local Triton: the real server as a guarded child process, and its onnxruntime backend."""

from gateway.triton.embedded.errors import SidecarError, TritonStartError, UnsupportedPlatformError
from gateway.triton.embedded.launcher import EmbeddedTriton
from gateway.triton.embedded.ports import METRICS_PORT

__all__ = [
    "METRICS_PORT",
    "EmbeddedTriton",
    "SidecarError",
    "TritonStartError",
    "UnsupportedPlatformError",
]
