"""The local Triton: the real server as a guarded child process, and its onnxruntime backend."""

from gateway.sidecar.errors import SidecarError, TritonStartError, UnsupportedPlatformError
from gateway.sidecar.launcher import EmbeddedTriton

__all__ = ["EmbeddedTriton", "SidecarError", "TritonStartError", "UnsupportedPlatformError"]
