"""Report and heat maps of a study as DICOM objects, known by its document: none is rendered.

Their UIDs are derived from the readings, so that a list of them is made of the document alone,
whichever gateway made or sent them, and however often. A study has them once it is complete: what
is made of it while images arrive would be replaced with each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from gateway.renderings.heat_maps import HEAT_MAP_MODALITY, HEAT_MAP_SERIES_NUMBER, heat_maps
from gateway.renderings.identifiers import changes_before
from gateway.renderings.revisions import (
    REPORT_MODALITY,
    REPORT_SERIES_DESCRIPTION,
    REPORT_SERIES_NUMBER,
    newest,
    present,
    report_series,
)
from gateway.results.completion import is_open
from gateway.retrieval.originals import instance_path, original_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.renderings.heat_maps import HeatMap
    from gateway.results.documents import Reading, StudyRecord
    from gateway.retrieval.originals import Original

RESULT_MODALITIES = frozenset({REPORT_MODALITY, HEAT_MAP_MODALITY})
"""Modality (0008,0060) of reports and of heat maps."""


@dataclass(frozen=True, slots=True)
class ResultObject:
    """A report or a heat map that is rendered when it is retrieved.

    Parameters
    ----------
    original
        The image whose header it takes patient and study from.
    identity
        Of the study.
    attributes
        Its UIDs, and what a search tells of its series and of itself.
    heat_map
        The heat map that it is of; None of the report. Its header has the UIDs alone.
    """

    original: Original
    identity: Mapping[str, str | None]
    attributes: Dataset
    heat_map: HeatMap | None = None

    @property
    def study_id(self) -> str:
        """Return the id of its study."""
        return self.original.study_id

    @property
    def study_instance_uid(self) -> str:
        """Return the UID of the patient's study."""
        return str(self.attributes.StudyInstanceUID)

    @property
    def series_instance_uid(self) -> str:
        """Return the UID of its series."""
        return str(self.attributes.SeriesInstanceUID)

    @property
    def sop_instance_uid(self) -> str:
        """Return its own UID."""
        return str(self.attributes.SOPInstanceUID)

    @property
    def path(self) -> str:
        """Return the path that it is retrieved at."""
        return instance_path(
            self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid
        )

    @property
    def frame_count(self) -> int:
        """Return the number of its frames; a report has none."""
        return 0 if self.heat_map is None else 1


def result_objects(
    record: StudyRecord, readings: Sequence[Reading], *, deletions: int
) -> list[ResultObject]:
    """Return the report of a study and the heat maps that it refers to, as they are now.

    Parameters
    ----------
    readings
        Those of the study that stand; see `superseded`.
    deletions
        Number of its deletions on request before.

    Returns
    -------
    list of ResultObject
        Empty where the study is not complete, or its results are held back, or no image of it is in
        a patient's study.
    """
    found = filter(None, map(original_of, readings))
    originals = {original.reading.sha256: original for original in found}
    held = record.completion is not None and record.completion.held
    if not originals or is_open(record) or record.pending or held:
        return []
    return list(_made(record, readings, originals, deletions))


def _made(
    record: StudyRecord,
    readings: Sequence[Reading],
    originals: Mapping[str, Original],
    deletions: int,
) -> Iterator[ResultObject]:
    headers = {sha256: _header(original) for sha256, original in originals.items()}
    reported = newest(readings, headers)
    study = str(next(iter(headers.values())).StudyInstanceUID)
    report = Dataset()
    report.StudyInstanceUID = study
    report.SeriesInstanceUID = report_series(study)
    report.SOPInstanceUID = present(record, study, reported, deletions=deletions).sop_instance_uid
    report.SOPClassUID = Comprehensive3DSRStorage
    report.Modality = REPORT_MODALITY
    report.SeriesNumber, report.SeriesDescription = REPORT_SERIES_NUMBER, REPORT_SERIES_DESCRIPTION
    report.InstanceNumber = 1
    yield ResultObject(originals[reported[-1].sha256], record.identity, report)
    after = changes_before(len(record.former), deletions)
    for heat_map in heat_maps(reported, headers, after=after):
        capture = heat_map.reference()
        capture.SeriesNumber = HEAT_MAP_SERIES_NUMBER
        capture.SeriesDescription = heat_map.series_description
        capture.InstanceNumber = heat_map.instance_number
        yield ResultObject(originals[heat_map.reading.sha256], record.identity, capture, heat_map)


def _header(original: Original) -> Dataset:
    """Return the identifiers of an image: all that the UIDs of results are derived from."""
    header = Dataset()
    header.StudyInstanceUID = original.study_instance_uid
    header.SOPInstanceUID = original.sop_instance_uid
    return header
