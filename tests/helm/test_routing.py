"""The routing document and its tenants in Kubernetes, with or without DICOM."""

import json
from typing import Any

import pytest

from gateway.schemas.routing import RoutingDocument, Sender
from gateway.schemas.routing_senders import NamedSender
from helm.settings_schema import SCHEMA
from tests.support.chart import merged, refusal, render

TENANTS = {"settings": {"tenancy": {"tenants": ["north", "south"]}}}
STOP_RULE = {"name": "unfit", "model": "cxr_pneumonia", "failed_percent": 10}


def routed(**routing: Any) -> RoutingDocument | None:
    """Return the document of a release without DICOM; None where it has none."""
    release = render({"routing": routing})
    found = [each["data"] for each in release.all("ConfigMap") if "routing.json" in each["data"]]
    assert ("RADSTREAM_ROUTING__FILE" in release.environment) is bool(found)
    return RoutingDocument.model_validate_json(found[0]["routing.json"]) if found else None


def test_rules_need_no_dicom():
    assert routed() is None
    rule = {"name": "chest", "when": {"field": "metadata.body_part", "equals": "CHEST"}}
    document = routed(rules=[rule], otherwise={}, rules_off=["secondary-captures"], time_zone="UTC")
    assert document is not None
    assert [each.name for each in document.rules] == ["chest"]
    assert document.otherwise is not None
    only = routed(otherwise={})
    assert only is not None
    assert only.has_rules


def test_senders_by_key_token_and_path_need_no_dicom():
    senders = [
        {"name": "a", "key": "ris"},
        {"name": "b", "token_subject": "client-7"},
        {"name": "c", "prefix": "C-"},
    ]
    document = routed(senders=senders)
    assert document is not None
    assert [each.name for each in document.named_senders] == ["a", "b", "c"]
    assert "routing" in refusal({"routing": {"senders": [{"name": "a"}]}})


def test_the_values_take_all_that_a_routing_document_and_its_senders_may_have():
    values = json.loads(SCHEMA.read_text())["properties"]["routing"]["properties"]
    assert values.keys() == RoutingDocument.model_fields.keys() - {"schema_"}
    senders = values["senders"]["items"]["properties"]
    assert senders.keys() == Sender.model_fields.keys() | NamedSender.model_fields.keys()


def test_senders_have_tenants_and_tenants_quotas():
    document = routed(
        senders=[{"name": "a", "tenant": "north", "key": "ris"}],
        quotas=[{"tenant": "north", "studies_at_once": 8, "bytes_per_day": 200_000_000_000}],
    )
    assert document is not None
    assert [each.tenant for each in document.senders] == ["north"]
    assert [each.bytes_per_day for each in document.quotas] == [200_000_000_000]


def test_limits_of_models_health_alone_are_a_document():
    document = routed(stop_rules=[STOP_RULE])
    assert document is not None
    assert [each.name for each in document.stop_rules] == ["unfit"]


def test_a_document_of_the_store_has_no_file():
    stored = {"settings": {"routing": {"stored": True}}}
    dimse = {"dimse": {"enabled": True, "sourceRanges": ["10.20.0.0/16"]}}
    release = render(merged(stored, dimse))
    assert release.environment["RADSTREAM_ROUTING__STORED"] == "true"
    assert "RADSTREAM_ROUTING__FILE" not in release.environment
    assert not [each for each in release.all("ConfigMap") if "routing.json" in each["data"]]
    both = merged(stored, {"routing": {"otherwise": {}}})
    assert "settings.routing.stored" in refusal(both)


@pytest.mark.parametrize(
    ("values", "gateways"),
    [
        ({"replicas": 3}, "3"),
        ({"autoscaling": {"kind": "hpa", "maxReplicas": 12}}, "12"),
        ({"autoscaling": {"kind": "keda", "maxReplicas": 7}}, "7"),
        ({"replicas": 3, "settings": {"tenancy": {"gateways": 2}}}, "2"),
    ],
)
def test_tenants_quotas_are_shared_by_as_many_gateways_as_there_may_be(
    values: dict[str, Any], gateways: str
):
    environment = render(merged(TENANTS, values)).environment
    assert environment["RADSTREAM_TENANCY__GATEWAYS"] == gateways


def test_without_tenants_another_number_of_pods_changes_no_setting():
    assert render({"replicas": 3}).environment == render({"replicas": 4}).environment
