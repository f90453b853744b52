"""A document and files become one Study, or every fault is told."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from gateway.errors import (
    InvalidMetadataError,
    InvalidPartsError,
    UnreadableImagesError,
    UnsupportedImagesError,
)
from gateway.observability.metrics import Metrics
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import Laterality, View
from gateway.studies.imaging import Imaging
from gateway.studies.intake import Intake
from gateway.studies.study import Route, Study
from preprocess import Limits
from tests.support.dicom import file_of, radiograph
from tests.support.telemetry import Told

RECEIVED_AT = dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
DOCUMENT = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
TIMED = {"timestamp": DOCUMENT["timestamp"]}
JPEG = b"\xff\xd8\xff\xe0 stands for a picture: the intake looks no further"


async def study(document: dict[str, Any] | None, *files: bytes) -> Study:
    intake = Intake(
        Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry())),
        Told(),
        metadata_bytes=1000,
    )
    return await intake.study(
        None if document is None else json.dumps(document).encode(),
        [(f"image[{index}]", data) for index, data in enumerate(files)],
        route=Route.REST,
        caller="anonymous",
        received_at=RECEIVED_AT,
        deadline=Deadline.after(30),
    )


async def faults(document: dict[str, Any] | None, *files: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidMetadataError) as caught:
        await study(document, *files)
    return [(fault.pointer, fault.detail) for fault in caught.value.faults]


async def test_a_picture_takes_its_metadata_from_the_document() -> None:
    made = await study(DOCUMENT, JPEG)
    assert (made.metadata.study_id, made.metadata.view) == ("S1", View.AP)
    assert (made.images[0].part, made.images[0].data) == ("image[0]", JPEG)


async def test_a_picture_without_a_document_is_refused() -> None:
    with pytest.raises(InvalidPartsError) as caught:
        await study(None, JPEG)
    assert "image[0]" in caught.value.faults[0].detail
    made = await study(None, file_of(radiograph()), JPEG)
    assert [image.part for image in made.images] == ["image[0]"]
    [refused] = made.refused
    assert (refused.part, type(refused.error)) == ("image[1]", InvalidPartsError)


async def test_a_dicom_file_needs_no_document() -> None:
    dataset = radiograph(PatientID="P-1", ViewPosition="PA")
    made = await study(None, file_of(dataset))
    assert made.metadata.study_id == dataset.StudyInstanceUID
    assert made.metadata.patient_id == "P-1"
    assert made.images[0].metadata.view is View.PA


async def test_each_dicom_image_keeps_its_own_view() -> None:
    uid = radiograph().StudyInstanceUID
    files = [file_of(radiograph(ViewPosition=term, StudyInstanceUID=uid)) for term in ("PA", "LL")]
    made = await study(None, *files)
    assert [image.metadata.view for image in made.images] == [View.PA, View.LATERAL]


async def test_the_document_gives_what_the_data_set_lacks() -> None:
    dataset = radiograph()
    del dataset.ViewPosition
    assert (await study(None, file_of(dataset))).images[0].metadata.view is None
    made = await study({"view": "PA", "timestamp": DOCUMENT["timestamp"]}, file_of(dataset))
    assert made.metadata.view is View.PA
    assert made.images[0].notices == ()


@pytest.mark.parametrize(
    ("field", "sent", "attribute"),
    [
        ("patient_id", "P-2", "Patient ID (0010,0020)"),
        ("accession_number", "A-2", "Accession Number (0008,0050)"),
        ("view", "LATERAL", "View Position (0018,5101)"),
        ("modality", "CR", "Modality (0008,0060)"),
        ("body_part", "ABDOMEN", "Body Part Examined (0018,0015)"),
        ("study_date", "2026-01-30", "Study Date (0008,0020)"),
    ],
)
async def test_a_contradiction_is_told_by_field_and_attribute(
    field: str, sent: str, attribute: str
) -> None:
    dataset = radiograph(PatientID="P-1", AccessionNumber="A-1", StudyDate="20260131")
    document = {"study_id": "S1", "timestamp": DOCUMENT["timestamp"], field: sent}
    assert await faults(document, file_of(dataset)) == [
        (f"/{field}", f"contradicts {attribute} of image[0]")
    ]


async def test_what_agrees_in_another_form_is_no_contradiction() -> None:
    dataset = radiograph(StudyDate="20260131", Modality="CR")
    made = await study(
        {"study_id": "S1", "study_date": "20260131", "modality": "X-RAY"}, file_of(dataset)
    )
    assert (made.metadata.study_id, made.metadata.modality) == ("S1", "CR")


async def test_a_view_term_outside_the_five_words_contradicts_none() -> None:
    made = await study({"view": "AP"}, file_of(radiograph(ViewPosition="LLD")))
    assert made.metadata.view is View.AP


@pytest.mark.parametrize("term", ["POSTEROANTERIOR", "MLO", "CC", "PA SUPINE"])
async def test_a_document_does_not_overrule_a_plain_view(term: str) -> None:
    assert await faults({"view": "AP"}, file_of(radiograph(ViewPosition=term))) == [
        ("/view", "contradicts View Position (0018,5101) of image[0]")
    ]


async def test_a_document_does_not_overrule_codes_or_orientation() -> None:
    left_lateral = Dataset()
    left_lateral.CodeValue, left_lateral.CodingSchemeDesignator = "R-10236", "SRT"
    file = file_of(radiograph(ViewPosition=None, ViewCodeSequence=[left_lateral]))
    assert await faults({"view": "AP"}, file) == [
        ("/view", "contradicts View Code Sequence (0054,0220) of image[0]")
    ]
    file = file_of(radiograph(ViewPosition=None, PatientOrientation=["A", "F"]))
    assert await faults({"view": "AP"}, file) == [
        ("/view", "contradicts Patient Orientation (0020,0020) of image[0]")
    ]


async def test_a_document_names_one_of_two_views_that_disagree() -> None:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = "272479007", "SCT"
    file = file_of(radiograph(ViewPosition="AP", ViewCodeSequence=[item]))
    parties = "View Position (0018,5101) and View Code Sequence (0054,0220)"
    assert await faults(None, file) == [
        ("/view", f"is needed: {parties} of image[0] disagree; name AP or PA")
    ]
    assert await faults({"view": "LATERAL"}, file) == [
        ("/view", f"contradicts {parties} of image[0]")
    ]
    made = await study({"view": "PA", "timestamp": DOCUMENT["timestamp"]}, file)
    assert made.metadata.view is View.PA
    assert [notice.detail for notice in made.images[0].notices] == [
        f"{parties} disagree: the metadata document's word is used"
    ]


async def test_a_document_mends_what_the_data_set_says_unintelligibly() -> None:
    file = file_of(radiograph(ViewPosition="XYZ", BodyPartExamined="???", Laterality="MIDDLE"))
    document = {"view": "PA", "body_part": "Chest", "laterality": "LEFT", **TIMED}
    made = await study(document, file)
    assert (made.metadata.view, made.metadata.body_part) == (View.PA, "CHEST")
    assert made.metadata.laterality is Laterality.LEFT
    assert made.images[0].notices == ()
    told = (await study(TIMED, file)).images[0].notices
    assert [notice.detail.partition(" (")[0] for notice in told] == [
        "View Position",
        "Body Part Examined",
        "Laterality",
    ]


async def test_a_word_of_the_document_that_is_not_understood_gives_way() -> None:
    made = await study({"body_part": "???", **TIMED}, file_of(radiograph()))
    assert made.metadata.body_part == "CHEST"
    assert [notice.pointer for notice in made.images[0].notices] == ["/body_part"]


async def test_a_part_of_the_document_beside_other_words_is_taken_with_a_warning() -> None:
    made = await study({**DOCUMENT, "body_part": "Knee, Merchant"}, JPEG)
    assert made.metadata.body_part == "KNEE"
    assert [notice.detail for notice in made.images[0].notices] == ["is understood in part"]


async def test_null_is_a_field_that_is_not_given() -> None:
    file = file_of(radiograph(PatientID="P-1"))
    made = await study({"patient_id": None, "view": None, **TIMED}, file)
    assert (made.metadata.patient_id, made.metadata.view) == ("P-1", View.AP)


@pytest.mark.parametrize(
    ("modality", "sent", "taken"),
    [("RG", "CR", "CR"), ("CR", "RG", "CR"), ("RG", "X-RAY", "DX"), ("DX", "dr", "DX")],
)
async def test_generic_radiography_contradicts_no_kind_of_it(
    modality: str, sent: str, taken: str
) -> None:
    made = await study({"modality": sent, **TIMED}, file_of(radiograph(Modality=modality)))
    assert made.metadata.modality == taken


async def test_patients_whose_ids_share_a_first_part_are_two() -> None:
    uid = radiograph().StudyInstanceUID
    files = [
        file_of(radiograph(PatientID=["A", number], StudyInstanceUID=uid)) for number in ("1", "2")
    ]
    assert await faults(None, *files) == [("/patient_id", "differs among the images sent together")]


async def test_a_patient_that_cannot_be_decoded_is_named_by_the_document_or_refused() -> None:
    latin = radiograph(PatientID="P\xfc", SpecificCharacterSet="ISO_IR 100")
    file = file_of(latin).replace(b"ISO_IR 100", b"ISO_IR 192")
    [(pointer, detail)] = await faults(None, file)
    assert pointer == "/patient_id"
    assert detail.startswith("Patient ID (0010,0020) of image[0] holds characters ")
    made = await study({"patient_id": "P-1", **TIMED}, file)
    assert made.metadata.patient_id == "P-1"
    assert [notice.detail for notice in made.images[0].notices] == [
        "Patient ID (0010,0020) cannot be read as text: the metadata document's is used"
    ]


async def test_images_of_two_patients_are_no_study() -> None:
    uid = radiograph().StudyInstanceUID
    files = [
        file_of(radiograph(PatientID=patient, StudyInstanceUID=uid)) for patient in ("P-1", "P-2")
    ]
    assert await faults(None, *files) == [("/patient_id", "differs among the images sent together")]


async def test_a_document_that_joins_several_studies_is_told() -> None:
    warning = (
        "joins data sets whose Study Instance UID (0020,000D) differs: see that they are of one "
        "study"
    )
    uid = radiograph().StudyInstanceUID
    for others, told in ({}, [warning]), ({"StudyInstanceUID": uid}, []):
        files = [file_of(radiograph(PatientID="P-1", **others)) for _ in range(2)]
        for image in (await study(DOCUMENT, *files)).images:
            notices = [item.detail for item in image.notices if item.pointer == "/study_id"]
            assert notices == told


async def test_a_patient_given_by_one_image_holds_for_all() -> None:
    uid = radiograph().StudyInstanceUID
    made = await study(
        None,
        file_of(radiograph(StudyInstanceUID=uid)),
        file_of(radiograph(StudyInstanceUID=uid, PatientID="P-1")),
    )
    assert [image.metadata.patient_id for image in made.images] == ["P-1", "P-1"]


async def test_an_unknown_field_is_noted() -> None:
    made = await study({**DOCUMENT, "ward": "7b"}, JPEG)
    assert [notice.pointer for notice in made.images[0].notices] == ["/ward"]


async def test_a_long_document_is_refused_before_it_is_parsed() -> None:
    assert await faults({**DOCUMENT, "note": "x" * 1000}, JPEG) == [
        ("", "is longer than 1000 bytes")
    ]


async def test_an_object_without_a_picture_is_called_by_its_name() -> None:
    report = Path(get_testdata_file("reportsi.dcm")).read_bytes()  # it has no view either
    with pytest.raises(UnsupportedImagesError) as caught:
        await study(None, report)
    [fault] = caught.value.faults
    assert (fault.pointer, fault.detail) == (
        "image[0]",
        "Basic Text SR Storage objects hold no Pixel Data",
    )


def report_of(patient_id: str) -> bytes:
    report = dcmread(get_testdata_file("reportsi.dcm"))
    report.PatientID = patient_id
    return file_of(report)


async def test_an_object_without_a_picture_may_come_beside_one_of_the_same_patient() -> None:
    made = await study(DOCUMENT, file_of(radiograph(PatientID="P-1")), report_of("P-1"))
    assert [image.part for image in made.images] == ["image[0]"]
    [refused] = made.refused  # though its modality contradicts the document's, too
    assert isinstance(refused.error, UnsupportedImagesError)


@pytest.mark.parametrize("named", [{}, {"patient_id": "P-1"}])
async def test_an_object_of_another_patient_refuses_all_though_it_has_no_picture(
    named: dict[str, str],
) -> None:
    told = await faults(DOCUMENT | named, file_of(radiograph(PatientID="P-1")), report_of("P-2"))
    assert [pointer for pointer, _ in told] == ["/patient_id"]


@pytest.mark.parametrize("written", [" P-1", "P-1 ", "P-1\0"])
async def test_padding_of_an_identifier_does_not_count(written: str) -> None:
    made = await study(DOCUMENT | {"patient_id": written}, file_of(radiograph(PatientID="P-1")))
    assert made.metadata.patient_id == "P-1"
    made = await study(DOCUMENT | {"patient_id": written}, JPEG)
    assert made.metadata.patient_id == "P-1"


@pytest.mark.parametrize("written", ["", "  "])
async def test_an_empty_identifier_is_none(written: str) -> None:
    made = await study(DOCUMENT | {"accession_number": written}, JPEG)
    assert made.metadata.accession_number is None
    assert [(notice.pointer, notice.detail) for notice in made.images[0].notices] == [
        ("/accession_number", "is empty and left out")
    ]


@pytest.mark.parametrize(
    "timestamp", ["2026-02-30T08:15:00Z", "2026-01-31T24:00:00Z", "2026-01-31T08:15:00+24:00"]
)
async def test_a_time_that_there_is_not_is_told_in_plain_words(timestamp: str) -> None:
    assert await faults(DOCUMENT | {"timestamp": timestamp}, JPEG) == [
        ("/timestamp", "must be a time that there is, such as 2026-01-31T08:15:00Z")
    ]


@pytest.mark.parametrize(
    ("timestamp", "detail"),
    [
        ("0001-01-01T00:00:00Z", "lies before 1970"),
        ("1969-12-31T23:59:59Z", "lies before 1970"),
        ("9999-12-31T23:59:59Z", "lies more than a day after the time of receipt"),
        ("2026-02-04T04:05:07Z", "lies more than a day after the time of receipt"),
    ],
)
async def test_a_time_at_which_no_study_was_made_is_doubted(timestamp: str, detail: str) -> None:
    made = await study(DOCUMENT | {"timestamp": timestamp}, JPEG)
    assert [(notice.pointer, notice.detail) for notice in made.images[0].notices] == [
        ("/timestamp", detail)
    ]


@pytest.mark.parametrize("timestamp", ["1970-01-01T00:00:00Z", "2026-02-04T04:05:06Z"])
async def test_a_time_that_may_be_is_not_doubted(timestamp: str) -> None:
    assert not (await study(DOCUMENT | {"timestamp": timestamp}, JPEG)).images[0].notices


async def test_a_broken_data_set_names_its_part() -> None:
    with pytest.raises(UnreadableImagesError) as caught:
        await study(None, file_of(radiograph())[:200])
    assert caught.value.faults[0].pointer == "image[0]"
