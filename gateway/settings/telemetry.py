"""Telemetry."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from gateway.settings.group import FileBytes, SettingsGroup, WebUrl

STREAM_PATTERN = r"^[A-Za-z0-9_.-]{1,128}$"
"""Names of Kinesis data streams."""


class TelemetrySettings(SettingsGroup):
    """Telemetry: the events of studies, and the sink that takes them."""

    kind: Literal["none", "file", "kinesis"] = Field(
        "file",
        description="Sink of telemetry events: none, JSON lines in files on this machine, or a "
        "Kinesis data stream.",
    )
    study_ref_key: SecretStr | None = Field(
        None,
        description="Key of the hash that stands for a study_id in logs and telemetry; needed for "
        "kind kinesis, and the same for all replicas. If unset, a random one, which kind file "
        "keeps in the spool's folder.",
    )
    folder: Path = Field(
        Path("data/telemetry"), description="Folder of the files, where the kind is file."
    )
    file_bytes: FileBytes = 64 * 2**20
    folder_bytes: int = Field(
        2**30, gt=0, description="Size in bytes of all files beyond which the oldest are removed."
    )
    stream_name: str | None = Field(
        None, pattern=STREAM_PATTERN, description="Name of the Kinesis data stream."
    )
    region: str | None = Field(
        None, description="AWS region of the stream; AWS's own variables and files if unset."
    )
    endpoint: WebUrl | None = Field(None, description="URL of a Kinesis other than AWS's.")
    timeout_s: float = Field(
        10.0, gt=0, le=60, description="Timeout in seconds of a call of Kinesis."
    )
    linger_ms: int = Field(
        500,
        ge=0,
        le=60_000,
        description="Milliseconds that an event waits to be sent in a batch.",
    )
    queue_bytes: int = Field(
        16 * 2**20,
        ge=2**16,
        description="Bytes of memory for events to be sent; from half of it they go to the spool.",
    )
    spool_folder: Path = Field(
        Path("data/telemetry-spool"),
        description="Folder for events while their sink is slow or unavailable; one gateway's "
        "alone, with a folder in it for each further process.",
    )
    spool_bytes: int = Field(
        256 * 2**20,
        ge=0,
        description="Bytes of the spool; events that find it and the memory full are dropped and "
        "counted.",
    )
    drain_s: float = Field(
        5.0,
        ge=0,
        le=600,
        description="Seconds that delivery goes on after the last study at shutdown; the rest "
        "is spooled.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "kinesis" and not (self.stream_name and self.study_ref_key):
            raise ValueError("kind kinesis needs stream_name and study_ref_key")
        return self
