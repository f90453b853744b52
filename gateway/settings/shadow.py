"""Shadow models: readings that nothing shows."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.group import SettingsGroup


class ShadowSettings(SettingsGroup):
    """Work of shadow models, which is done while no study is at work."""

    share: float = Field(
        0.03,
        gt=0,
        le=1,
        description="Share of the time that shadow models may take: of studies that come at random "
        "no larger share meets one at work.",
    )
    queue: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Images that may wait for shadow models; what comes beyond is dropped and "
        "counted.",
    )
