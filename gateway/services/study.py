"""The one value that every way in makes, and the pipeline takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from gateway.schemas.metadata import StudyMetadata


class Route(StrEnum):
    """How a study came in."""

    REST = "rest"


@dataclass(frozen=True, slots=True)
class SubmittedImage:
    """An image as it was sent.

    Parameters
    ----------
    part
        What the sender knows it by: the name of the part, with its index.
    data
        The file's bytes.
    """

    part: str
    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Study:
    """Valid metadata and the images sent with them."""

    metadata: StudyMetadata
    images: tuple[SubmittedImage, ...]
    route: Route
    received_at: dt.datetime
