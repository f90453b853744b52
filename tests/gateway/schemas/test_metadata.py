"""The metadata contract, rule by rule."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Fault, InvalidMetadataError
from gateway.schemas.metadata import (
    ModelReference,
    StudyMetadata,
    View,
    acceptance_run,
    is_study_id,
    parse_document,
    validate_document,
)

VALID = {"study_id": "CXR-2026.1_a", "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}


def validated(**fields: Any) -> StudyMetadata:
    return validate_document(VALID | fields)


def faults(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidMetadataError) as refused:
        validate_document(document)
    return {fault.pointer: fault.detail for fault in refused.value.faults}


def test_the_three_required_fields_are_enough():
    metadata = validated()
    assert metadata.study_id == "CXR-2026.1_a"
    assert metadata.view is View.AP
    assert metadata.timestamp.isoformat() == "2026-01-31T08:15:00+00:00"
    assert metadata.unknown_fields() == ()


@pytest.mark.parametrize("value", ["S1", "_", "-.", "a" * 64])
def test_a_study_id_is_known_from_any_value(value: str):
    assert is_study_id(value)
    assert validated(study_id=value).study_id == value


@pytest.mark.parametrize("value", [None, 7, "", ".a", "a/b", "a" * 65, "S1\n", "ä", ["S1"]])
def test_what_is_no_study_id_is_known_too(value: object):
    assert not is_study_id(value)
    assert "/study_id" in faults(VALID | {"study_id": value})


def test_every_fault_is_reported_at_once_each_with_its_pointer():
    found = faults(
        {
            "view": "SIDEWAYS",
            "timestamp": "yesterday",
            "patient_id": "",
            "accession_number": 4711,
            "study_date": "2026-13-01",
            "modality": "x",
            "body_part": "chest",
            "laterality": "MIDDLE",
            "image_size": {"width": 0, "height": "712", "depth": 1},
            "annotations": {},
            "model": {"version": "latest"},
        }
    )
    assert set(found) == {
        "/study_id",
        "/view",
        "/timestamp",
        "/patient_id",
        "/accession_number",
        "/study_date",
        "/modality",
        "/body_part",
        "/laterality",
        "/image_size/width",
        "/image_size/height",
        "/image_size/depth",
        "/annotations",
        "/model/name",
        "/model/version",
    }
    assert found["/study_id"] == "is required"
    assert found["/view"] == "must be 'PA', 'AP', 'LATERAL', 'OBLIQUE' or 'OTHER'"
    assert found["/image_size/depth"] == "is not a field of this object"


@pytest.mark.parametrize("study_id", ["a", "-", "_.", "0" * 64, "1.2.840.113619.2.5"])
def test_takes_a_study_id(study_id: str):
    assert validated(study_id=study_id).study_id == study_id


@pytest.mark.parametrize(
    "study_id",
    ["", ".a", "..", "0" * 65, "a/b", "a b", "a\n", "ä", "a\0", "%2e", "٣", None, 1, ["a"], {}],
)
def test_refuses_a_study_id(study_id: object):
    assert set(faults(VALID | {"study_id": study_id})) == {"/study_id"}


@pytest.mark.parametrize(
    ("timestamp", "utc"),
    [
        ("2026-01-31T08:15:00Z", "2026-01-31T08:15:00"),
        ("2026-01-31t08:15:00z", "2026-01-31T08:15:00"),
        ("2026-01-31T08:15:00.5Z", "2026-01-31T08:15:00.500000"),
        ("2026-01-31T08:15:00.123456789Z", "2026-01-31T08:15:00.123456"),
        ("2026-01-31T08:15:00+05:30", "2026-01-31T02:45:00"),
        ("2026-01-31T08:15:00-00:00", "2026-01-31T08:15:00"),
    ],
)
def test_takes_a_time_as_rfc_3339_has_it(timestamp: str, utc: str):
    moment = validated(timestamp=timestamp).timestamp
    offset = moment.utcoffset()
    assert offset is not None
    assert (moment.replace(tzinfo=None) - offset).isoformat() == utc


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-01-31T08:15:00",
        "2026-01-31 08:15:00Z",
        "2026-01-31T08:15Z",
        "2026-01-31",
        "2026-02-29T08:15:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T08:15:00+0100",
        "2026-01-31T08:15:00+24:00",
        "2026-01-31T08:15:00Z\n",
        "1769847300",
        1769847300,
        None,
    ],
)
def test_refuses_any_other_time(timestamp: object):
    assert set(faults(VALID | {"timestamp": timestamp})) == {"/timestamp"}


@pytest.mark.parametrize("study_date", ["2026-01-31", "20260131"])
def test_takes_a_date_as_iso_8601_and_as_dicom_have_it(study_date: str):
    date = validated(study_date=study_date).study_date
    assert date is not None
    assert date.isoformat() == "2026-01-31"


@pytest.mark.parametrize(
    "study_date",
    [
        "2026-1-31",
        "202601",
        "2026-0131",
        "20260230",
        "2026-01-31T00:00:00",
        "1728000000",  # seconds since 1970, to pydantic
        20260131,
        "٢٠٢٦٠١٣١",
        "",
    ],
)
def test_refuses_any_other_date(study_date: object):
    assert set(faults(VALID | {"study_date": study_date})) == {"/study_date"}


@pytest.mark.parametrize(
    ("modality", "read"), [("DX", "DX"), ("CR", "CR"), ("X-RAY", "DX"), (None, None)]
)
def test_x_ray_is_read_as_dx(modality: str | None, read: str | None):
    assert validated(modality=modality).modality == read


@pytest.mark.parametrize("modality", ["x-ray", "X-RAYS", "D", "", "DX ", 1])
def test_refuses_a_modality(modality: object):
    assert set(faults(VALID | {"modality": modality})) == {"/modality"}


@pytest.mark.parametrize("body_part", ["CHEST", "C SPINE", "A" * 16])
def test_takes_a_body_part_as_a_dicom_code_string(body_part: str):
    assert validated(body_part=body_part).body_part == body_part


@pytest.mark.parametrize("body_part", ["chest", "", "A" * 17, "CHEST\n", "C\\SPINE"])
def test_refuses_another_body_part(body_part: str):
    assert set(faults(VALID | {"body_part": body_part})) == {"/body_part"}


@pytest.mark.parametrize("field", ["patient_id", "accession_number"])
def test_an_identifier_has_1_to_64_characters(field: str):
    assert getattr(validated(**{field: "ü" * 64}), field) == "ü" * 64
    assert set(faults(VALID | {field: ""})) == {f"/{field}"}
    assert set(faults(VALID | {field: "x" * 65})) == {f"/{field}"}


@pytest.mark.parametrize("field", ["patient_id", "accession_number"])
@pytest.mark.parametrize("letter", ["\0", "\t", "\n", "\x7f", "\x85"])
def test_an_identifier_has_no_control_characters(field: str, letter: str):
    assert faults(VALID | {field: f"P{letter}1"}) == {
        f"/{field}": "must have no control characters"
    }


@pytest.mark.parametrize("value", [0, -1, 1.5, "712", True, None])
def test_an_image_size_has_two_whole_numbers(value: object):
    assert set(faults(VALID | {"image_size": {"width": value, "height": 1}})) == {
        "/image_size/width"
    }


@pytest.mark.parametrize(
    ("model", "reference"),
    [
        ("chest", ModelReference(name="chest", version=None)),
        ({"name": "chest"}, ModelReference(name="chest", version=None)),
        ({"name": "chest", "version": "3"}, ModelReference(name="chest", version="3")),
    ],
)
def test_a_model_is_a_name_or_a_name_and_a_version(model: object, reference: ModelReference):
    assert validated(model=model).model == reference


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("", "/model/name"),
        ({"name": "a", "version": 3}, "/model/version"),
        ({"name": "a", "version": "-1"}, "/model/version"),
        ({"name": "a", "versions": "1"}, "/model/versions"),
        (3, "/model"),
        (["a"], "/model"),
    ],
)
def test_refuses_another_model(model: object, place: str):
    assert set(faults(VALID | {"model": model})) == {place}


def test_annotations_are_kept_as_they_are_up_to_a_thousand():
    annotations = [{"x": [1, None, "é"]}, 1.5, None, []]
    assert validated(annotations=annotations).annotations == annotations
    assert set(faults(VALID | {"annotations": [0] * 1001})) == {"/annotations"}


def test_an_optional_field_may_be_null():
    optional = StudyMetadata.model_fields.keys() - VALID.keys()
    assert validated(**dict.fromkeys(optional)) == validated()


@pytest.mark.parametrize("name", ["unknown_fields", "model_extra", "__class__", "study id", ""])
def test_unknown_fields_are_kept_whatever_their_name(name: str):
    metadata = validated(**{name: {"deep": [None]}})
    assert metadata.unknown_fields() == (name,)
    assert metadata.model_dump(mode="json")[name] == {"deep": [None]}


def test_no_fault_repeats_a_value():
    # Whoever gets the answer may log it, and any field may hold a name by mistake.
    mark = "Mustermann^Erika"
    fields = StudyMetadata.model_fields
    nested = {"image_size": {"width": mark, "height": mark, "x": mark}, "model": {"version": mark}}
    for value in (mark, [mark], {"name": mark, "width": mark}, f"2026-01-31 {mark}"):
        assert mark not in str(faults(dict.fromkeys(fields, value) | nested))


@pytest.mark.parametrize("document", [b"[]", b'"a"', b"null", b"1"])
def test_a_document_is_an_object(document: bytes):
    with pytest.raises(InvalidMetadataError) as refused:
        parse_document(document)
    assert [fault.detail for fault in refused.value.faults] == ["must be a JSON object"]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(sorted(StudyMetadata.model_fields)) | st.text(), _VALUES),
    st.booleans(),
)
def test_any_document_is_taken_or_refused_with_pointers(document: dict[str, Any], complete: bool):
    document = VALID | document if complete else document
    found: tuple[Fault, ...] = ()
    try:
        json.dumps(validate_document(document).model_dump(mode="json"))
    except InvalidMetadataError as error:
        found = error.faults
    assert all(fault.pointer.startswith("/") and fault.detail for fault in found)


@pytest.mark.parametrize("time", ["2016-12-31T23:59:60Z", "2017-01-01T00:59:60.5+01:00"])
def test_a_leap_second_is_refused_with_what_to_send(time: str):
    [told] = faults(VALID | {"timestamp": time}).values()
    assert told == "is a leap second, which is not taken: send second 59, or the next minute"


@pytest.mark.parametrize(
    ("study_id", "run"),
    [
        ("radstream-probe-accept-0123456789abcdef-fedcba9876543210", "0123456789abcdef"),
        ("radstream-probe-accept-0123456789abcdef", None),
        ("radstream-probe-fedcba9876543210", None),
        ("S1", None),
    ],
)
def test_a_study_of_an_acceptance_names_its_run(study_id: str, run: str | None):
    assert acceptance_run(study_id) == run
