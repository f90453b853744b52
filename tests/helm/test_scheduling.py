"""Pods fit the nodes of helm/eks/cluster.yaml, and as many nodes can be had as the pods need."""

import re
from typing import Any

import pytest
import yaml

from bench.autoscaling.__main__ import NODE_NEW_S
from tests.support.chart import ROOT, Release

CLUSTER = yaml.safe_load((ROOT / "helm/eks/cluster.yaml").read_text())
GROUPS = {each["name"]: each for each in CLUSTER["managedNodeGroups"]}
# A .2xlarge of each family named there: 8 vCPUs and at least 16 GiB (EC2's own specifications).
VCPUS, MEMORY_GIB, GPUS = 8, 16, 1
# Kept by a kubelet of EKS for itself: 6 %, 1 %, 0.5 %, 0.5 % of the cores one by one, then 0.25 %;
# of memory 255 MiB, 11 MiB for each of 58 pods, 100 MiB before it evicts (the AMI's bootstrap).
RESERVED_CPU = 0.06 + 0.01 + 0.005 + 0.005 + 0.0025 * (VCPUS - 4)
RESERVED_GIB = (255 + 11 * 58 + 100) / 1024
# Requested by what runs on every node: network, proxy, credentials, volumes, metrics and logs.
DAEMONS_CPU, DAEMONS_GIB = 0.45, 0.6
# For the cluster's own pods: DNS, controllers, Prometheus and Grafana.
SYSTEM_NODES = 1


def requested(release: Release, resource: str) -> float:
    """Sum over what runs at the same time: containers and sidecars, not what ran before them."""
    running = [
        *release.pod["containers"],
        *(each for each in release.pod["initContainers"] if each.get("restartPolicy") == "Always"),
    ]
    return sum(quantity(each["resources"]["requests"][resource]) for each in running)


def quantity(text: Any) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(m|Mi|Gi)?", str(text)).groups()  # type: ignore[union-attr]  # fails the test
    return float(number) * {"m": 0.001, "Mi": 2**-10, "Gi": 1, None: 1}[unit]


def pods_per_node(release: Release) -> int:
    by_cpu = (VCPUS - RESERVED_CPU - DAEMONS_CPU) / requested(release, "cpu")
    by_memory = (MEMORY_GIB - RESERVED_GIB - DAEMONS_GIB) / requested(release, "memory")
    return int(min(by_cpu, by_memory))


def most_pods(release: Release) -> int:
    """The most that the autoscaler asks for, and the one more that a roll-out adds."""
    deployment = release.one("Deployment")["spec"]
    scalers = release.all("HorizontalPodAutoscaler")
    replicas = scalers[0]["spec"]["maxReplicas"] if scalers else deployment["replicas"]
    return int(replicas) + int(deployment["strategy"]["rollingUpdate"]["maxSurge"])


def test_two_pods_share_a_node(examples: dict[str, Release]):
    assert pods_per_node(examples["eks-production"]) == 2


def test_the_group_has_nodes_for_as_many_pods_as_the_autoscaler_may_ask_for(
    examples: dict[str, Release],
):
    release = examples["eks-production"]
    group = GROUPS[release.pod["nodeSelector"]["radstream/pool"]]
    assert all(each.endswith(".2xlarge") for each in group["instanceTypes"])
    room = (group["maxSize"] - SYSTEM_NODES) * pods_per_node(release)
    assert room >= most_pods(release)
    # A roll-out before any node is added, and while a node of the fewest is lost.
    fewest = release.one("HorizontalPodAutoscaler")["spec"]["minReplicas"]
    assert (group["minSize"] - SYSTEM_NODES) * pods_per_node(release) >= fewest + 1


def test_the_gpu_group_has_a_node_for_each_pod(examples: dict[str, Release]):
    release = examples["gpu"]
    group = GROUPS[release.pod["nodeSelector"]["radstream/pool"]]
    assert all(each.endswith(".2xlarge") for each in group["instanceTypes"])
    assert release.container("triton")["resources"]["limits"]["nvidia.com/gpu"] == GPUS
    assert pods_per_node(release) == 1
    assert group["maxSize"] >= most_pods(release)


def test_no_constraint_waits_for_a_zone_that_the_autoscaler_of_nodes_cannot_choose(
    examples: dict[str, Release],
):
    for name in ("eks-production", "gpu"):
        pod = examples[name].pod
        zones = GROUPS[pod["nodeSelector"]["radstream/pool"]].get("availabilityZones", ())
        for each in pod["topologySpreadConstraints"]:
            assert each["whenUnsatisfiable"] == "ScheduleAnyway" or len(zones) == 1


def test_the_documented_upgrade_waits_for_every_pod(examples: dict[str, Release]):
    page = (ROOT / "docs/deploy-eks.md").read_text()
    minutes = [int(each) for each in re.findall(r"--wait --timeout (\d+)m", page)]
    assert len(minutes) >= 3
    # Pods are replaced one by one, each perhaps on a node that has to be made.
    assert min(minutes) * 60 >= most_pods(examples["eks-production"]) * NODE_NEW_S


def test_the_autoscaler_of_nodes_may_empty_a_node():
    """Every pod has folders of its own (emptyDir), which it takes for a reason to keep the node."""
    page = (ROOT / "docs/deploy-eks.md").read_text()
    assert "--set extraArgs.skip-nodes-with-local-storage=false" in page


@pytest.mark.parametrize("claim", ["prometheus"])
def test_volumes_have_a_driver_and_a_class(claim: str):
    assert "aws-ebs-csi-driver" in {each["name"] for each in CLUSTER["addons"]}
    values = yaml.safe_load((ROOT / "helm/prometheus-stack.yaml").read_text())
    template = values[claim]["prometheusSpec"]["storageSpec"]["volumeClaimTemplate"]["spec"]
    page = (ROOT / "docs/deploy-eks.md").read_text()
    [documents] = re.findall(
        r"^(apiVersion: storage\.k8s\.io/v1\n.*?)^EOF$", page, re.MULTILINE | re.DOTALL
    )
    storage_class = yaml.safe_load(documents)
    assert template["storageClassName"] == storage_class["metadata"]["name"]
    assert storage_class["provisioner"] == "ebs.csi.aws.com"
    assert storage_class["parameters"]["encrypted"] == "true"


def test_prometheus_keeps_what_the_objectives_look_back_at():
    rules = [path.read_text() for path in (ROOT / "helm/radstream/rules").glob("*.yaml")]
    days = [int(each) for text in rules for each in re.findall(r"\[(\d+)d\]", text)]
    values = yaml.safe_load((ROOT / "helm/prometheus-stack.yaml").read_text())
    assert days
    assert int(values["prometheus"]["prometheusSpec"]["retention"].removesuffix("d")) > max(days)


def test_the_cluster_is_upgraded_rather_than_paid_for_longer():
    assert CLUSTER["upgradePolicy"] == {"supportType": "STANDARD"}
