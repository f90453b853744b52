"""The answer to a store transaction, from the outcomes of its instances."""

import json

import pytest

from gateway.deferred.dicom_store import InstanceOutcome
from gateway.dicomweb.media_types import AnswerType
from gateway.dicomweb.store_answer import answer_of, encoded, status_of
from gateway.studies.dicom_instance import FailureReason, InstanceUids

CR = "1.2.840.10008.5.1.4.1.1.1"
STORED = InstanceOutcome(InstanceUids(CR, "1.2.1", "1.2", "1.2.9"))
FAILED = InstanceOutcome(
    InstanceUids(CR, "1.2.2", "1.2", "1.2.9"), failure=FailureReason.OUT_OF_RESOURCES
)
UNKNOWN = InstanceOutcome(InstanceUids(), failure=FailureReason.CANNOT_UNDERSTAND)


def link(path: str) -> str:
    return f"/prefix{path}"


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [([STORED], 200), ([STORED, FAILED], 202), ([FAILED, UNKNOWN], 409), ([], 200)],
)
def test_status(outcomes: list[InstanceOutcome], status: int):
    assert status_of(outcomes) == status


def test_each_outcome_has_an_item_in_its_own_sequence():
    answer = answer_of([STORED, FAILED, UNKNOWN], link, None)
    [stored] = answer.ReferencedSOPSequence
    assert stored.RetrieveURL == "/prefix/dicomweb/studies/1.2/series/1.2.9/instances/1.2.1"
    [failed] = answer.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.2", 0xA700)
    [other] = answer.OtherFailuresSequence
    assert other.FailureReason == 0xC000
    assert "ReferencedSOPInstanceUID" not in other


def test_there_is_one_url_of_one_study_alone():
    another = InstanceOutcome(InstanceUids(CR, "3.1", "3", "3.9"))
    assert answer_of([STORED], link, None).RetrieveURL == "/prefix/dicomweb/studies/1.2"
    assert answer_of([STORED, another], link, None).RetrieveURL == ""
    assert answer_of([UNKNOWN], link, "7.8").RetrieveURL == "/prefix/dicomweb/studies/7.8"


def test_json_and_xml_have_the_same_elements():
    answer = answer_of([FAILED], link, "1.2")
    found = json.loads(encoded(answer, AnswerType.JSON))
    assert found["00081198"]["Value"][0]["00081197"] == {"vr": "US", "Value": [0xA700]}
    xml = encoded(answer, AnswerType.XML).decode()
    assert 'tag="00081197" vr="US" keyword="FailureReason"' in xml
    assert "42752" in xml
