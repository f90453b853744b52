"""The drop folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gateway.settings.group import SettingsGroup


class DropFolderSettings(SettingsGroup):
    """The way in for files: a bucket whose events come in, or a watched folder."""

    folder: Path = Field(
        Path("data/dropfolder"), description="Folder for studies, where the store is a folder."
    )
    watch: bool | None = Field(
        None,
        description="Watch the folder for studies; `radstream up` does, "
        "`radstream serve` does not, if unset.",
    )
    settle_s: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Seconds that a file in the watched folder must stay unchanged to count as "
        "completely copied.",
    )
    doubtful_settle_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="The same for a file that looks truncated: it ends in zeros, lacks a part, "
        "or is open for writing.",
    )
    polling: bool | None = Field(
        None,
        description="Poll the folder besides the system's notifications; if "
        "unset, on network file systems and where there are no notifications.",
    )
    poll_s: float = Field(
        1.0,
        gt=0,
        le=3600,
        description="Polling interval in seconds; longer where a scan takes long.",
    )
    waiting_deadline_s: float = Field(
        3600.0,
        gt=0,
        le=7 * 86400,
        description="Seconds that an image or a sidecar waits for its other half before it is "
        "parked.",
    )
    sweep_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="Interval in seconds of the sweep: halves that waited too long, studies "
        "whose gateway died, files that no notification told of.",
    )
