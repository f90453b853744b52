"""Report on the routing document in force."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class RoutingReport(BaseModel):
    """The routing document in force."""

    model_config = ConfigDict(frozen=True)

    is_set: bool = Field(description="False where there is none: models' contracts decide then.")
    version: str = Field(description="First half of the SHA-256 of the document.")
    since: AwareDatetime = Field(description="Time from which it has been in force.")
    fault: str | None = Field(
        None, description="Reason why the present content of its place is not in force."
    )
    document: dict[str, Any] = Field(description="The document, as it was written.")
