"""Words that all renderings have in common."""

import pytest

from gateway.renderings.fhir import fhir_bundle
from gateway.renderings.oru import control_id, oru_message
from gateway.renderings.words import incompleteness
from gateway.schemas.hl7 import MessageForm
from tests.support.studies import IDENTITY, image, reading, study, unfinished

REMARK = "Incomplete. Images not processed: 5. Readings missing: 1."


def test_what_the_results_lack_is_counted():
    assert incompleteness(study(image())) is None
    assert incompleteness(study(image(), **unfinished())) == REMARK


@pytest.mark.parametrize(
    ("part", "remark"),
    [
        ("not_processed", "Images not processed: 1."),
        ("pending", "Images not processed: 2."),
        ("failures", "Images not processed: 2."),
        ("missing_readings", "Readings missing: 1."),
    ],
)
def test_each_lack_is_told(part: str, remark: str):
    assert incompleteness(study(image(), **{part: unfinished()[part]})) == f"Incomplete. {remark}"


def test_images_without_room_in_the_list_are_counted():
    study_of_many = study(image(), **unfinished(), not_processed_left_out=40)
    assert (
        incompleteness(study_of_many)
        == "Incomplete. Images not processed: 45. Readings missing: 1."
    )


def test_report_and_message_say_what_they_lack():
    part = study(image(), **unfinished())
    assert REMARK in fhir_bundle(part, IDENTITY)["entry"][0]["resource"]["conclusion"]
    message = oru_message(part, IDENTITY, None, MessageForm()).decode()
    assert f"NTE|3|L|{REMARK}\r" in message
    assert control_id(part, IDENTITY) != control_id(study(image()), IDENTITY)


def test_report_and_message_tell_the_doubts_with_the_finding():
    doubt = "was made for patients of 1 to below 6 years, not for an unknown age"
    known = reading(applicable={"verdict": "applicable", "doubts": [doubt]})
    doubtful = study(image(1, known))
    said = f"Suggests pneumonia. Doubtful: the model {doubt}."
    assert said in fhir_bundle(doubtful, IDENTITY)["entry"][0]["resource"]["conclusion"]
    assert said in oru_message(doubtful, IDENTITY, None, MessageForm()).decode()
