"""Triton's Python-based backend `onnxruntime`; only Triton imports its module."""
