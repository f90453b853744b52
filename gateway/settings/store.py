"""The store of studies, and their retention."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.settings.group import BucketName, SettingsGroup, WebUrl


class StoreSettings(SettingsGroup):
    """The store of studies and results."""

    kind: Literal["folder", "s3"] = Field(
        "folder", description="A folder on this machine, or two buckets of S3."
    )
    folder: Path = Field(Path("data/store"), description="Root of the folder object store.")
    images_bucket: BucketName | None = Field(
        None, description="S3 bucket that hospitals drop studies into."
    )
    results_bucket: BucketName | None = Field(
        None, description="S3 bucket for all that the gateway keeps."
    )
    region: str | None = Field(
        None, description="AWS region of the buckets; AWS's own variables and files if unset."
    )
    endpoint: WebUrl | None = Field(
        None,
        description="URL of an S3 other than AWS's; it is asked with check sums as "
        "AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION say.",
    )
    sse: Literal["AES256", "aws:kms"] | None = Field(
        None, description="Server-side encryption of every write; the bucket's default if unset."
    )
    kms_key_id: str | None = Field(
        None, description="Key for aws:kms: its id or ARN; the account's own for S3 if unset."
    )
    connections: int = Field(
        64,
        ge=1,
        le=1000,
        description="Concurrent requests to S3: as many reads, and as many writes to a bucket.",
    )
    timeout_s: float = Field(
        15.0, gt=0, le=300, description="Timeout in seconds of a call of S3, retries included."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "s3" and not (self.images_bucket and self.results_bucket):
            raise ValueError("kind s3 needs images_bucket and results_bucket")
        if self.kms_key_id and self.sse != "aws:kms":
            raise ValueError("kms_key_id needs sse aws:kms")
        return self


class RetentionSettings(SettingsGroup):
    """Retention of studies."""

    study_days: int | None = Field(
        None,
        ge=1,
        le=36500,
        description="Retention in days: a study unchanged for so long is deleted; never if unset.",
    )
    sweep_s: float = Field(
        21600.0, gt=0, le=86400, description="Interval in seconds of the retention sweep."
    )
