"""The base of a group of settings, and the types that groups share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

ASCII_WORD_PATTERN = r"^[!-~]+$"
WEB_URL_PATTERN = r"^https?://"

WebUrl = Annotated[str, Field(pattern=WEB_URL_PATTERN)]
BucketName = Annotated[str, Field(min_length=3, max_length=63)]
FileBytes = Annotated[int, Field(gt=0, description="Size in bytes at which a new file is begun.")]
GiveUpSeconds = Annotated[float, Field(gt=0, le=30 * 86400)]


class SettingsGroup(BaseModel):
    """Settings of one part of the gateway."""

    model_config = ConfigDict(frozen=True, extra="forbid")
