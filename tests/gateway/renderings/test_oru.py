"""The message, held to two parsers that are not ours, and to what both of them let through."""

from typing import Any

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gateway.renderings.oru import control_id, oru_message
from gateway.renderings.words import Withdrawal
from gateway.schemas.hl7 import Charset, MessageForm
from tests.support.studies import IDENTITY, image, reading, study

FORM = MessageForm()
SITE = MessageForm.model_validate(
    {
        "sending_facility": {"namespace": "NORTH"},
        "receiving_application": {"namespace": "RIS"},
        "receiving_facility": {
            "namespace": "WEST",
            "universal_id": "1.2.9",
            "universal_id_type": "ISO",
        },
        "patient_authority": {
            "namespace": "MPI",
            "universal_id": "1.2.8",
            "universal_id_type": "ISO",
        },
        "order_authority": {"namespace": "RIS"},
        "service": {"code": "36643-5", "display": "Chest 2 views", "system": "LN"},
        "processing_id": "T",
        "charset": "8859/1",
        "observations": ["verdict"],
    }
)


def header(**changes: str) -> Dataset:
    found = Dataset()
    values = {
        "PatientID": "P-7",
        "PatientName": "Müller^Ann^B.^Dr.^MD",
        "PatientBirthDate": "19700131",
        "PatientSex": "F",
        "StudyDate": "20260130",
        "StudyTime": "101500.25",
    }
    for keyword, value in (values | changes).items():
        setattr(found, keyword, value)
    return found


def validated(message: bytes, charset: Charset = Charset.UTF_8) -> hl7.Message:
    """The message as `hl7` reads it, after `hl7apy` found no fault in it."""
    text = message.decode(charset.codec)
    parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True).validate()
    return hl7.parse(message, encoding=charset.codec)


def fields(segment: Any, *positions: int) -> list[str]:
    return [str(segment(position)) for position in positions]


def segments(message: hl7.Message, name: str) -> list[Any]:
    return [segment for segment in message if str(segment[0]) == name]


def observations(message: hl7.Message) -> list[list[str]]:
    """OBX-3, OBX-4, OBX-5 and OBX-11 of each finding's observations."""
    found = [fields(segment, 3, 4, 5, 11) for segment in segments(message, "OBX")]
    return [values for values in found if not values[0].startswith("113014")]


def notes(message: hl7.Message) -> list[str]:
    return [message.unescape(str(segment(3))) for segment in segments(message, "NTE")]


def test_the_message_names_patient_order_and_study():
    message = validated(oru_message(study(image()), IDENTITY, header(), FORM))
    [head] = segments(message, "MSH")
    assert fields(head, 3, 7, 9, 11, 12, 18) == [
        *("RADSTREAM", "20260131081502+0000", "ORU^R01^ORU_R01", "P", "2.5.1", "UNICODE UTF-8")
    ]
    [patient] = segments(message, "PID")
    assert fields(patient, 3, 5, 7, 8) == [
        *("P-7^^^^MR", "Müller^Ann^B.^MD^Dr.^^L^A", "19700131", "F")
    ]
    [request] = segments(message, "OBR")
    assert fields(request, 3, 4, 7, 18, 22, 24, 25) == [
        *("A-9", "18748-4^Diagnostic imaging study^LN", "20260130101500"),
        *("A-9", "20260131081502+0000", "RAD", "P"),
    ]
    [uid, *_] = segments(message, "OBX")
    assert fields(uid, 1, 2, 3, 5, 11) == ["1", "ST", "113014^DICOM Study^DCM", "1.2.3", "O"]


@pytest.mark.parametrize(
    ("probability", "percent", "verdict", "flag"),
    [
        (0.86, "86", "10828004^Positive^SCT", "A"),
        (0.859, "85.9", "260385009^Negative^SCT", ""),
        (0.00000001, "0", "260385009^Negative^SCT", ""),
        (0.999983, "99.9983", "10828004^Positive^SCT", "A"),
    ],
)
def test_a_finding_has_verdict_probability_and_threshold_all_preliminary(
    probability: float, percent: str, verdict: str, flag: str
):
    made = image(1, reading(probability), sop_instance_uid="1.2.3.4")
    message = validated(oru_message(study(made), IDENTITY, None, FORM))
    code = "233604007^Pneumonia^SCT^pneumonia^pneumonia^99RADSTREAM"
    assert observations(message) == [
        [code, "1.1.1", verdict, "P"],
        ["111012^Certainty of Finding^DCM", "1.1.1", percent, "P"],
        ["122411^Threshold Value^DCM", "1.1.1", "86", "P"],
    ]
    [_, first, second, _] = segments(message, "OBX")
    assert fields(first, 2, 8, 14) == ["CE", flag, "20260131081502+0000"]
    assert str(first(18)).startswith("cxr 1^^2.25.")
    assert fields(second, 2, 6) == ["NM", "%^Percent^UCUM"]
    assert notes(message) == [
        "Made by a machine. Not reviewed by a physician.",
        "Not for clinical use.",
        "Suggests pneumonia." if flag else "Does not suggest pneumonia.",
        "Image 1, read by cxr 1. SOP Instance UID 1.2.3.4.",
    ]


def test_a_model_that_is_not_applicable_gives_no_verdict():
    reason = "was made for AP views, not for the view PA"
    none = reading(applicable={"verdict": "not_applicable", "reason": reason})
    none["findings"] = [{"label": "nodule", "probability": 0.9, "threshold": 0.86}]
    message = validated(oru_message(study(image(1, none)), IDENTITY, None, FORM))
    [verdict, *_] = observations(message)
    assert verdict == [*("nodule^nodule^99RADSTREAM", "1.1.1", "385432009^Not applicable^SCT", "P")]
    assert notes(message)[-2] == f"No verdict on nodule: the model {reason}."


def test_a_picture_without_dicom_has_patient_and_order_by_the_metadata():
    picture = study(image(media_type="image/png"), study_instance_uid=None)
    message = validated(oru_message(picture, IDENTITY, None, FORM))
    [patient] = segments(message, "PID")
    assert fields(patient, 3, 5) == ["P-7^^^^MR", "^^^^^^U"]
    assert len(segments(message, "OBX")) == len(observations(message)) == 3
    [request] = segments(message, "OBR")
    assert str(request(7)) == "20260131081500+0000"


def test_without_identifiers_there_is_no_patient_and_the_study_id_is_the_order():
    message = validated(oru_message(study(image()), {}, None, FORM))
    assert segments(message, "PID") == []
    [request] = segments(message, "OBR")
    assert fields(request, 3, 18) == ["S1^RADSTREAM", ""]


def test_the_name_of_another_patient_is_not_sent():
    message = validated(oru_message(study(image()), IDENTITY, header(PatientID="P-8"), FORM))
    [patient] = segments(message, "PID")
    assert str(patient) == "PID|1||P-7^^^^MR||^^^^^^U"


def test_a_site_gives_its_own_names():
    message = validated(
        oru_message(study(image()), IDENTITY, header(), SITE), charset=Charset.LATIN_1
    )
    [head] = segments(message, "MSH")
    assert fields(head, 3, 4, 5, 6, 11, 18) == [
        *("RADSTREAM", "NORTH", "RIS", "WEST^1.2.9^ISO", "T", "8859/1")
    ]
    [patient] = segments(message, "PID")
    assert fields(patient, 3, 5) == ["P-7^^^MPI&1.2.8&ISO^MR", "Müller^Ann^B.^MD^Dr.^^L^A"]
    [request] = segments(message, "OBR")
    assert fields(request, 3, 4) == ["A-9^RIS", "36643-5^Chest 2 views^LN"]
    assert len(observations(message)) == 1


def test_a_repeat_is_the_same_message_and_any_change_another_one():
    first = oru_message(study(image()), IDENTITY, header(), FORM)
    assert oru_message(study(image()), IDENTITY, header(), FORM) == first
    others = [
        control_id(study(image(1, reading(0.8))), IDENTITY),
        control_id(study(image(), image(2)), IDENTITY),
        control_id(study(image(1, reading(version="2"))), IDENTITY),
        control_id(study(image()), IDENTITY | {"patient_id": "P-8"}),
        control_id(study(image()), IDENTITY, Withdrawal.DELETED),
        control_id(study(image(), study_id="S2"), IDENTITY),
    ]
    [head] = segments(validated(first), "MSH")
    assert str(head(10)) == control_id(study(image()), IDENTITY)
    assert len({str(head(10)), *others}) == 7


def test_a_correction_names_what_it_replaces_and_keeps_its_identifiers():
    before = validated(oru_message(study(image()), IDENTITY, None, FORM))
    corrected = study(image(1, reading(0.3)), image(2))
    after = validated(oru_message(corrected, IDENTITY, None, FORM, replaces="CONTROL"))
    assert [found[:2] for found in observations(after)[:3]] == [
        found[:2] for found in observations(before)
    ]
    assert {found[3] for found in observations(after)} == {"P"}
    assert str(segments(after, "OBR")[0](3)) == str(segments(before, "OBR")[0](3))
    assert "Replaces message CONTROL." in notes(after)


@pytest.mark.parametrize("withdrawal", Withdrawal)
def test_a_withdrawal_has_the_same_observations_with_its_status(withdrawal: Withdrawal):
    before = validated(oru_message(study(image()), IDENTITY, None, FORM))
    after = validated(oru_message(study(image()), IDENTITY, None, FORM, withdrawal=withdrawal))
    assert [found[:3] for found in observations(after)] == [
        found[:3] for found in observations(before)
    ]
    assert {found[3] for found in observations(after)} == {withdrawal.value}
    assert any(note.startswith("Withdrawn: ") for note in notes(after))
    assert str(segments(after, "OBR")[0](25)) == "C"
    grown = control_id(study(image(), image(2)), IDENTITY, withdrawal)
    assert str(segments(after, "MSH")[0](10)) == grown


def test_a_superseded_image_is_left_out_and_the_others_keep_their_sub_ids():
    message = oru_message(study(image(1, superseded_by="f" * 64), image(2)), IDENTITY, None, FORM)
    assert {found[1] for found in observations(validated(message))} == {"2.1.1"}


def test_a_study_without_results_has_no_observations():
    nothing = study(status="pending", completed_at=None, study_instance_uid=None)
    message = validated(oru_message(nothing, {}, None, FORM))
    assert segments(message, "OBX") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Yamada^Tarou=山田^太郎=やまだ^たろう",
         "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"),
        ("=山田^太郎", "山田^太郎^^^^^L^I"),
        ("^^", "^^^^^^U"),
        ("O'Neil|^A&B", r"O'Neil\F\^A\T\B^^^^^L^A"),
    ],
)  # fmt: skip
def test_each_group_of_a_name_is_a_repetition(name: str, expected: str):
    found = oru_message(study(image()), IDENTITY, header(PatientName=name), FORM)
    [patient] = segments(validated(found), "PID")
    assert str(patient(5)) == expected


def test_a_name_longer_than_dicom_allows_is_cut():
    known = header(PatientName="A")
    with pytest.warns(UserWarning, match="exceeds the maximum"):
        known.PatientName = f"{'A' * 300}=山田^太郎"
    [patient] = segments(validated(oru_message(study(image()), IDENTITY, known, FORM)), "PID")
    assert str(patient(5)) == f"{'A' * 64}^^^^^^L^A~山田^太郎^^^^^L^I"


# The validator holds texts to 199 characters, escapes (at most eleven for one) included.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=18)


@pytest.mark.long
@given(
    st.lists(st.tuples(st.floats(0, 1), texts), max_size=3),
    texts,
    texts,
    texts.filter(lambda name: "\\" not in name),
)
def test_whatever_is_stored_makes_a_valid_message(found, patient, accession, name):
    images = [
        image(
            number,
            reading(findings=[{"label": label, "probability": value, "threshold": 0.5}]),
        )
        for number, (value, label) in enumerate(found, 1)
    ]
    identity = {"patient_id": patient, "accession_number": accession}
    known = header(PatientID=patient, PatientName=name)
    message = validated(oru_message(study(*images), identity, known, FORM))
    assert len(observations(message)) == 3 * len(found)
    assert len(segments(message, "PID")) == 1
