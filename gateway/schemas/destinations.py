"""Reports on destinations of results."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from gateway.schemas.result import RenderingKind


class DestinationReport(BaseModel):
    """A destination, and how what is brought to it stands."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str | None = Field(
        None,
        description="dicom, stow, fhir, hl7 or webhook; absent where it is listed no longer.",
    )
    address: str | None = None
    renderings: tuple[RenderingKind, ...] = ()
    state: str = Field(
        description="The worst that holds: gone, where the document lists it no longer; silent; "
        "parked; failing, where no attempt of this gateway brought anything, or a result has "
        "waited for over 15 minutes; unused, where no attempt was made; well."
    )
    waiting: int = Field(description="Results of the whole store that it has not acknowledged.")
    oldest_s: float = Field(description="Seconds that the oldest one waits.")
    parked: int = Field(description="Results of the whole store that are not tried again.")
    acknowledged: int = Field(description="Results that it took from this gateway since its start.")
    failed: int = Field(description="Attempts of this gateway that brought nothing.")


class DestinationList(BaseModel):
    """The destinations, in the order of the routing document."""

    model_config = ConfigDict(frozen=True)

    destinations: tuple[DestinationReport, ...]


class CheckReport(BaseModel):
    """A step of a check."""

    model_config = ConfigDict(frozen=True)

    step: str = Field(description="connection, tls or answer.")
    passed: bool
    detail: str = Field(description="Outcome in words, none of which are the destination's.")


class DestinationTest(BaseModel):
    """Steps to a destination, the last of which failed or was its answer."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    steps: tuple[CheckReport, ...]
