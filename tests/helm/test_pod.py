"""What a pod is: who starts and stops first, what it may do, what it asks of itself."""

import re
from typing import Any

import pytest

from gateway.runtime.file_changes import _LOOK_S
from tests.helm.conftest import DIGEST, OPTIONS
from tests.support.chart import Release, merged, refusal, render

MIB = 2**20
QUANTITY = {"Ki": 2**10, "Mi": MIB, "Gi": 2**30}


def containers(release: Release) -> list[dict[str, Any]]:
    return [*release.pod["initContainers"], *release.pod["containers"]]


def parsed(quantity: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", quantity).groups()  # type: ignore[union-attr]  # fails the test
    return float(number) * QUANTITY.get(unit, 1)


def arguments(container: dict[str, Any]) -> dict[str, str]:
    return dict(each.removeprefix("--").split("=", 1) for each in container["args"])


# --- Triton beside the gateway --------------------------------------------------------------------


def test_triton_starts_before_the_gateway_and_stops_after_it(releases: dict[str, Release]):
    for release in releases.values():
        *others, last = release.pod["initContainers"]
        assert (last["name"], last["restartPolicy"]) == ("triton", "Always")
        assert not [each for each in others if "restartPolicy" in each]
        assert release.pod["containers"][0]["name"] == "gateway"


def test_nobody_but_the_gateway_reaches_triton(releases: dict[str, Release]):
    for release in releases.values():
        triton = release.container("triton")
        given = arguments(triton)
        assert (given["allow-http"], given["grpc-address"]) == ("false", "127.0.0.1")
        asked = release.environment["RADSTREAM_TRITON__URL"]
        assert asked == f"{given['grpc-address']}:{given['grpc-port']}"
        assert [port["containerPort"] for port in triton["ports"]] == [int(given["metrics-port"])]


def test_both_see_the_same_memory_and_it_holds_what_the_gateway_may_fill():
    for shared in (0, 1, 64 * MIB, 2**30):
        release = render({"settings": {"triton": {"shared_memory_bytes": shared}}})
        [volume] = [each for each in release.pod["volumes"] if each["name"] == "shared-memory"]
        assert volume["emptyDir"]["medium"] == "Memory"
        assert parsed(volume["emptyDir"]["sizeLimit"]) >= shared + 256 * MIB
        assert release.environment["RADSTREAM_TRITON__SHARED_MEMORY_BYTES"] == str(shared)
        for name in ("gateway", "triton"):
            mounts = release.container(name)["volumeMounts"]
            assert {"name": "shared-memory", "mountPath": "/dev/shm"} in mounts  # noqa: S108 - Linux's own
    # A tensor's file belongs to its writer alone, so the two must be one user.
    assert release.pod["securityContext"]["runAsUser"] == 65532
    assert not [each for each in containers(release) if "runAsUser" in each["securityContext"]]


@pytest.mark.parametrize(
    ("triton", "allowed"),
    [
        ({}, False),
        ({"gpu": {"count": 1}}, True),
        ({"allowClientSharedMemory": True}, True),
        ({"gpu": {"count": 1}, "allowClientSharedMemory": False}, False),
    ],
)
def test_newer_tritons_are_told_to_share_memory_and_older_ones_do_not_hear_of_it(
    triton: dict[str, Any], allowed: bool
):
    release = render({"triton": triton})
    assert ("--allow-client-shm=true" in release.container("triton")["args"]) is allowed


def test_a_gpu_is_tritons_alone(variants: dict[str, tuple[Release, Release]]):
    on, off = variants["gpu"]
    assert on.container("triton")["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert on.container("triton")["resources"]["limits"]["memory"]
    assert "nvidia.com/gpu" not in str(on.container("gateway"))
    assert on.pod["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert "nvidia.com/gpu" not in str(off.objects)


def test_models_are_fetched_then_tuned_then_served():
    bucket = OPTIONS["models-in-a-bucket"][0]
    tuning = OPTIONS["tuning"][0]
    release = render(merged(bucket, tuning))
    assert [each["name"] for each in release.pod["initContainers"]] == [
        "models",
        "tuning",
        "triton",
    ]
    fetching, tuning_container, triton = release.pod["initContainers"]
    assert fetching["command"] == ["radstream", "models", "fetch"]
    assert fetching["args"] == [f"s3://radstream-a/models/{DIGEST}", "/model-repository"]
    assert tuning_container["command"][:4] == ["radstream", "models", "tune", "/model-repository"]
    assert arguments(triton)["model-repository"] == "/model-repository"
    [document] = [
        each["data"] for each in release.all("ConfigMap") if "tuning.json" in each["data"]
    ]
    assert document == {"tuning.json": '{"cxr_pneumonia":{"instances":2}}'}


def test_other_models_roll_the_pods():
    templates = {
        str(
            render(
                {"triton": {"models": {"source": "s3", "s3": {"bucket": "b-1", "digest": digest}}}}
            ).one("Deployment")["spec"]["template"]
        )
        for digest in (DIGEST, DIGEST[::-1])
    }
    assert len(templates) == 2


def test_models_of_the_image_are_copied_only_to_be_tuned(
    variants: dict[str, tuple[Release, Release]],
):
    on, off = variants["tuning"]
    assert on.container("models")["command"] == ["cp", "-R", "/models/.", "/model-repository"]
    assert on.container("models")["image"] == on.container("triton")["image"]
    assert [each["name"] for each in off.pod["initContainers"]] == ["triton"]
    assert arguments(off.container("triton"))["model-repository"] == "/models"


# --- probes ---------------------------------------------------------------------------------------


def test_each_probe_asks_the_right_question(releases: dict[str, Release]):
    for release in releases.values():
        gateway, triton = release.container("gateway"), release.container("triton")
        asked = {
            (container["name"], probe): container[probe]["httpGet"]
            for container in (gateway, triton)
            for probe in container
            if probe.endswith("Probe")
        }
        metrics = {"path": "/metrics", "port": "triton-metrics"}
        http = {"port": "http", "scheme": "HTTP"}
        assert asked == {
            ("gateway", "startupProbe"): {"path": "/livez", **http},
            ("gateway", "livenessProbe"): {"path": "/livez", **http},
            ("gateway", "readinessProbe"): {"path": "/readyz", **http},
            # Its port opens when the models are loaded. That they answer, /readyz asks.
            ("triton", "startupProbe"): metrics,
            ("triton", "livenessProbe"): metrics,
        }


def test_readiness_waits_longer_than_a_model_may_take_to_answer():
    release = render({"settings": {"triton": {"probe_timeout_s": 7.5}}})
    assert release.container("gateway")["readinessProbe"]["timeoutSeconds"] >= 8


def test_triton_has_the_time_to_load_that_it_was_given():
    probe = render({"triton": {"startSeconds": 901}}).container("triton")["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 901


def test_the_gateway_has_triton_restarted_by_a_file_in_a_volume_of_both(
    releases: dict[str, Release],
):
    for release in releases.values():
        gateway, triton = release.container("gateway"), release.container("triton")
        flag = {each["name"]: each.get("value") for each in triton["env"]}["RADSTREAM_RESTART_FLAG"]
        assert release.environment["RADSTREAM_TRITON__RESTART_FLAG"] == flag
        mount = {"name": "restart", "mountPath": flag.rpartition("/")[0]}
        assert mount in gateway["volumeMounts"]
        assert mount in triton["volumeMounts"]
        [volume] = [each for each in release.pod["volumes"] if each["name"] == "restart"]
        assert volume["emptyDir"] == {"sizeLimit": "1Mi"}
        # The container's command is the image's entry point, and its end is the container's.
        assert triton["command"] == ["radstream-triton", "tritonserver"]
        assert triton["restartPolicy"] == "Always"
        # Never by the gateway's own death.
        assert gateway["livenessProbe"]["httpGet"]["path"] == "/livez"


# --- the end of a pod -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("http", "telemetry", "triton", "margin"),
    [(25, 5, 10, 10), (0.5, 0.25, 3, 7), (600, 600, 600, 600)],
)
def test_the_grace_period_covers_every_step(
    http: float, telemetry: float, triton: int, margin: int
):
    release = render(
        {
            "settings": {
                "http": {"drain_delay_s": http, "grace_period_s": 44.4},
                "telemetry": {"drain_s": telemetry},
            },
            "triton": {"exitSeconds": triton},
            "shutdownMarginSeconds": margin,
        }
    )
    seconds = release.pod["terminationGracePeriodSeconds"]
    steps = http + 44.4 + telemetry + triton + margin
    assert steps <= seconds < steps + 1
    assert arguments(release.container("triton"))["exit-timeout-secs"] == str(triton)


def test_the_pod_drains_by_one_means_the_gateways_own(releases: dict[str, Release]):
    for release in releases.values():
        if release is not releases["more-on"]:
            assert not [each for each in containers(release) if "lifecycle" in each]
        assert float(release.environment["RADSTREAM_HTTP__DRAIN_DELAY_S"]) >= 20


def test_a_study_in_work_may_end():
    said = refusal({"settings": {"http": {"grace_period_s": 20, "request_timeout_s": 30}}})
    assert "a pod's end would cut off studies" in said


def test_a_roll_out_takes_no_pod_away_before_another_serves(releases: dict[str, Release]):
    for name, release in releases.items():
        strategy = release.one("Deployment")["spec"]["strategy"]
        if name in {"claim-on", "small-cpu"}:  # two gateways must not share a spool
            assert strategy == {"type": "Recreate"}
        else:
            assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_changed_settings_roll_out():
    def checksum(values: dict[str, Any]) -> str:
        template = render(values).one("Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    tuning = OPTIONS["tuning"][0]
    changed = [{}, {"settings": {"logs": {"level": "debug"}}}, tuning]
    assert len({checksum(values) for values in changed}) == 3
    assert checksum({}) == checksum({"service": {"port": 81}})


def test_pods_are_spread_over_zones_and_nodes(releases: dict[str, Release]):
    for name, release in releases.items():
        keys = [each["topologyKey"] for each in release.pod.get("topologySpreadConstraints", ())]
        off = name in {"scheduling-off", "small-cpu"}
        assert keys == ([] if off else ["kubernetes.io/hostname", "topology.kubernetes.io/zone"])
    constraints = releases["eks-production"].pod["topologySpreadConstraints"]
    assert [each["whenUnsatisfiable"] for each in constraints] == ["ScheduleAnyway"] * 2
    assert [each["nodeTaintsPolicy"] for each in constraints] == ["Honor"] * 2


def test_a_drained_node_takes_one_pod_at_a_time(variants: dict[str, tuple[Release, Release]]):
    on, off = variants["budget"]
    release = render()
    spec = release.one("PodDisruptionBudget")["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert spec["selector"] == release.one("Deployment")["spec"]["selector"]
    least = on.one("PodDisruptionBudget")["spec"]
    assert (least["minAvailable"], least.get("maxUnavailable")) == ("50%", None)
    assert off.all("PodDisruptionBudget") == []
    said = refusal({"podDisruptionBudget": {"maxUnavailable": None}})
    assert "podDisruptionBudget needs maxUnavailable or minAvailable" in said


# --- what it may do -------------------------------------------------------------------------------


def test_the_pod_keeps_to_the_restricted_pod_security_standard(releases: dict[str, Release]):
    for release in releases.values():
        pod = release.pod
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        allowed = {"configMap", "emptyDir", "ephemeral", "persistentVolumeClaim", "secret"}
        assert {key for volume in pod["volumes"] for key in volume} - {"name"} <= allowed
        for container in containers(release):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["runAsNonRoot"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert container["resources"]["limits"]["memory"]


def test_every_emptydir_is_bounded(releases: dict[str, Release]):
    for release in releases.values():
        for volume in release.pod["volumes"]:
            assert volume.get("emptyDir", {"sizeLimit": ""}).keys() >= {"sizeLimit"}


def test_kubernetes_gives_it_no_token_and_no_variables(releases: dict[str, Release]):
    for release in releases.values():
        assert release.pod["automountServiceAccountToken"] is False
        assert release.pod["enableServiceLinks"] is False
        for account in release.all("ServiceAccount"):
            assert account["automountServiceAccountToken"] is False


def test_the_role_of_aws_is_on_the_service_account(variants: dict[str, tuple[Release, Release]]):
    on, off = variants["service-account"]
    annotations = on.one("ServiceAccount")["metadata"]["annotations"]
    assert annotations == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x", "a": "b"}
    assert off.all("ServiceAccount") == []
    assert off.pod["serviceAccountName"] == "other"


def test_operators_add_variables_volumes_and_containers_of_their_own(
    variants: dict[str, tuple[Release, Release]],
):
    on, _ = variants["more"]
    gateway = on.container("gateway")
    assert gateway["env"] == [
        {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    assert {"secretRef": {"name": "more"}} in gateway["envFrom"]
    assert gateway["lifecycle"] == {"preStop": {"sleep": {"seconds": 1}}}
    for name in ("gateway", "triton"):
        mounts = on.container(name)["volumeMounts"]
        assert {"name": "ca", "mountPath": "/etc/ca"} in mounts
    assert {"name": "ca", "configMap": {"name": "ca"}} in on.pod["volumes"]
    assert [each["name"] for each in on.pod["containers"]] == ["gateway", "log-shipper"]
    assert on.one("Deployment")["spec"]["revisionHistoryLimit"] == 2


def test_labels_and_annotations_of_ours_can_be_repeated():
    """Each is rendered once: a key that stands twice is no valid YAML (see render)."""
    release = render(
        {
            "podAnnotations": {
                "kubectl.kubernetes.io/default-container": "triton",
                "checksum/config": "mine",
            },
            "podLabels": {"app.kubernetes.io/version": "2", "app.kubernetes.io/name": "other"},
            "commonLabels": {"app.kubernetes.io/name": "other", "team": "1"},
            "serviceAccount": {
                "roleArn": "arn:aws:iam::1:role/x",
                "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/y"},
            },
        }
    )
    pod = release.one("Deployment")["spec"]["template"]["metadata"]
    assert pod["annotations"]["kubectl.kubernetes.io/default-container"] == "triton"
    # What rolls the pods, and what they are selected by, stay ours.
    assert len(pod["annotations"]["checksum/config"]) == 64
    assert pod["labels"]["app.kubernetes.io/version"] == "2"
    assert pod["labels"]["app.kubernetes.io/name"] == "radstream"
    assert pod["labels"]["team"] == "1"
    account = release.one("ServiceAccount")["metadata"]["annotations"]
    assert account == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/y"}


# --- folders and secrets --------------------------------------------------------------------------


def test_the_spool_is_one_pods_own(variants: dict[str, tuple[Release, Release]]):
    on, off = variants["claim"]
    for release, kind in ((on, "persistentVolumeClaim"), (off, "ephemeral")):
        [data] = [each for each in release.pod["volumes"] if each["name"] == "data"]
        assert kind in data
        gateway = release.container("gateway")
        [mount] = [each for each in gateway["volumeMounts"] if each["name"] == "data"]
        assert mount["mountPath"] == gateway["workingDir"]
    for kind in ("emptyDir", "ephemeralClaim"):
        lost = {"replicas": 1, "data": {"kind": kind}}
        said = refusal(merged(lost, {"settings": {"audit": {"kind": "file", "bucket": None}}}))
        assert "the audit trail would end with the pod" in said
        said = refusal(merged(lost, {"settings": {"store": {"kind": "folder"}}}))
        assert "results would end with the pod" in said
    for values in ({"replicas": 2}, {"replicas": 1, "autoscaling": {"kind": "hpa"}}):
        claim = {"data": {"kind": "existingClaim", "claimName": "x"}}
        assert "serves one pod" in refusal(merged(claim, values))


def test_secrets_are_named_and_never_written(variants: dict[str, tuple[Release, Release]]):
    on, _ = variants["secrets"]
    environment = {each["name"]: each.get("valueFrom") for each in on.container("gateway")["env"]}
    assert environment["RADSTREAM_TELEMETRY__STUDY_REF_KEY"] == {
        "secretKeyRef": {"name": "s", "key": "k"}
    }
    files = {
        each["name"]: each["secret"] for each in on.pod["volumes"] if each["name"].startswith("sec")
    }
    assert files["secret-all"] == {"secretName": "s", "defaultMode": 0o440}
    assert files["secret-some"]["items"] == [{"key": "k", "path": "k"}]
    mounts = {each["mountPath"]: each for each in on.container("gateway")["volumeMounts"]}
    assert mounts["/etc/radstream/secrets/some"]["readOnly"] is True
    assert on.all("Secret") == []


def test_a_revoked_key_is_gone_within_two_minutes(
    variants: dict[str, tuple[Release, Release]],
):
    """The operator's interval, the kubelet's sync and cache, and the gateway's own look."""
    on, _ = variants["external-secret"]
    refresh_s = int(on.one("ExternalSecret")["spec"]["refreshInterval"].removesuffix("s"))
    kubelet_s = 80  # a sync each 60 s with jitter, and a watch that has to be told
    assert _LOOK_S <= 5
    assert refresh_s + kubelet_s + _LOOK_S <= 120
    # A subPath is never updated.
    for release in (on, variants["secrets"][0]):
        for container in containers(release):
            assert not [each for each in container["volumeMounts"] if "subPath" in each]


def test_an_external_secret_makes_the_secret_of_the_releases_name(
    variants: dict[str, tuple[Release, Release]],
):
    on, off = variants["external-secret"]
    spec = on.one("ExternalSecret")["spec"]
    assert spec["target"]["name"] == "radstream"
    assert spec["data"] == [{"secretKey": "a", "remoteRef": {"key": "b", "property": "c"}}]
    assert off.all("ExternalSecret") == []


@pytest.mark.parametrize(("cpu", "cpus"), [("2", 2), (3, 3), ("2500m", 3), (0.5, 1), ("1.5", 2)])
def test_the_gateway_works_with_the_cpus_it_requests(cpu: object, cpus: int):
    resources = {"gateway": {"resources": {"requests": {"cpu": cpu}}}}
    environment = render(resources).environment
    assert environment["RADSTREAM_LIMITS__IMAGE_THREADS"] == str(cpus)
    assert environment["RADSTREAM_ADMISSION__STUDIES"] == str(8 * cpus)
    given = {"limits": {"image_threads": 7}, "admission": {"studies": 70}}
    environment = render(merged(resources, {"settings": given})).environment
    assert environment["RADSTREAM_LIMITS__IMAGE_THREADS"] == "7"
    assert environment["RADSTREAM_ADMISSION__STUDIES"] == "70"
