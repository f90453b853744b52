"""The telemetry event of a reading: one finding of one model, and the picture it was found in.

As in the event of a stage, no field takes a sender's words.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.schemas.metadata import View
from gateway.schemas.result import Mode
from gateway.schemas.telemetry import (
    BodyPart,
    CallerName,
    GatewayVersion,
    Hex32,
    Instance,
    Kebab,
    Modality,
    ModelName,
    Moment,
    TelemetryEvent,
    VersionNumber,
)
from gateway.vocabulary.ages import years

_UNUSUAL = re.compile(r"[^A-Za-z0-9 _.,()/+-]")


class Sex(StrEnum):
    """Patient's Sex (0010,0040)."""

    FEMALE = "F"
    MALE = "M"
    OTHER = "O"


class AgeBand(StrEnum):
    """Years of age, the last one included."""

    BELOW_1 = "0"
    TO_5 = "1-5"
    TO_17 = "6-17"
    TO_39 = "18-39"
    TO_64 = "40-64"
    TO_79 = "65-79"
    FROM_80 = "80+"

    @classmethod
    def of(cls, age: str) -> AgeBand:
        """Return the band of an age as DICOM writes it, such as 034Y."""
        upper = zip((1, 6, 18, 40, 65, 80), cls, strict=False)
        return next((band for limit, band in upper if years(age) < limit), cls.FROM_80)


def label_name(label: str) -> str:
    """Return the label of a model's contract as events have it."""
    return _UNUSUAL.sub("_", label)


_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class ReadingEvent(BaseModel):
    """Record of one finding of one model in one frame of an image.

    A reading of several labels has as many records, which tell the same of the picture. Every field
    is in every record.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )

    event_id: Hex32 = Field(description="The same in every copy of a record.")
    schema_: Literal["radstream.telemetry/2"] = Field(
        "radstream.telemetry/2", alias="schema", description="Name and version of this schema."
    )
    occurred_at: Moment = Field(description="Time of the reading: RFC 3339, UTC.")
    study_ref: Hex32 = Field(description="As in the events of the study's stages.")
    image_ref: Hex32 = Field(
        description="Keyed hash of the image's SHA-256: the readings of one image share it."
    )
    frame: int = Field(ge=1, le=10_000, description="Number of the frame, from 1.")
    model: ModelName = Field(description="Model that made the reading.")
    model_version: VersionNumber = Field(description="Version of that model.")
    mode: Mode = Field(description="Part that the model plays for the study.")
    finding: int = Field(
        ge=1, le=10_000, description="Number of the finding within the reading, from 1."
    )
    label: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 _.,()/+-]{1,64}$")] = Field(
        description="Label of the model's contract."
    )
    probability: _Share = Field(description="Probability of the finding, by the model.")
    threshold: _Share = Field(description="Probability that makes the finding positive.")
    positive: bool | None = Field(
        None,
        description="True if the threshold is reached; null where the model is not applicable.",
    )
    applicable: bool = Field(description="False where the model was not made for such a picture.")
    modality: Modality | None = Field(None, description="As in the events of stages.")
    body_part: BodyPart | None = Field(None, description="As in the events of stages.")
    view: View | None = Field(None, description="View Position (0018,5101), or OTHER.")
    age_band: AgeBand | None = Field(None, description="Band of Patient's Age (0010,1010).")
    sex: Sex | None = Field(None, description="Patient's Sex (0010,0040) of a DICOM file.")
    hour: int | None = Field(
        None, ge=0, le=23, description="Hour of the study's own time, in its own zone."
    )
    device: Hex32 | None = Field(
        None,
        description="Keyed hash of manufacturer, model, serial number and station of a DICOM file; "
        "null without a key that lasts.",
    )
    exposure_index: float | None = Field(
        None, ge=0, le=1e6, allow_inf_nan=False, description="Exposure Index (0018,1411)."
    )
    rows: int | None = Field(None, ge=1, le=2**31 - 1, description="Rows (0028,0010).")
    columns: int | None = Field(None, ge=1, le=2**31 - 1, description="Columns (0028,0011).")
    bits_stored: int = Field(ge=1, le=16, description="Bits Stored (0028,0101).")
    mean: _Share = Field(description="Mean of the model's input, from 0, black, to 1, white.")
    deviation: _Share = Field(description="Standard deviation of the model's input.")
    entropy: _Share = Field(description="Entropy of its grey levels, as a share of 6 bits.")
    saturation: _Share = Field(description="Share of its pixels that are black or white.")
    border: _Share = Field(description="Mean of its outer sixteenth at each side.")
    route: Kebab = Field(description="The way in that the study took.")
    gateway_version: GatewayVersion = Field(description="Version of RadStream.")
    instance: Instance = Field(description="Host name of the gateway.")
    trace_id: Hex32 | None = Field(None, description="As in the events of stages.")
    caller: CallerName | None = Field(None, description="As in the events of stages.")


Event = TelemetryEvent | ReadingEvent


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a record, as docs/schemas/telemetry-2.json has it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:radstream:schema:telemetry-2",
        **ReadingEvent.model_json_schema(mode="serialization"),
    }
