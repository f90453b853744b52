"""Heat maps of a study, as its reports refer to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from gateway.pictures.pictures import finding_of
from gateway.renderings.identifiers import derived_uid
from gateway.renderings.words import model_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.results.documents import FrameReading, Reading
    from gateway.schemas.result import Finding

HEAT_MAP_SERIES_NUMBER = 991
HEAT_MAP_MODALITY = "OT"
_LONGEST_DESCRIPTION = 64  # of a long string (LO), PS3.5, 6.2


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The heat map of a finding in a frame of an image.

    Parameters
    ----------
    reading, index
        The reading, and the frame's index in it, counted from 0.
    label
        Index of the finding.
    header
        Of the image; see `source_header`.
    after
        Changes of the study before it; see `changes_before`.
    """

    reading: Reading
    index: int
    label: int
    header: Dataset
    after: tuple[str, ...] = ()

    @property
    def frame(self) -> FrameReading:
        """Return the frame's reading."""
        return self.reading.frames[self.index]

    @property
    def finding(self) -> Finding:
        """Return the finding that is explained."""
        return self.frame.findings[self.label]

    @property
    def series_description(self) -> str:
        """Return the description of the series that it is in, with the others of its model."""
        description = f"Heat maps of {model_name(self.reading.model)}, not reviewed"
        return description[:_LONGEST_DESCRIPTION]

    @property
    def instance_number(self) -> int:
        """Return its number in its series."""
        return max(1, self.reading.number + self.index)

    def reference(self) -> Dataset:
        """Return the identifiers of its Secondary Capture, as evidence of a report has them."""
        study, model = str(self.header.StudyInstanceUID), model_name(self.reading.model)
        reference = Dataset()
        reference.StudyInstanceUID = study
        reference.SeriesInstanceUID = derived_uid("heat maps", study, model, *self.after)
        reference.SOPInstanceUID = derived_uid(
            *("heat map", study, self.reading.sha256, str(self.index)),
            *(model, self.finding.label, *self.after),
        )
        reference.SOPClassUID = SecondaryCaptureImageStorage
        reference.Modality = HEAT_MAP_MODALITY
        return reference


def heat_maps(
    readings: Iterable[Reading], headers: Mapping[str, Dataset], *, after: tuple[str, ...] = ()
) -> Iterator[HeatMap]:
    """Yield the heat map of the most probable finding of each frame that has one.

    A model that is not applicable to an image explains nothing in it.

    Parameters
    ----------
    headers
        The header of each image, by its SHA-256.
    after
        Changes of the study before; see `changes_before`.
    """
    for reading in readings:
        for index, frame in enumerate(reading.frames):
            if frame.activation_map is None:
                continue
            label = finding_of(frame, None)
            if frame.findings[label].positive is not None:
                yield HeatMap(reading, index, label, headers[reading.sha256], after)
