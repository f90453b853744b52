"""The Secondary Capture of a heat map, held to a validator."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, XRayAngiographicImageStorage

from gateway.renderings.heat_maps import HeatMap
from gateway.renderings.secondary_capture import secondary_capture
from gateway.renderings.source_header import source_header
from tests.support.dicom import radiograph
from tests.support.dicom_validators import dciodvfy
from tests.support.gateway import ROOT
from tests.support.readings import frame, reading

# pydicom and highdicom warn of what senders write; in the gateway that is an event without words.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PICTURE = np.random.default_rng(1).integers(0, 256, (96, 400, 3), np.uint8)
ORIGINAL = radiograph(
    StudyInstanceUID="1.2.3",
    PatientID="P-7",
    PatientName="Müller^Änne",
    PatientOrientation=["L", "F"],
    SpecificCharacterSet="ISO_IR 100",
)


def rendered(original: Dataset = ORIGINAL, *, index: int = 0, **changes: Any) -> bytes:
    header = source_header(original)
    assert header is not None
    made = reading(1, frame(), frame(), **changes)
    return secondary_capture(HeatMap(made, index, 0, header), PICTURE)


def read(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(data))


@pytest.mark.server
def test_the_validator_finds_no_error(tmp_path: Path):
    path = tmp_path / "capture.dcm"
    path.write_bytes(rendered())
    assert dciodvfy(path, "SCImage") == []


@pytest.mark.parametrize(
    "sample", sorted((ROOT / "tests/data/images").glob("*.dcm")), ids=lambda path: path.stem
)
def test_originals_of_real_modalities_make_a_valid_capture(sample: Path, tmp_path: Path):
    path = tmp_path / "capture.dcm"
    path.write_bytes(rendered(dcmread(sample, stop_before_pixels=True, force=True)))
    assert dciodvfy(path, "SCImage") == []


def test_the_picture_is_the_heat_maps_with_a_notice_under_it():
    capture = read(rendered())
    pixels = capture.pixel_array
    assert np.array_equal(pixels[:96], PICTURE)
    notice = pixels[96:]
    assert notice.shape[1:] == (400, 3)
    assert notice.max() > 200  # words
    assert (notice[:, :12] == 0).all()  # within their margins
    assert (notice[:, -12:] == 0).all()
    assert capture.BurnedInAnnotation == "YES"
    said = "Made by a machine. Not reviewed by a physician. Not for clinical use."
    assert capture.ImageComments == said


def test_a_longer_disclaimer_has_more_lines():
    short = read(rendered(disclaimer=None))
    long = read(rendered(disclaimer="Not for clinical use. " * 20))
    assert long.Rows > short.Rows > 96
    assert long.Columns == short.Columns == 400


def test_it_lies_in_the_patients_study_in_a_series_of_the_model():
    capture = read(rendered())
    assert capture.SOPClassUID == SecondaryCaptureImageStorage
    assert capture.StudyInstanceUID == "1.2.3"
    assert (capture.PatientID, str(capture.PatientName)) == ("P-7", "Müller^Änne")
    assert list(capture.PatientOrientation) == ["L", "F"]
    other = read(rendered(model={"name": "other", "version": "1"}))
    series = {capture.SeriesInstanceUID, other.SeriesInstanceUID, ORIGINAL.SeriesInstanceUID}
    assert len(series) == 3


def test_it_says_what_it_was_derived_from_and_by_what():
    capture = read(rendered())
    assert capture.ImageType[:2] == ["DERIVED", "SECONDARY"]
    assert "pneumonia by cxr 1" in capture.DerivationDescription
    [source] = capture.SourceImageSequence
    assert source.ReferencedSOPClassUID == ORIGINAL.SOPClassUID
    assert source.ReferencedSOPInstanceUID == ORIGINAL.SOPInstanceUID
    assert "ReferencedFrameNumber" not in source
    [purpose] = source.PurposeOfReferenceCodeSequence
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("121322", "DCM")
    model = capture.ContributingEquipmentSequence[0]
    assert (model.ManufacturerModelName, model.SoftwareVersions) == ("cxr", "1")
    newer = read(rendered(model={"name": "cxr", "version": "2"}))
    assert newer.ContributingEquipmentSequence[0].DeviceUID != model.DeviceUID


def test_a_frame_of_several_is_named():
    capture = read(rendered(radiograph(SOPClassUID=XRayAngiographicImageStorage), index=1))
    assert capture.SourceImageSequence[0].ReferencedFrameNumber == 2
    assert capture.InstanceNumber == 2


def test_nothing_is_made_up_for_a_header_that_lacks_it():
    original = radiograph(PatientBirthDate="29.02.1960", PatientOrientation="UNKNOWN")
    capture = read(rendered(original))
    assert capture["PatientOrientation"].is_empty
    assert capture["PatientBirthDate"].is_empty
    assert capture["Laterality"].is_empty  # unknown; of type 2C
    for keyword in ("PixelSpacing", "LossyImageCompression"):
        assert keyword not in capture


@pytest.mark.parametrize("keyword", ["Laterality", "ImageLaterality"])
def test_the_side_is_the_images(keyword: str):
    capture = read(rendered(radiograph(**{keyword: "R"})))
    assert capture.get("Laterality", capture.get("ImageLaterality")) == "R"
    assert len({"Laterality", "ImageLaterality"} & set(capture.dir())) == 1


def test_what_was_lossy_is_said_to_be_lossy():
    assert read(rendered(radiograph(LossyImageCompression="01"))).LossyImageCompression == "01"


def test_a_repeat_is_the_same_bytes_and_another_reading_another_object():
    assert rendered() == rendered()
    uids = [
        read(data).SOPInstanceUID
        for data in (
            rendered(),
            rendered(index=1),
            rendered(sha256="0" * 64),
            rendered(model={"name": "cxr", "version": "2"}),
            rendered(radiograph(StudyInstanceUID="1.2.4")),
        )
    ]
    assert len(set(uids)) == 5
