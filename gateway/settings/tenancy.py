"""Tenants: hospitals that share a gateway and see nothing of one another."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from gateway.settings.group import SettingsGroup

TENANT_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"


class TenancySettings(SettingsGroup):
    """Tenants that share the gateway."""

    tenants: tuple[Annotated[str, Field(pattern=TENANT_PATTERN)], ...] = Field(
        (),
        max_length=64,
        description="Names of the tenants, as a JSON array; if empty, all callers share one store. "
        "Every sender and destination of the routing document then names its tenant.",
    )

    gateways: int = Field(
        1,
        ge=1,
        le=1000,
        description="Number of gateways that share the store. Each lets a tenant have its share of "
        "a quota of studies at once, or of a minute; a day's quota is counted together.",
    )

    @property
    def is_on(self) -> bool:
        """Return True if studies belong to tenants."""
        return bool(self.tenants)

    @field_validator("tenants")
    @classmethod
    def _are_told_apart(cls, tenants: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(tenants)) != len(tenants):
            raise ValueError("each tenant is named once")
        return tenants
