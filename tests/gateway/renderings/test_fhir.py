"""The bundle, held to two validators that are not ours, and to what both of them let through."""

import datetime as dt
import json
from typing import Any

import fhirkit
import pytest
from fhir.resources.bundle import Bundle as R5Bundle
from fhir.resources.R4B.bundle import Bundle as R4BBundle
from hypothesis import given
from hypothesis import strategies as st

from gateway.renderings.fhir import Release, fhir_bundle
from tests.support.studies import CODE, IDENTITY, image, reading, study


def faults(bundle: dict[str, Any], release: Release = Release.R4) -> list[str]:
    """Return the faults that the validators see, and references that lead nowhere."""
    urls = {entry["fullUrl"] for entry in bundle["entry"]}
    found = [f"leads nowhere: {url}" for url in references(bundle) if url not in urls]
    text = json.dumps(bundle)
    if release is Release.R5:
        R5Bundle.model_validate_json(text)
        return found
    R4BBundle.model_validate_json(text)
    return found + [str(issue) for issue in fhirkit.validate(text)]


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [url for item in node for url in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["reference"]] if "reference" in node else []
    return own + [url for item in node.values() for url in references(item)]


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = (entry["resource"] for entry in bundle["entry"])
    return [resource for resource in found if resource["resourceType"] == kind]


def test_the_report_is_preliminary_and_names_patient_order_and_study():
    bundle = fhir_bundle(study(image()), IDENTITY)
    assert faults(bundle) == []
    [report] = resources(bundle, "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert report["subject"]["identifier"]["value"] == "P-7"
    assert report["basedOn"][0]["identifier"]["value"] == "A-9"
    assert report["basedOn"][0]["identifier"]["type"]["coding"][0]["code"] == "ACSN"
    assert report["conclusion"] == (
        "Made by a machine. Not reviewed by a physician. Not for clinical use. Suggests "
        "pneumonia. Image 1, by cxr 1: 0.900, threshold 0.86."
    )
    [imaging] = resources(bundle, "ImagingStudy")
    assert imaging["identifier"][0] == {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}


@pytest.mark.parametrize(("probability", "code"), [(0.86, "POS"), (0.859, "NEG")])
def test_a_finding_has_probability_threshold_and_verdict(probability: float, code: str):
    bundle = fhir_bundle(study(image(1, reading(probability))), IDENTITY)
    [found] = resources(bundle, "Observation")
    assert found["status"] == "preliminary"
    assert found["code"] == {"text": "Probability of pneumonia", "coding": [CODE]}
    said = "Suggests pneumonia." if code == "POS" else "Does not suggest pneumonia."
    assert found["note"][0] == {"text": said}
    assert found["valueQuantity"]["value"] == probability
    assert found["component"][0]["valueQuantity"]["value"] == 0.86
    assert found["interpretation"][0]["coding"][0]["code"] == code
    [device] = resources(bundle, "Device")
    assert found["device"]["reference"] == f"urn:uuid:{device['id']}"
    assert device["version"] == [{"value": "1"}]


def test_a_model_that_is_not_applicable_gives_no_verdict():
    reason = "was made for AP views, not for the view PA"
    none = reading(applicable={"verdict": "not_applicable", "reason": reason})
    none["findings"] = [{"label": "pneumonia", "probability": 0.9, "threshold": 0.86}]
    bundle = fhir_bundle(study(image(1, none)), IDENTITY)
    assert faults(bundle) == []
    [found] = resources(bundle, "Observation")
    assert "interpretation" not in found
    said = f"No verdict on pneumonia: the model {reason}."
    assert found["note"][0] == {"text": said}
    assert said in resources(bundle, "DiagnosticReport")[0]["conclusion"]


def test_two_versions_of_a_model_are_two_devices_and_two_observations():
    bundle = fhir_bundle(study(image(1, reading(), reading(version="2"))), IDENTITY)
    assert faults(bundle) == []
    found = resources(bundle, "Observation")
    assert len({item["id"] for item in found}) == 2
    assert len(resources(bundle, "Device")) == 2
    [report] = resources(bundle, "DiagnosticReport")
    assert [item["reference"] for item in report["result"]] == [
        f"urn:uuid:{item['id']}" for item in found
    ]


def test_a_superseded_image_is_left_out():
    bundle = fhir_bundle(study(image(1, superseded_by="f" * 64), image(2)), IDENTITY)
    [found] = resources(bundle, "Observation")
    assert "Image 2" in found["note"][1]["text"]


def test_a_study_without_results_is_registered():
    nothing = study(status="pending", completed_at=None, study_instance_uid=None)
    bundle = fhir_bundle(nothing, {})
    assert faults(bundle) == []
    [report] = resources(bundle, "DiagnosticReport")
    assert report["status"] == "registered"
    assert not {"result", "issued", "subject", "basedOn"} & report.keys()


def test_a_repeat_has_the_same_identifiers_and_a_late_image_changes_none():
    once, later = (
        fhir_bundle(study(*images), IDENTITY) for images in ([image()], [image(), image(2)])
    )
    assert once == fhir_bundle(study(image()), IDENTITY)
    identifiers = [
        {entry["resource"]["identifier"][-1]["value"] for entry in bundle["entry"]}
        for bundle in (once, later)
    ]
    assert identifiers[0] < identifiers[1]


def test_r5_differs_where_r5_does():
    bundle = fhir_bundle(study(image()), IDENTITY, Release.R5)
    assert faults(bundle, Release.R5) == []
    assert resources(bundle, "DiagnosticReport")[0]["study"]
    assert resources(bundle, "Device")[0]["name"][0]["value"] == "Chest"


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)


@given(
    st.lists(st.tuples(st.floats(0, 1), texts, st.booleans()), max_size=4),
    st.none() | texts.filter(str.strip),
    st.sampled_from(Release),
)
def test_whatever_is_stored_makes_a_valid_bundle(found, patient, release):
    images = [
        image(
            number,
            reading(probability),
            sop_instance_uid="1.2.3.4" if dicom else None,
            received_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )
        | {"view": view}
        for number, (probability, view, dicom) in enumerate(found, 1)
    ]
    assert faults(fhir_bundle(study(*images), {"patient_id": patient}, release), release) == []
