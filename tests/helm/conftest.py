"""Each example rendered once, and the chart with each optional part on and off."""

from typing import Any

import pytest

from tests.support.chart import EXAMPLES, Release, example, render

EXTERNAL_SECRET = {
    "enabled": True,
    "store": {"name": "store"},
    "data": [{"key": "a", "remote": {"name": "b", "property": "c"}}],
}
SIDECAR = {
    "name": "log-shipper",
    "image": "registry.hospital.test/log-shipper:1",
    "resources": {
        "requests": {"cpu": "10m", "memory": "32Mi"},
        "limits": {"memory": "64Mi"},
    },
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
RUNBOOK = "https://wiki.hospital.test/operate"
DIGEST = "0123456789abcdef" * 4
INGRESS: dict[str, Any] = {
    "ingress": {"enabled": True, "certificateArns": ["arn:aws:acm:eu-central-1:1:certificate/x"]},
    "networkPolicy": {"clients": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]},
}
DIMSE: dict[str, Any] = {
    "dimse": {"enabled": True, "sourceRanges": ["10.20.0.0/16"], "subnets": ["subnet-a"]},
    "routing": {
        "senders": [{"name": "ward-3", "ae_title": "DX3", "addresses": ["10.20.3.14"]}],
    },
}
# Of each optional part the values with it and without it.
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "autoscaling-hpa": ({"autoscaling": {"kind": "hpa"}}, {"autoscaling": {"kind": "none"}}),
    "autoscaling-keda": ({"autoscaling": {"kind": "keda"}}, {"autoscaling": {"kind": "none"}}),
    "budget": (
        {"podDisruptionBudget": {"enabled": True, "minAvailable": "50%"}},
        {"podDisruptionBudget": {"enabled": False}},
    ),
    "claim": (
        {"replicas": 1, "data": {"kind": "existingClaim", "claimName": "x"}},
        {"data": {"kind": "ephemeralClaim", "storageClass": "gp3"}},
    ),
    "dashboards": (
        {"monitoring": {"dashboards": {"enabled": True, "annotations": {"folder": "x"}}}},
        {"monitoring": {"dashboards": {"enabled": False}}},
    ),
    "dimse": (DIMSE, {"dimse": {"enabled": False}}),
    "external-secret": (
        {"externalSecret": EXTERNAL_SECRET},
        {"externalSecret": {"enabled": False}},
    ),
    "gpu": ({"triton": {"gpu": {"count": 2}}}, {"triton": {"gpu": {"count": 0}}}),
    "ingress": (INGRESS, {"ingress": {"enabled": False}}),
    "more": (
        {
            "gateway": {
                "env": {
                    "HTTPS_PROXY": "http://proxy:3128",
                    "TOKEN": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                },
                "envFrom": [{"secretRef": {"name": "more"}}],
                "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
                "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
            },
            "triton": {"extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}]},
            "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
            "sidecars": [SIDECAR],
            "revisionHistoryLimit": 2,
            "ipFamily": "IPv6",
        },
        {"ipFamily": "IPv4"},
    ),
    "models-in-a-bucket": (
        {"triton": {"models": {"source": "s3", "s3": {"bucket": "radstream-a", "digest": DIGEST}}}},
        {"triton": {"models": {"source": "image"}}},
    ),
    "network-policy": (
        {"networkPolicy": {"enabled": True, "podIdentity": False, "httpsCidrs": []}},
        {"networkPolicy": {"enabled": False}},
    ),
    "pod-monitor": (
        {"monitoring": {"podMonitor": {"enabled": True}}},
        {"monitoring": {"podMonitor": {"enabled": False}}},
    ),
    "probe": (
        {
            "probe": {
                "enabled": True,
                "url": "https://radstream.hospital.test",
                "apiKey": {"secretName": "radstream"},
            }
        },
        {"probe": {"enabled": False}},
    ),
    "rules": (
        {
            "monitoring": {
                "rules": {"enabled": True, "labels": {"release": "x"}, "runbook": RUNBOOK}
            }
        },
        {"monitoring": {"rules": {"enabled": False}}},
    ),
    "scheduling": (
        {
            "priorityClassName": "high",
            "runtimeClassName": "nvidia",
            "nodeSelector": {"pool": "x"},
            "tolerations": [{"key": "x", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "imagePullSecrets": [{"name": "x"}],
            "podLabels": {"a": "b"},
            "podAnnotations": {"c": "d"},
            "commonLabels": {"e": "f"},
        },
        {"topologySpread": {"enabled": False}},
    ),
    "secrets": (
        {
            "secretSettings": {"telemetry": {"study_ref_key": {"secretName": "s", "key": "k"}}},
            "secretFiles": [
                {"name": "all", "secretName": "s"},
                {"name": "some", "secretName": "s", "keys": ["k"]},
            ],
        },
        {"secretSettings": {}, "secretFiles": []},
    ),
    "service-account": (
        {"serviceAccount": {"roleArn": "arn:aws:iam::1:role/x", "annotations": {"a": "b"}}},
        {"serviceAccount": {"create": False, "name": "other"}},
    ),
    "tuning": (
        {"triton": {"tuning": {"cxr_pneumonia": {"instances": 2}}}},
        {"triton": {"tuning": {}}},
    ),
}


@pytest.fixture(scope="session")
def examples() -> dict[str, Release]:
    return {path.stem: example(path.stem) for path in EXAMPLES}


@pytest.fixture(scope="session")
def variants() -> dict[str, tuple[Release, Release]]:
    """With and without each optional part."""
    return {name: (render(on), render(off)) for name, (on, off) in OPTIONS.items()}


@pytest.fixture(scope="session")
def releases(
    examples: dict[str, Release], variants: dict[str, tuple[Release, Release]]
) -> dict[str, Release]:
    """Everything that the tests render, by name."""
    both = {
        f"{name}-{state}": release
        for name, pair in variants.items()
        for state, release in zip(("on", "off"), pair, strict=True)
    }
    return examples | both
