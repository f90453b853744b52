"""The audit trail."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.settings.group import BucketName, FileBytes, SettingsGroup


class AuditSettings(SettingsGroup):
    """The audit trail: the record of who did what to which study."""

    kind: Literal["file", "s3"] = Field(
        "file",
        description="Sink of the audit trail: JSON lines in files on this machine, or objects "
        "in a bucket.",
    )
    folder: Path = Field(
        Path("data/audit"), description="Folder of the files, where the kind is file."
    )
    file_bytes: FileBytes = 64 * 2**20
    bucket: BucketName | None = Field(
        None,
        description="S3 bucket for the trail alone, best with Object Lock; reached as the store's.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "s3" and not self.bucket:
            raise ValueError("kind s3 needs bucket")
        return self
