"""The `radstream_placement` parameter, which marks what `radstream models build` writes."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PARAMETER = "radstream_placement"


class Role(StrEnum):
    """A part in running a model's preprocessing inside Triton."""

    GRAPH = "graph"  # pixels in, the model's tensor out
    ENSEMBLE = "ensemble"  # the graph, then the model


class PlacementDocument(BaseModel):
    """The model version that a graph or an ensemble was made for, and the inputs that it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: Literal["radstream.placement/1"] = Field("radstream.placement/1", alias="schema")
    role: Role
    model: str
    version: str
    datatype: Literal["UINT8", "UINT16"]
    pixels: str = "pixels"
    largest: str = "largest"
