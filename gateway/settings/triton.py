"""The Triton Inference Server."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from gateway.settings.group import SettingsGroup


class TritonSettings(SettingsGroup):
    """The Triton Inference Server the gateway calls."""

    url: str = Field("127.0.0.1:8001", description="host:port of Triton's gRPC endpoint.")
    message_bytes: int = Field(
        128 * 2**20, gt=0, description="Bytes of the largest gRPC message in either direction."
    )
    placement: Literal["gateway", "triton"] = Field(
        "gateway",
        description="Place of preprocessing: in the gateway, or in Triton with the ensembles "
        "that `radstream models build` makes.",
    )
    shared_memory_bytes: int = Field(
        0,
        ge=0,
        description="Bytes of /dev/shm for large tensors on their way to a Triton that shares it; "
        "0 sends everything over gRPC. `radstream up` takes 32 MiB, unless set.",
    )
    refresh_s: float = Field(
        5.0, gt=0, le=300, description="Interval in seconds of polling Triton's model repository."
    )
    probe_timeout_s: float = Field(
        2.0, gt=0, le=60, description="Timeout in seconds of one readiness probe of Triton."
    )
    restart_after_s: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Seconds without an answer of any model after which Triton is restarted; "
        "longer than the slowest model takes to load.",
    )
    restart_flag: Path | None = Field(
        None,
        description="File created to restart Triton's container, in a volume that its entry "
        "point watches. `radstream up` restarts its own Triton.",
    )
    model_repository: Path = Field(
        Path("model_repository"),
        description="Folder the embedded Triton serves; `radstream up` alone reads it.",
    )
