"""Rejection notes, by which archives hide objects that were sent."""

from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.renderings.rejection_note import rejection_note
from gateway.renderings.rejections import Rejection
from gateway.renderings.revisions import report_series
from gateway.renderings.source_header import source_header
from gateway.renderings.words import Withdrawal
from gateway.results.withdrawn_study import CaptureReference
from tests.support.dicom import radiograph
from tests.support.dicom_validators import dciodvfy
from tests.support.readings import NOON

CAPTURE = CaptureReference(series_instance_uid="2.25.7", sop_instance_uid="2.25.8", corrections=0)
REJECTION = Rejection({}, Withdrawal.WRONG_PATIENT, ("2.25.9",), (CAPTURE,))


def note(rejection: Rejection = REJECTION) -> bytes:
    header = source_header(radiograph(StudyInstanceUID="1.2.3", PatientID="P-7"))
    assert header is not None
    return rejection_note(rejection, header, NOON)


def read(path: Path, rejection: Rejection = REJECTION) -> Dataset:
    path.write_bytes(note(rejection))
    assert dciodvfy(path, "KeyObjectSelectionDocument") == []
    return dcmread(path)


def test_it_names_reports_and_captures_in_the_patients_study(tmp_path: Path):
    dataset = read(tmp_path / "note.dcm")
    assert (dataset.Modality, dataset.PatientID, dataset.StudyInstanceUID) == ("KO", "P-7", "1.2.3")
    assert dataset.SOPInstanceUID == REJECTION.sop_instance_uid
    [title] = dataset.ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113037", "DCM")
    [study] = dataset.CurrentRequestedProcedureEvidenceSequence
    named = {
        (str(series.SeriesInstanceUID), str(item.ReferencedSOPInstanceUID))
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert named == {(report_series("1.2.3"), "2.25.9"), ("2.25.7", "2.25.8")}


def test_it_refers_to_each_object_by_its_kind(tmp_path: Path):
    dataset = read(tmp_path / "note.dcm")
    kinds = [item.ValueType for item in dataset.ContentSequence if "ReferencedSOPSequence" in item]
    assert kinds == ["COMPOSITE", "IMAGE"]
    texts = [item.TextValue for item in dataset.ContentSequence if item.ValueType == "TEXT"]
    assert texts[-1:] == ["Withdrawn: these are not results of this patient or order."]


def test_heat_maps_alone_are_rejected_as_well(tmp_path: Path):
    dataset = read(tmp_path / "note.dcm", Rejection({}, Withdrawal.DELETED, (), (CAPTURE,)))
    assert [item.ValueType for item in dataset.ContentSequence].count("IMAGE") == 1


def test_it_is_the_same_bytes_whenever_it_is_made():
    assert note() == note()
