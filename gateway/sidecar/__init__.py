"""The local Triton: the real server as a guarded child process, and its onnxruntime backend."""

from gateway.sidecar.errors import SidecarError, TritonStartError, UnsupportedPlatformError
from gateway.sidecar.launcher import EmbeddedTriton
from gateway.sidecar.ports import METRICS_PORT

__all__ = [
    "METRICS_PORT",
    "EmbeddedTriton",
    "SidecarError",
    "TritonStartError",
    "UnsupportedPlatformError",
]
