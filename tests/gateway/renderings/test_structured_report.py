"""The report, held to two validators, and to what both of them let through."""

import base64
import io
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
)

from gateway.renderings.heat_maps import heat_maps
from gateway.renderings.identifiers import changes_before
from gateway.renderings.revisions import Revision, present
from gateway.renderings.secondary_capture import secondary_capture
from gateway.renderings.source_header import source_header
from gateway.renderings.structured_report import structured_report
from gateway.renderings.words import Withdrawal
from gateway.results.documents import Reading, StudyRecord
from gateway.schemas.report_class import ReportClass
from tests.support.dicom import radiograph
from tests.support.dicom_validators import dciodvfy, pixelmed
from tests.support.gateway import ROOT
from tests.support.readings import PNEUMONIA, frame, reading
from tests.support.rendered_studies import OTHER_CLASSES, RenderedStudy, faults, studies
from tests.support.tools import tool

# pydicom and highdicom warn of what senders write; in the gateway that is an event without words.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

ORIGINAL = radiograph(StudyInstanceUID="1.2.3", PatientID="P-7", PatientName="Müller^Änne")
FRAMES = radiograph(SOPClassUID=XRayAngiographicImageStorage, Modality="XA")
SECOND = radiograph(StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.2", Modality="CR")
NOT_APPLICABLE = frame(0.9, findings=({**frame().findings[0].model_dump(), "positive": None},))
CASES = {
    "marked": [reading()],
    "negative": [reading(1, frame(0.1))],
    "marked beside negative": [reading(), reading(2, frame(0.1))],
    "two models, one not applicable": [
        reading(),
        reading(1, NOT_APPLICABLE, model={"name": "other", "version": "7"}),
    ],
    "two frames, one without a code": [
        reading(1, frame(), frame(findings=({**frame().findings[0].model_dump(), "code": None},)))
    ],
}


def rendered(readings: list[Reading], *originals: Dataset) -> bytes:
    headers = {}
    for item, original in zip(
        {item.sha256: item for item in readings},
        originals or ((FRAMES,) if len(readings[0].frames) > 1 else (ORIGINAL, SECOND)),
        strict=False,
    ):
        header = source_header(original)
        assert header is not None
        headers[item] = header
    study = str(next(iter(headers.values())).StudyInstanceUID)
    return structured_report(readings, headers, present(StudyRecord.begun("S1"), study, readings))


def read(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(data))


def items(node: Dataset, meaning: str) -> list[Dataset]:
    """All content items below a node whose concept has this meaning."""
    found = []
    for item in node.get("ContentSequence", ()):
        if item.ConceptNameCodeSequence[0].CodeMeaning == meaning:
            found.append(item)
        found += items(item, meaning)
    return found


@pytest.fixture(params=CASES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "report.dcm"
    path.write_bytes(rendered(CASES[request.param]))
    return path


@pytest.mark.server
def test_the_validator_finds_no_error(file: Path):
    assert dciodvfy(file) == []


@pytest.mark.server
@pytest.mark.parametrize(
    "case", ["marked beside negative", "negative", "two models, one not applicable"]
)
def test_the_slow_validator_finds_no_error(case: str, tmp_path: Path):
    path = tmp_path / "report.dcm"
    path.write_bytes(rendered(CASES[case]))
    assert pixelmed(path) == []


@pytest.mark.server
def test_other_programs_read_it(file: Path):
    subprocess.run([tool("dsrdump"), "-Ec", str(file)], check=True, capture_output=True)
    report = highdicom.sr.srread(file)
    groups = report.content.get_image_measurement_groups()
    groups += report.content.get_planar_roi_measurement_groups()
    assert len(groups) == len(items(read(file.read_bytes()), "Measurement Group"))


def test_a_positive_finding_has_code_numbers_verdict_algorithm_and_mark():
    report = read(rendered([reading()]))
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    [group] = items(report, "Measurement Group")
    [code] = items(group, "Finding")
    assert code.ConceptCodeSequence[0].CodeValue == PNEUMONIA["code"]
    assert code.ConceptCodeSequence[0].CodingSchemeDesignator == "SCT"
    numbers = {
        meaning: items(group, meaning)[0].MeasuredValueSequence[0].NumericValue
        for meaning in ("Certainty of Finding", "Threshold Value")
    }
    assert numbers == {"Certainty of Finding": 90, "Threshold Value": 86}
    [verdict] = items(group, "Has interpretation")
    assert verdict.ConceptCodeSequence[0].CodeMeaning == "Positive"
    for meaning, value in (("Algorithm Name", "cxr"), ("Algorithm Version", "1")):
        [item] = items(group, meaning)
        assert (item.TextValue, item.RelationshipType) == (value, "HAS CONCEPT MOD")
    [region] = items(group, "Image Region")
    assert region.GraphicType == "POINT"
    assert list(region.GraphicData) == [210, 35]  # the middle of column 10 and row 3 of 14
    [image] = region.ContentSequence
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == ORIGINAL.SOPInstanceUID
    assert items(report, "Tracking Identifier")[0].TextValue == (
        "Suggests pneumonia, image 1, cxr 1"
    )
    assert len(items(report, "Tracking Unique Identifier")) == 1
    assert [item.TextValue for item in items(group, "Comment")] == ["Suggests pneumonia."]
    assert items(report, "Comment")[-1].TextValue == (
        "Made by a machine. Not reviewed by a physician. Not for clinical use."
    )


# What validators let pass where it is missing or hangs by another relationship.
EXPECTED = {
    ("HAS OBS CONTEXT", "TEXT", "Tracking Identifier"): 1,
    ("HAS OBS CONTEXT", "UIDREF", "Tracking Unique Identifier"): 1,
    ("HAS CONCEPT MOD", "TEXT", "Algorithm Name"): 1,
    ("HAS CONCEPT MOD", "TEXT", "Algorithm Version"): 1,
    ("CONTAINS", "TEXT", "Comment"): 1,
    ("CONTAINS", "CODE", "Finding"): 1,
    ("CONTAINS", "NUM", "Certainty of Finding"): 1,
    ("CONTAINS", "NUM", "Threshold Value"): 1,
    ("CONTAINS", "CODE", "Has interpretation"): 1,
}


@pytest.mark.parametrize("case", CASES)
def test_each_group_has_all_that_it_is_to_have(case: str):
    report = read(rendered(CASES[case]))
    groups = items(report, "Measurement Group")
    findings = [
        (f"{reading.model.name} {reading.model.version}", found.label, index)
        for reading in CASES[case]
        for index, each in enumerate(reading.frames)
        for found in each.findings
    ]
    assert len(groups) == len(findings)
    uids = [items(group, "Tracking Unique Identifier")[0].UID for group in groups]
    assert len(set(uids)) == len(uids)
    for group, (model, label, _) in zip(groups, findings, strict=True):
        has = Counter(
            (item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence[0].CodeMeaning)
            for item in group.ContentSequence
        )
        assert {key: has[key] for key in EXPECTED} == EXPECTED
        assert set(has) - set(EXPECTED) <= {
            ("CONTAINS", "SCOORD", "Image Region"),
            ("CONTAINS", "IMAGE", "Source of Measurement"),
            ("CONTAINS", "IMAGE", "Visual explanation"),
        }
        name, version = (
            items(group, f"Algorithm {what}")[0].TextValue for what in ("Name", "Version")
        )
        assert f"{name} {version}" == model
        said = items(group, "Tracking Identifier")[0].TextValue
        assert f" {label}, image " in said
        assert said.endswith(model)


def test_nothing_is_marked_where_nothing_is_positive():
    assert items(read(rendered(CASES["negative"])), "Image Region") == []


def test_a_finding_of_a_model_that_is_not_applicable_has_no_verdict_and_no_mark():
    report = read(rendered([reading(1, NOT_APPLICABLE)]))
    [verdict] = items(report, "Has interpretation")
    assert verdict.ConceptCodeSequence[0].CodeMeaning == "Not applicable"
    assert items(report, "Image Region") == []


def test_a_doubt_is_told_with_the_finding():
    report = read(rendered([reading(1, doubts=("was made for adults",))]))
    said = [item.TextValue for item in items(report, "Comment")]
    assert "Suggests pneumonia. Doubtful: the model was made for adults." in said


def test_it_lies_in_the_patients_study_in_a_series_of_its_own():
    report = read(rendered([reading()]))
    assert report.StudyInstanceUID == "1.2.3"
    assert report.SeriesInstanceUID != ORIGINAL.SeriesInstanceUID
    assert (report.PatientID, str(report.PatientName)) == ("P-7", "Müller^Änne")
    [study] = report.CurrentRequestedProcedureEvidenceSequence
    series, heat_maps = study.ReferencedSeriesSequence
    [image] = series.ReferencedSOPSequence
    assert image.ReferencedSOPInstanceUID == ORIGINAL.SOPInstanceUID
    [capture] = heat_maps.ReferencedSOPSequence
    assert capture.ReferencedSOPClassUID == SecondaryCaptureImageStorage
    [entry] = items(items(report, "Image Library Group")[0], "Source of Measurement")
    assert entry.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == ORIGINAL.SOPInstanceUID


def test_the_finding_that_a_heat_map_is_of_refers_to_its_capture():
    lesser = {**frame(0.1).findings[0].model_dump(), "label": "effusion", "code": None}
    cells = np.ones((2, 14, 14), "<f2").tobytes()
    two = frame(
        findings=(lesser, frame().findings[0]),
        activation_map={"shape": (2, 14, 14), "data": base64.b64encode(cells)},
    )
    made = reading(1, two)
    report = read(rendered([made]))
    first, second = items(report, "Measurement Group")
    assert items(first, "Visual explanation") == []
    [explanation] = items(second, "Visual explanation")
    code = explanation.ConceptNameCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("130401", "DCM")
    assert (explanation.ValueType, explanation.RelationshipType) == ("IMAGE", "CONTAINS")
    [image] = explanation.ReferencedSOPSequence
    header = source_header(ORIGINAL)
    assert header is not None
    [heat_map] = heat_maps([made], {made.sha256: header})
    capture = read(secondary_capture(heat_map, np.zeros((4, 320, 3), np.uint8)))
    assert image.ReferencedSOPClassUID == capture.SOPClassUID
    assert image.ReferencedSOPInstanceUID == capture.SOPInstanceUID
    evidence = {
        (study.StudyInstanceUID, series.SeriesInstanceUID, item.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert (capture.StudyInstanceUID, capture.SeriesInstanceUID, capture.SOPInstanceUID) in evidence
    assert len(evidence) == 2


def test_nothing_refers_to_a_capture_of_a_model_that_is_not_applicable():
    report = read(rendered([reading(1, NOT_APPLICABLE)]))
    assert items(report, "Visual explanation") == []


def replaced(withdrawal: Withdrawal | None) -> bytes:
    """A report that replaces another one."""
    made, header = reading(), source_header(ORIGINAL)
    assert header is not None
    predecessor = Dataset()
    predecessor.StudyInstanceUID, predecessor.SeriesInstanceUID = "1.2.3", "1.2.3.9"
    predecessor.SOPInstanceUID = "1.2.3.9.1"
    predecessor.SOPClassUID = Comprehensive3DSRStorage
    revision = Revision("1.2.3.9.2", {}, changes_before(1), withdrawal, predecessor)
    return structured_report([made], {made.sha256: header}, revision)


@pytest.mark.server
@pytest.mark.parametrize("withdrawal", [None, *Withdrawal])
def test_a_successor_names_its_predecessor(tmp_path: Path, withdrawal: Withdrawal | None):
    path = tmp_path / "report.dcm"
    path.write_bytes(replaced(withdrawal))
    assert dciodvfy(path) == []
    subprocess.run([tool("dsrdump"), "-Ec", str(path)], check=True, capture_output=True)
    highdicom.sr.srread(path)
    [study] = read(path.read_bytes()).PredecessorDocumentsSequence
    [series] = study.ReferencedSeriesSequence
    [document] = series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == ("1.2.3", "1.2.3.9")
    assert document.ReferencedSOPInstanceUID == "1.2.3.9.1"


@pytest.mark.server
def test_a_withdrawal_has_no_findings(tmp_path: Path):
    path = tmp_path / "report.dcm"
    path.write_bytes(replaced(Withdrawal.WRONG_PATIENT))
    assert pixelmed(path) == []
    report = read(path.read_bytes())
    for meaning in ("Finding", "Certainty of Finding", "Image Region", "Visual explanation"):
        assert items(report, meaning) == []
    [verdict] = items(report, "Has interpretation")
    assert verdict.ConceptCodeSequence[0].CodeMeaning == "Not applicable"
    assert items(report, "Comment")[0].TextValue.startswith("Withdrawn: ")
    assert replaced(Withdrawal.WRONG_PATIENT) == path.read_bytes()


def test_the_device_changes_with_the_models_version_alone():
    def device(version: str, number: int) -> Any:
        made = reading(number, model={"name": "cxr", "version": version})
        return read(rendered([made])).ContributingEquipmentSequence[0]

    first, same, other = device("1", 1), device("1", 2), device("2", 1)
    assert (first.ManufacturerModelName, first.SoftwareVersions) == ("cxr", "1")
    assert first.DeviceUID == same.DeviceUID
    assert first.DeviceUID != other.DeviceUID


def test_a_repeat_is_the_same_bytes_and_another_reading_another_object():
    once = rendered([reading()])
    assert once == rendered([reading()])
    later = read(rendered([reading(), reading(2)]))
    assert later.SOPInstanceUID != read(once).SOPInstanceUID
    assert later.SeriesInstanceUID == read(once).SeriesInstanceUID


@pytest.mark.server
@settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(study=studies())
def test_studies_of_any_kind_make_valid_objects(tmp_path: Path, study: RenderedStudy):
    """The fixed first of what `python -m bench.renderings` makes more of."""
    assert faults(study, tmp_path) == []


@pytest.mark.server
@pytest.mark.parametrize(
    "sample", sorted((ROOT / "tests/data/images").glob("*.dcm")), ids=lambda path: path.stem
)
def test_originals_of_real_modalities_make_a_valid_report(sample: Path, tmp_path: Path):
    path = tmp_path / "report.dcm"
    path.write_bytes(rendered([reading()], dcmread(sample, stop_before_pixels=True, force=True)))
    assert dciodvfy(path) == []


# PS3.3, table A.35.2-2: value types that an Enhanced SR may have.
ENHANCED_TYPES = {
    *("CONTAINER", "TEXT", "CODE", "NUM", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"),
    *("COMPOSITE", "IMAGE", "WAVEFORM", "SCOORD", "TCOORD"),
}


@pytest.mark.server
@pytest.mark.parametrize(("iod", "report_class"), OTHER_CLASSES.items())
@pytest.mark.parametrize("kind", ["mark", "no mark", "withdrawn"])
def test_a_report_of_another_class_is_valid_and_another_object(
    tmp_path: Path, iod: str, report_class: ReportClass, kind: str
):
    path, header = tmp_path / "report.dcm", source_header(ORIGINAL)
    assert header is not None
    made = reading(1, NOT_APPLICABLE) if kind == "no mark" else reading()
    record = StudyRecord.begun("S1")
    first = present(record, header.StudyInstanceUID, [made])
    revision = present(record, header.StudyInstanceUID, [made], report_class=report_class)
    if kind == "withdrawn":
        revision = replace(revision, withdrawal=Withdrawal.DELETED)
    path.write_bytes(structured_report([made], {made.sha256: header}, revision))
    assert dciodvfy(path, iod) == []
    assert pixelmed(path) == []
    report = read(path.read_bytes())
    assert report.SOPClassUID == report_class.sop_class_uid
    assert report.SOPInstanceUID != first.sop_instance_uid
    content = list(report.ContentSequence)
    types = set()
    while content:
        item = content.pop()
        types.add(item.ValueType)
        assert "ReferencedContentItemIdentifier" not in item
        content += item.get("ContentSequence", ())
    assert types <= ENHANCED_TYPES
    assert highdicom.sr.srread(path).SOPClassUID == report_class.sop_class_uid
