"""DICOM in Kubernetes: a load balancer that keeps addresses, and senders that the pods know."""

import json
from typing import Any

from gateway.schemas.routing import RoutingDocument
from tests.helm.conftest import DIMSE
from tests.support.chart import Release, merged, refusal, render

PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"


def released(**values: Any) -> Release:
    return render(merged(DIMSE, values))


def service(release: Release) -> dict[str, Any]:
    [found] = [
        each for each in release.all("Service") if each["metadata"]["name"].endswith("dicom")
    ]
    return found


def test_the_load_balancer_lets_senders_in_and_keeps_their_addresses():
    found = service(released())
    spec, annotations = found["spec"], found["metadata"]["annotations"]
    assert (spec["type"], spec["loadBalancerClass"]) == ("LoadBalancer", "service.k8s.aws/nlb")
    assert spec["loadBalancerSourceRanges"] == ["10.20.0.0/16"]
    assert spec["ports"] == [{"name": "dicom", "port": 11112, "targetPort": "dicom"}]
    assert annotations[f"{PREFIX}scheme"] == "internal"
    assert annotations[f"{PREFIX}subnets"] == "subnet-a"
    assert annotations[f"{PREFIX}nlb-target-type"] == "ip"
    attributes = annotations[f"{PREFIX}target-group-attributes"].split(",")
    assert attributes == [
        "preserve_client_ip.enabled=true",
        "deregistration_delay.timeout_seconds=60",
    ]


def test_the_load_balancer_asks_for_readiness_over_http():
    annotations = service(released())["metadata"]["annotations"]
    assert annotations[f"{PREFIX}healthcheck-protocol"] == "HTTP"
    assert annotations[f"{PREFIX}healthcheck-port"] == "8080"
    assert annotations[f"{PREFIX}healthcheck-path"] == "/readyz"


def test_an_annotation_of_the_values_wins():
    found = service(released(dimse={"annotations": {f"{PREFIX}scheme": "internet-facing"}}))
    assert found["metadata"]["annotations"][f"{PREFIX}scheme"] == "internet-facing"


def test_the_gateway_listens_and_knows_its_senders():
    release = released()
    environment = release.environment
    assert environment["RADSTREAM_DIMSE__LISTEN"] == "true"
    assert environment["RADSTREAM_DIMSE__HOST"] == "0.0.0.0"  # noqa: S104 - of the pod
    [document] = [
        each["data"]["routing.json"]
        for each in release.all("ConfigMap")
        if "routing.json" in each["data"]
    ]
    [sender] = RoutingDocument.model_validate(json.loads(document)).senders
    assert (sender.name, sender.ae_title) == ("ward-3", "DX3")
    gateway = release.container("gateway")
    mounts = {mount["name"]: mount["mountPath"] for mount in gateway["volumeMounts"]}
    assert environment["RADSTREAM_ROUTING__FILE"] == f"{mounts['routing']}/routing.json"
    assert {"name": "dicom", "containerPort": 11112} in gateway["ports"]


def test_another_sender_rolls_no_pod():
    def template(release: Release) -> Any:
        return release.one("Deployment")["spec"]["template"]

    assert template(released()) == template(released(routing={"senders": []}))


def test_senders_alone_reach_the_port():
    rules = released().one("NetworkPolicy")["spec"]["ingress"]
    [rule] = [each for each in rules if {"protocol": "TCP", "port": 11112} in each.get("ports", ())]
    assert rule["from"] == [{"ipBlock": {"cidr": "10.20.0.0/16"}}]


def test_reports_on_storage_commitment_reach_their_senders_and_nobody_else():
    taking = {"name": "pacs", "ae_title": "PACS", "addresses": ["10.20.0.7"]}
    senders = [taking | {"storage_commitment": {"port": 1104}}, taking | {"name": "other"}]
    rules = released(routing={"senders": senders}).one("NetworkPolicy")["spec"]["egress"]
    [rule] = [each for each in rules if {"protocol": "TCP", "port": 1104} in each.get("ports", ())]
    assert rule["to"] == [{"ipBlock": {"cidr": "10.20.0.0/16"}}]


def test_a_pod_has_time_to_answer_the_instances_under_way():
    def seconds(release: Release) -> int:
        return int(release.pod["terminationGracePeriodSeconds"])

    assert seconds(released()) == seconds(render({})) + 35


def test_without_networks_of_senders_there_is_no_load_balancer():
    assert "dimse.sourceRanges" in refusal({"dimse": {"enabled": True}})
    assert "DICOM" not in str(render({}).all("Service"))
