"""Studies of made-up headers and readings, and the faults that others find in their objects.

The headers have what real ones have: character sets, dates that are none, sides and orientations
that no standard knows.
"""

import base64
import hashlib
import io
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import highdicom
import numpy as np
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation, XRayAngiographicImageStorage

from gateway.renderings.heat_maps import heat_maps
from gateway.renderings.rejection_note import rejection_note
from gateway.renderings.rejections import Rejection
from gateway.renderings.revisions import present
from gateway.renderings.secondary_capture import secondary_capture
from gateway.renderings.source_header import source_header
from gateway.renderings.structured_report import structured_report
from gateway.renderings.words import Withdrawal
from gateway.results.documents import FrameReading, Reading, StudyRecord
from gateway.results.withdrawn_study import CaptureReference
from gateway.schemas.report_class import ReportClass
from tests.support.dicom import file_of, radiograph
from tests.support.dicom_validators import dciodvfy, pixelmed
from tests.support.readings import NOON, PNEUMONIA, frame, reading
from tests.support.tools import tool

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

OTHER_CLASSES = {
    "ComprehensiveSR": ReportClass.COMPREHENSIVE,
    "EnhancedSR": ReportClass.ENHANCED,
}
"""Classes of reports that a destination may ask for, by the validator's names of their IODs."""

# A validator counts bytes where the standard counts characters: texts are short in both.
_LETTERS = {
    "ISO_IR 192": st.characters(
        codec="utf-8",
        max_codepoint=0xFFFF,
        exclude_categories=["Cc", "Cs"],
        exclude_characters="\\=^",
    ),
    "GB18030": st.sampled_from("王小东李晓明ABC"),
    "ISO_IR 100": st.sampled_from("ÄÖÜßéàñ ABC"),
    "ISO_IR 144": st.sampled_from("ЖЩЮЯДЛABC"),
    "\\ISO 2022 IR 87": st.sampled_from("山田太郎ABC"),
    "\\ISO 2022 IR 149": st.sampled_from("홍길동ABC"),
}
_ODD: dict[str, list[object]] = {
    "PatientBirthDate": ["", "1960", "19600229", "20010231", "29.02.1960"],
    "PatientSex": ["", "F", "female"],
    "StudyDate": ["", "20260131", "20261301"],
    "StudyTime": ["", "081500.25", "235960", "8:15"],
    "AccessionNumber": ["", "A-1", "A\n1", "A" * 17],
    "PatientID": ["P-7", "P\t7", ""],
    "PatientOrientation": [["L", "F"], ["X", "Y"], "L", ["", ""]],
    "Laterality": ["R", "rechts", ""],
    "ImageLaterality": ["L", "?"],
    "Modality": ["DX", "CR", "MG", "OT", "XX", ""],
    "BodyPartExamined": ["CHEST", "HAND", "Thorax ap"],
    "LossyImageCompression": ["00", "01"],
}


@dataclass(frozen=True)
class RenderedStudy:
    """Images as they were sent, and readings of them.

    Attributes
    ----------
    originals
        By the SHA-256 that the readings have of them.
    """

    originals: dict[str, bytes]
    readings: list[Reading]


def sample_study(sample: Path) -> RenderedStudy:
    """The study of a DICOM file, with a finding that is marked and one that is not."""
    data = sample.read_bytes()
    header = dcmread(io.BytesIO(data), stop_before_pixels=True, force=True)
    size = {"rows": header.Rows, "columns": header.Columns}
    sha256 = hashlib.sha256(data).hexdigest()
    readings = [
        reading(
            1, frame(probability, **size), sha256=sha256, model={"name": "cxr", "version": name}
        )
        for name, probability in (("1", 0.9), ("2", 0.1))
    ]
    return RenderedStudy({sha256: data}, readings)


@st.composite
def studies(draw: st.DrawFn) -> RenderedStudy:
    """A study of one or two images, each read by one or two models."""
    frames = draw(st.integers(1, 2))
    kind = XRayAngiographicImageStorage if frames > 1 else DigitalXRayImageStorageForPresentation
    readings, originals = [], {}
    for number in range(1, draw(st.integers(1, 2)) + 1):
        for model in range(draw(st.integers(1, 2))):
            made = [draw(_frames()) for _ in range(frames)]
            readings.append(reading(number, *made, model={"name": "cxr", "version": str(model)}))
        originals[readings[-1].sha256] = draw(_originals(str(kind)))
    return RenderedStudy(originals, readings)


@st.composite
def _originals(draw: st.DrawFn, kind: str) -> bytes:
    charset = draw(st.sampled_from(sorted(_LETTERS)))
    name = draw(st.text(_LETTERS[charset], max_size=20))
    odd = {
        keyword: value
        for keyword, values in _ODD.items()
        if (value := draw(st.sampled_from([None, *values]))) is not None
    }
    named = {"SpecificCharacterSet": charset.split("\\"), "PatientName": name}
    with warnings.catch_warnings(action="ignore"):
        original = radiograph(SOPClassUID=kind, StudyInstanceUID="1.2.3", **named, **odd)
        return file_of(original)


@st.composite
def _frames(draw: st.DrawFn) -> FrameReading:
    labels = st.text(_LETTERS["ISO_IR 192"], min_size=1, max_size=5).filter(str.strip)
    names = draw(st.lists(labels, min_size=1, max_size=3, unique=True))
    verdict = draw(st.sampled_from([None, True]))
    findings = []
    for label in names:
        probability = draw(st.floats(0, 1))
        finding: dict[str, Any] = {"label": label, "probability": probability, "threshold": 0.5}
        finding["positive"] = verdict and probability >= finding["threshold"]
        finding["code"] = draw(st.sampled_from([None, PNEUMONIA]))
        findings.append(finding)
    cells = draw(st.sampled_from([None, -1.0, 0.0, 1.0]))
    shape = (len(names), 4, 4)
    evidence = None
    if cells is not None:
        data = np.full(shape, cells, "<f2").tobytes()
        evidence = {"shape": shape, "data": base64.b64encode(data)}
    return frame(findings=tuple(findings), activation_map=evidence)


def rendered(study: RenderedStudy) -> Iterator[tuple[str, bytes]]:
    """Yield the objects of a study, each with the name of its IOD."""
    headers: dict[str, Dataset] = {}
    for sha256, data in study.originals.items():
        header = source_header(dcmread(io.BytesIO(data), stop_before_pixels=True, force=True))
        assert header is not None
        headers[sha256] = header
    *_, header = headers.values()
    revision = present(StudyRecord.begun("S1"), header.StudyInstanceUID, study.readings)
    yield "Comprehensive3DSR", structured_report(study.readings, headers, revision)
    for iod, report_class in OTHER_CLASSES.items():
        other = replace(revision, report_class=report_class)
        yield iod, structured_report(study.readings, headers, other)
    shown = [*heat_maps(study.readings, headers)]
    for heat_map in shown:
        yield "SCImage", secondary_capture(heat_map, np.zeros((8, 320, 3), np.uint8))
    references = (heat_map.reference() for heat_map in shown)
    captures = tuple(
        CaptureReference(
            series_instance_uid=reference.SeriesInstanceUID,
            sop_instance_uid=reference.SOPInstanceUID,
            corrections=0,
        )
        for reference in references
    )
    rejection = Rejection({}, Withdrawal.DELETED, (revision.sop_instance_uid,), captures)
    yield "KeyObjectSelectionDocument", rejection_note(rejection, header, NOON)


def faults(study: RenderedStudy, folder: Path, *, slowly: bool = False) -> list[str]:
    """Return what dciodvfy, dsrdump and highdicom find wrong in the objects of a study.

    Parameters
    ----------
    slowly
        True to ask PixelMed's validator as well, which takes seconds for each report.
    """
    found, path = [], folder / "object.dcm"
    with warnings.catch_warnings(action="ignore"):
        for iod, data in rendered(study):
            path.write_bytes(data)
            found += dciodvfy(path, iod)
            if iod.endswith("SR"):
                found += _unreadable(path)
                found += pixelmed(path) if slowly and iod == "Comprehensive3DSR" else []
    return found


def _unreadable(path: Path) -> list[str]:
    dumped = subprocess.run([tool("dsrdump"), "-Ec", str(path)], capture_output=True, check=False)
    found = [] if dumped.returncode == 0 else [f"dsrdump: {dumped.stderr!r}"]
    content = highdicom.sr.srread(path).content
    groups = [
        *content.get_image_measurement_groups(),
        *content.get_planar_roi_measurement_groups(),
    ]
    if not groups:
        found.append("highdicom finds no measurement group")
    return found
