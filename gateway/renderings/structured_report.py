"""A study's results as a DICOM structured report (TID 1500, Imaging Measurement Report).

One report a study: a measurement group for each finding of each reading. Where the model shows
where its evidence is strongest, a point marks it for a positive finding; the group of a finding
that has a heat map refers to its Secondary Capture. The report is complete and unverified, in the
patient's own study, in a series of its own, and the same bytes whenever it is made of the same
readings.

References
----------
DICOM PS3.16: TID 1500, 1410, 1501, 4019, 1600; CID 29; (130401, DCM, "Visual explanation"). IHE
Radiology Technical Framework Supplement *AI Results* (AIR), 6.5.3: algorithm identification in the
content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from highdicom import sr
from pydicom.sr.codedict import codes

from gateway.renderings.equipment import MAKER, SOFTWARE, contributing_equipment, written
from gateway.renderings.heat_maps import heat_maps
from gateway.renderings.identifiers import derived_uid
from gateway.renderings.revisions import (
    REPORT_SERIES_DESCRIPTION,
    REPORT_SERIES_NUMBER,
    report_series,
)
from gateway.renderings.source_header import UNICODE, frame_numbers
from gateway.renderings.words import NOT_REVIEWED, WITHDRAWN, model_name, said_of
from gateway.results.view import applicability
from gateway.schemas.report_class import ReportClass
from gateway.vocabulary.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydicom.dataset import Dataset

    from gateway.renderings.heat_maps import HeatMap
    from gateway.renderings.revisions import Revision
    from gateway.results.documents import FrameReading, Reading
    from gateway.schemas.result import Code, Finding, ModelVersion

# PS3.16, 8.1: designators that begin with 99 are private. A label without a code has one of these.
_PRIVATE_SCHEME = "99RADSTREAM"
_SCHEMES = {
    "http://snomed.info/sct": "SCT",
    "http://loinc.org": "LN",
    "http://www.radlex.org": "RADLEX",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
}
_LONGEST_CODE, _LONGEST_MEANING = 16, 64
_VERDICT = sr.CodedConcept("363713009", "SCT", "Has interpretation")
_VERDICTS = {True: codes.SCT.Positive, False: codes.SCT.Negative}
_NOT_APPLICABLE = sr.CodedConcept("385432009", "SCT", "Not applicable")
_CLASSES = {
    ReportClass.COMPREHENSIVE_3D: sr.Comprehensive3DSR,
    ReportClass.COMPREHENSIVE: sr.ComprehensiveSR,
    ReportClass.ENHANCED: sr.EnhancedSR,
}


def structured_report(
    readings: Sequence[Reading], headers: Mapping[str, Dataset], revision: Revision
) -> bytes:
    """Return the report, a DICOM file in Explicit VR Little Endian.

    Parameters
    ----------
    readings
        Those of the study that stand, one at least, in order. Each has a finding, since each
        contract has a label.
    headers
        The header of each image, by its SHA-256; see `source_header`.
    revision
        State of the study that is reported.
    """
    images = list({header.SOPInstanceUID: header for header in headers.values()}.values())
    shown = () if revision.withdrawal else readings
    explanations = list(heat_maps(shown, headers, after=revision.after))
    first, completed_at = images[0], max(reading.completed_at for reading in readings)
    models = _models(readings)
    document = _CLASSES[revision.report_class](
        evidence=[*images, *(heat_map.reference() for heat_map in explanations)],
        content=_content(readings, headers, explanations, revision),
        series_instance_uid=report_series(first.StudyInstanceUID),
        series_number=REPORT_SERIES_NUMBER,
        series_description=REPORT_SERIES_DESCRIPTION,
        sop_instance_uid=revision.sop_instance_uid,
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=SOFTWARE,
        is_complete=True,
        specific_character_set=UNICODE,
        previous_versions=None if revision.predecessor is None else [revision.predecessor],
        content_date=completed_at.date(),
        content_time=completed_at.time(),
        contributing_equipment=contributing_equipment(models, completed_at),
    )
    return written(document, models, completed_at)


def _content(
    readings: Sequence[Reading],
    headers: Mapping[str, Dataset],
    explanations: Iterable[HeatMap],
    revision: Revision,
) -> sr.MeasurementReport:
    explained = {(id(each.reading), each.index, each.label): each for each in explanations}
    findings = [
        _FindingOfFrame(
            *(reading, index, frame, label, headers[reading.sha256]),
            explained.get((id(reading), index, label)),
        )
        for reading in readings
        for index, frame in enumerate(reading.frames)
        for label in range(len(frame.findings))
        if not revision.withdrawal
    ]
    # Validators take all groups of a report by one template: either all have a region or none has.
    marks = any(finding.peak() is not None for finding in findings)
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(
                observer_type=codes.DCM.Device,
                observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                    uid=derived_uid("Device", MAKER, SOFTWARE),
                    name=MAKER,
                    manufacturer_name=MAKER,
                    model_name=MAKER,
                ),
            )
        ),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=[finding.group(with_region=marks) for finding in findings]
        or [_no_finding(revision)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    said = [WITHDRAWN[revision.withdrawal]] if revision.withdrawal else []
    root = report[0].ContentSequence
    root.append(_image_library(headers.values()))
    disclaimers = dict.fromkeys(reading.disclaimer for reading in readings if reading.disclaimer)
    root.append(
        sr.TextContentItem(
            name=codes.DCM.Comment,
            value=" ".join((*said, NOT_REVIEWED, *disclaimers)),
            relationship_type=sr.RelationshipTypeValues.CONTAINS,
        )
    )
    return report


def _no_finding(revision: Revision) -> _Group:
    """Return the group of a report that withdraws another: the template demands one."""
    uid = derived_uid("withdrawal", revision.sop_instance_uid)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier="withdrawn"),
        qualitative_evaluations=[sr.QualitativeEvaluation(name=_VERDICT, value=_NOT_APPLICABLE)],
    )


_Group = (
    sr.PlanarROIMeasurementsAndQualitativeEvaluations | sr.MeasurementsAndQualitativeEvaluations
)


@dataclass(frozen=True, slots=True)
class _FindingOfFrame:
    """A finding, with the frame and the image that it is of."""

    reading: Reading
    index: int
    frame: FrameReading
    label: int
    header: Dataset
    heat_map: HeatMap | None

    @property
    def finding(self) -> Finding:
        return self.frame.findings[self.label]

    def peak(self) -> tuple[float, float] | None:
        """Return column and row of the strongest evidence, in pixels; None where nothing is marked.

        A negative finding has no mark, nor has one of a model that is not applicable.
        """
        activation = self.frame.activation_map
        if activation is None or self.finding.positive is not True:
            return None
        cells = np.frombuffer(activation.data, "<f2").reshape(activation.shape)[self.label]
        row, column = np.unravel_index(int(cells.argmax()), cells.shape)
        if cells[row, column] <= 0:
            return None
        top, left, bottom, right = activation.covers
        down = top + (row + 0.5) / cells.shape[0] * (bottom - top)
        across = left + (column + 0.5) / cells.shape[1] * (right - left)
        return (
            float(np.clip(across, 0, 1)) * self.frame.columns,
            float(np.clip(down, 0, 1)) * self.frame.rows,
        )

    def group(self, *, with_region: bool) -> _Group:
        """Return the measurement group, which refers to the heat map of the finding."""
        group = self._with_region() if with_region else self._without_region()
        group[0].ContentSequence.append(
            sr.TextContentItem(
                name=codes.DCM.Comment,
                value=said_of(self.finding, applicability(self.reading, self.frame)),
                relationship_type=sr.RelationshipTypeValues.CONTAINS,
            )
        )
        if self.heat_map is not None:
            reference = self.heat_map.reference()
            group[0].ContentSequence.append(
                sr.ImageContentItem(
                    name=codes.DCM.VisualExplanation,
                    referenced_sop_class_uid=reference.SOPClassUID,
                    referenced_sop_instance_uid=reference.SOPInstanceUID,
                    relationship_type=sr.RelationshipTypeValues.CONTAINS,
                )
            )
        return group

    def _with_region(self) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
        """Return the group by TID 1410: of the peak, else of the whole picture."""
        peak = self.peak()
        rows, columns = self.frame.rows, self.frame.columns
        outline = [(0, 0), (columns, 0), (columns, rows), (0, rows), (0, 0)]
        kind = sr.GraphicTypeValues.POLYLINE if peak is None else sr.GraphicTypeValues.POINT
        region = sr.ImageRegion(
            graphic_type=kind,
            graphic_data=np.array(outline if peak is None else [peak], dtype=float),
            source_image=sr.SourceImageForRegion(
                self.header.SOPClassUID,
                self.header.SOPInstanceUID,
                frame_numbers(self.header, self.index),
            ),
        )
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking(),
            referenced_region=region,
            finding_type=self._code(),
            algorithm_id=self._algorithm(),
            measurements=self._measurements(),
            qualitative_evaluations=self._evaluations(),
        )

    def _without_region(self) -> sr.MeasurementsAndQualitativeEvaluations:
        """Return the group by TID 1501."""
        return sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking(),
            source_images=[
                sr.SourceImageForMeasurementGroup(
                    self.header.SOPClassUID,
                    self.header.SOPInstanceUID,
                    frame_numbers(self.header, self.index),
                )
            ],
            finding_type=self._code(),
            algorithm_id=self._algorithm(),
            measurements=self._measurements(),
            qualitative_evaluations=self._evaluations(),
        )

    def _tracking(self) -> sr.TrackingIdentifier:
        model, label = model_name(self.reading.model), self.finding.label
        said = statement(label, self.finding.positive)
        image = self.reading.number + self.index
        return sr.TrackingIdentifier(
            uid=derived_uid("finding", self.reading.sha256, str(self.index), model, label),
            identifier=f"{said}, image {image}, {model}",
        )

    def _code(self) -> sr.CodedConcept:
        return _concept(self.finding.code, self.finding.label)

    def _algorithm(self) -> sr.AlgorithmIdentification:
        model = self.reading.model
        return sr.AlgorithmIdentification(name=model.name, version=model.version)

    def _measurements(self) -> list[sr.Measurement]:
        finding = self.finding
        values = (
            (codes.DCM.CertaintyOfFinding, finding.probability),
            (codes.DCM.ThresholdValue, finding.threshold),
        )
        return [
            sr.Measurement(name=name, value=round(value * 100, 4), unit=codes.UCUM.Percent)
            for name, value in values
        ]

    def _evaluations(self) -> list[sr.QualitativeEvaluation]:
        positive = self.finding.positive
        verdict = _NOT_APPLICABLE if positive is None else _VERDICTS[positive]
        return [sr.QualitativeEvaluation(name=_VERDICT, value=verdict)]


def _image_library(headers: Iterable[Dataset]) -> sr.ContainerContentItem:
    """Return the image library (TID 1600), by hand.

    highdicom's own demands orientation and spacing, which many originals lack.
    """
    contains = sr.RelationshipTypeValues.CONTAINS
    library = sr.ContainerContentItem(name=codes.DCM.ImageLibrary, relationship_type=contains)
    group = sr.ContainerContentItem(name=codes.DCM.ImageLibraryGroup, relationship_type=contains)
    library.ContentSequence = sr.ContentSequence([group])
    group.ContentSequence = sr.ContentSequence([_library_entry(header) for header in headers])
    return library


def _library_entry(header: Dataset) -> sr.ImageContentItem:
    entry = sr.ImageContentItem(
        name=codes.DCM.SourceOfMeasurement,
        referenced_sop_class_uid=header.SOPClassUID,
        referenced_sop_instance_uid=header.SOPInstanceUID,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )
    modality = _MODALITIES.get(header.Modality)
    if modality is not None:
        entry.ContentSequence = sr.ContentSequence(
            [
                sr.CodeContentItem(
                    name=codes.DCM.Modality,
                    value=modality,
                    relationship_type=sr.RelationshipTypeValues.HAS_ACQ_CONTEXT,
                )
            ]
        )
    return entry


_MODALITIES = {
    code.value: code for code in (getattr(codes.cid29, name) for name in codes.cid29.dir())
}


def _concept(code: Code | None, label: str) -> sr.CodedConcept:
    scheme = None if code is None else _SCHEMES.get(code.system)
    if code is None or scheme is None or len(code.code) > _LONGEST_CODE:
        return sr.CodedConcept(label[:_LONGEST_CODE], _PRIVATE_SCHEME, label[:_LONGEST_MEANING])
    return sr.CodedConcept(code.code, scheme, code.display[:_LONGEST_MEANING])


def _models(readings: Sequence[Reading]) -> list[ModelVersion]:
    return list({model_name(reading.model): reading.model for reading in readings}.values())
