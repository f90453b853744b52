"""The transaction, held to two validators that are not ours, and to the rules of its requests."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.renderings.fhir import IdentifierSystems, Release, fhir_bundle
from gateway.renderings.fhir_transaction import (
    as_correction,
    as_first,
    fhir_transaction,
    is_withdrawal,
    report_identifiers,
)
from gateway.schemas.result import StudyResult
from tests.gateway.renderings.test_fhir import faults, resources
from tests.support.studies import IDENTITY, image, reading, study

SYSTEMS = IdentifierSystems("urn:oid:1.2.8", "urn:oid:1.2.9")


def transaction(found: StudyResult, release: Release = Release.R4, **changes: Any) -> Any:
    return fhir_transaction(found, IDENTITY, SYSTEMS, release, **changes)


def requests(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    return [(entry["request"]["method"], entry["request"]["url"]) for entry in bundle["entry"]]


def test_each_resource_is_created_once_by_its_identifier():
    bundle = transaction(study(image()))
    assert faults(bundle) == []
    assert bundle["type"] == "transaction"
    for entry in bundle["entry"]:
        resource, request = entry["resource"], entry["request"]
        assert "id" not in resource
        assert (request["method"], request["url"]) == ("POST", resource["resourceType"])
        system, _, value = request["ifNoneExist"].removeprefix("identifier=").partition("|")
        assert {"system": system, "value": value} in resource["identifier"]
    lasting, told = report_identifiers(bundle)
    [asked] = resources(fhir_bundle(study(image()), IDENTITY), "DiagnosticReport")
    assert lasting == asked["identifier"][0]["value"]
    assert told.startswith("urn:uuid:")


def test_patient_and_order_are_named_in_their_systems():
    [report] = resources(transaction(study(image())), "DiagnosticReport")
    assert report["subject"]["identifier"]["system"] == "urn:oid:1.2.8"
    assert report["basedOn"][0]["identifier"]["system"] == "urn:oid:1.2.9"


def test_the_report_tells_by_an_identifier_if_anything_changed():
    first = transaction(study(image()))
    assert transaction(study(image())) == first
    lasting, told = report_identifiers(first)
    others = [
        transaction(study(image(1, reading(0.5)))),
        transaction(study(image(), image(2))),
        transaction(study(image(1, superseded_by="f" * 64), image(2))),
        transaction(study(image()), withdrawn=True),
        transaction(study(image(), disclaimer="Other.")),
    ]
    assert {report_identifiers(other)[0] for other in others} == {lasting}
    assert len({told, *(report_identifiers(other)[1] for other in others)}) == 6


def test_a_correction_updates_report_and_findings_and_no_device():
    bundle = as_correction(transaction(study(image())))
    assert faults(bundle) == []
    found = requests(bundle)
    assert [(method, url.partition("?")[0]) for method, url in found] == [
        ("PUT", "DiagnosticReport"),
        ("POST", "ImagingStudy"),
        ("PUT", "Observation"),
        ("POST", "Device"),
    ]
    assert found[0][1].endswith(f"identifier=urn:ietf:rfc:3986|{report_identifiers(bundle)[0]}")
    assert "ifNoneExist" not in bundle["entry"][0]["request"]


def test_findings_of_superseded_images_are_entered_in_error_where_the_server_has_them():
    bundle = transaction(study(image(1, reading(version="2"), superseded_by="f" * 64), image(2)))
    assert faults(bundle) == []
    assert [item["status"] for item in resources(bundle, "Observation")] == [
        *("preliminary", "entered-in-error")
    ]
    [report] = resources(bundle, "DiagnosticReport")
    assert len(report["result"]) == 1
    first = as_first(bundle)
    assert faults(first) == []
    assert [item["status"] for item in resources(first, "Observation")] == ["preliminary"]


@pytest.mark.parametrize("release", Release)
def test_a_withdrawal_enters_all_results_in_error(release: Release):
    bundle = as_correction(transaction(study(image()), release, withdrawn=True))
    assert faults(bundle, release) == []
    assert is_withdrawal(bundle)
    for kind in ("DiagnosticReport", "Observation", "ImagingStudy"):
        [found] = resources(bundle, kind)
        assert found["status"] == "entered-in-error"
    assert [method for method, _ in requests(bundle)] == ["PUT", "PUT", "PUT", "POST"]
    assert not is_withdrawal(transaction(study(image()), release))
    grown = transaction(study(image(), image(2)), release, withdrawn=True)
    assert report_identifiers(grown) == report_identifiers(bundle)


def test_each_corrected_identity_has_resources_of_its_own():
    before, after = (transaction(study(image()), corrections=times) for times in (0, 1))
    for kind in ("DiagnosticReport", "Observation", "ImagingStudy"):
        [old], [new] = resources(before, kind), resources(after, kind)
        assert old["identifier"][-1] != new["identifier"][-1]
    assert resources(before, "Device") == resources(after, "Device")
    assert faults(after) == []


def test_a_study_without_results_is_registered():
    nothing = study(status="pending", completed_at=None, study_instance_uid=None)
    bundle = fhir_transaction(nothing, {}, IdentifierSystems(), Release.R4)
    assert faults(bundle) == []
    assert resources(bundle, "DiagnosticReport")[0]["status"] == "registered"


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=4),
    st.sampled_from(Release),
    st.booleans(),
    st.sampled_from([as_first, as_correction]),
)
def test_whatever_is_stored_makes_a_valid_transaction(found, release, withdrawn, form):
    images = [
        image(number, reading(value), superseded_by="f" * 64 if old else None)
        for number, (value, old) in enumerate(found, 1)
    ]
    bundle = transaction(study(*images), release, withdrawn=withdrawn)
    if form is as_correction or not withdrawn:
        assert faults(form(bundle), release) == []
