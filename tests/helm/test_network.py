"""What the world reaches, by which way, and what the pods reach."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.routing import Mount

from gateway.app.application import create_app
from gateway.schemas.routing import RoutingDocument
from gateway.settings import ConsoleSettings, Settings
from tests.helm.conftest import INGRESS
from tests.support.chart import Release, merged, refusal, render

EXPOSABLE = [
    *("studies", "dicomweb", "models", "events", "parked", "destinations", "rules", "console"),
    "documentation",
]
CONSOLE = {
    "settings": {"console": {"enabled": True}},
    "secretSettings": {"console": {"session_keys": {"secretName": "s", "key": "k"}}},
}
# Asked by Kubernetes, the load balancer and Prometheus, each straight at the pod.
INSIDE = {"/livez", "/readyz", "/metrics"}


def ingress(**values: Any) -> dict[str, Any]:
    return render(merged(INGRESS, {"ingress": values})).one("Ingress")


def ingress_of(values: dict[str, Any]) -> dict[str, Any]:
    return render(merged(INGRESS, values)).one("Ingress")


def annotation(found: dict[str, Any], name: str) -> str:
    return str(found["metadata"]["annotations"][f"alb.ingress.kubernetes.io/{name}"])


def attributes(found: dict[str, Any], name: str) -> dict[str, str]:
    return dict(each.split("=", 1) for each in annotation(found, name).split(","))


def paths(found: dict[str, Any]) -> list[tuple[str, str]]:
    [rule] = found["spec"]["rules"]
    return [(path["path"], path["pathType"]) for path in rule["http"]["paths"]]


def is_covered(path: str, rules: list[tuple[str, str]]) -> bool:
    return any(
        path == prefix or (kind == "Prefix" and path.startswith(f"{prefix}/"))
        for prefix, kind in rules
    )


def routes() -> set[str]:
    settings = Settings(console=ConsoleSettings(enabled=True))
    return {path for route in create_app(settings).routes for path in route_paths(route)}


def route_paths(route: Any) -> Iterator[str]:
    if hasattr(route, "original_router"):  # as FastAPI keeps an included router
        for each in route.original_router.routes:
            yield from route_paths(each)
    else:
        yield f"{route.path}/x" if isinstance(route, Mount) else route.path


def test_each_route_is_either_exposable_or_never_exposed():
    rules = paths(ingress_of(merged(CONSOLE, {"ingress": {"expose": EXPOSABLE}})))
    covered = {path for path in routes() if is_covered(path, rules)}
    assert routes() - covered == INSIDE
    for path, _ in rules:
        assert [route for route in routes() if is_covered(route, [(path, "Prefix")])], path


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"settings": CONSOLE["settings"]}, "secretSettings.console.session_keys"),
        ({"ingress": {"expose": ["console"]}}, "settings.console.enabled must be true"),
    ],
)
def test_a_console_comes_with_its_keys(values: dict[str, Any], reason: str):
    assert reason in refusal(merged(INGRESS, values))


def test_keys_of_sessions_come_from_a_secret():
    container = render(merged(INGRESS, CONSOLE)).container("gateway")
    [variable] = [
        each for each in container["env"] if each["name"] == "RADSTREAM_CONSOLE__SESSION_KEYS"
    ]
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "s", "key": "k"}}


def test_people_sign_in_with_the_provider_by_the_ingress_and_a_secret():
    host = "radstream.hospital.example"
    release = render(
        merged(
            merged(INGRESS, CONSOLE),
            {
                "settings": {
                    "console": {
                        "client_id": "radstream-console",
                        "redirect_uri": f"https://{host}/console/sign-in/callback",
                        "provider_parameters": {"audience": "radstream"},
                    }
                },
                "secretSettings": {"console": {"client_secret": {"secretName": "s", "key": "c"}}},
                "ingress": {"hosts": [host], "expose": ["console"]},
            },
        )
    )
    container, found = release.container("gateway"), release.one("Ingress")
    [secret] = [
        each for each in container["env"] if each["name"] == "RADSTREAM_CONSOLE__CLIENT_SECRET"
    ]
    assert secret["valueFrom"] == {"secretKeyRef": {"name": "s", "key": "c"}}
    console = ConsoleSettings(
        client_id=release.environment["RADSTREAM_CONSOLE__CLIENT_ID"],
        redirect_uri=release.environment["RADSTREAM_CONSOLE__REDIRECT_URI"],
        provider_parameters=json.loads(
            release.environment["RADSTREAM_CONSOLE__PROVIDER_PARAMETERS"]
        ),
    )
    [rule] = found["spec"]["rules"]
    way_back = urlsplit(console.redirect_uri)
    assert rule["host"] == way_back.hostname
    assert is_covered(str(way_back.path), paths(found))
    assert is_covered("/console/sign-in/provider", paths(found))
    assert not is_covered("/v1/studies", paths(found))


@pytest.mark.parametrize(
    "console",
    [
        {"client_secret": "written in the values"},
        {"session_keys": ["written in the values"]},
    ],
)
def test_secrets_of_the_console_do_not_stand_in_the_values(console: dict[str, Any]):
    assert "console" in refusal(
        merged(INGRESS, merged(CONSOLE, {"settings": {"console": console}}))
    )


def test_only_what_is_asked_for_is_exposed():
    assert paths(ingress()) == [
        ("/v1/studies", "Prefix"),
        ("/dicomweb/studies", "Prefix"),
        ("/dicomweb/series", "Exact"),
        ("/dicomweb/instances", "Exact"),
        ("/v1/models", "Prefix"),
    ]
    assert paths(ingress(expose=["events"])) == [("/v1/events/s3", "Exact")]


def test_the_load_balancer_speaks_tls_and_asks_for_readiness():
    found = ingress(
        hosts=["radstream.hospital.example", "ai.hospital.example"],
        certificateArns=[
            "arn:aws:acm:eu-central-1:1:certificate/x",
            "arn:aws:acm:eu-central-1:1:certificate/y",
        ],
        webAclArn="arn:aws:wafv2:eu-central-1:1:regional/webacl/x/y",
        accessLogs={"bucket": "logs", "prefix": "alb"},
        inboundCidrs=["192.0.2.0/24", "198.51.100.0/24"],
        subnets=["subnet-a", "subnet-b"],
        groupName="hospital",
        deletionProtection=True,
    )
    assert found["spec"]["ingressClassName"] == "alb"
    rules = found["spec"]["rules"]
    assert [each["host"] for each in rules] == ["radstream.hospital.example", "ai.hospital.example"]
    assert rules[0]["http"] == rules[1]["http"]
    assert annotation(found, "target-type") == "ip"
    assert annotation(found, "listen-ports") == '[{"HTTP": 80}, {"HTTPS": 443}]'
    assert annotation(found, "ssl-redirect") == "443"
    assert annotation(found, "ssl-policy").startswith("ELBSecurityPolicy-TLS13-1-2-")
    assert annotation(found, "certificate-arn") == (
        "arn:aws:acm:eu-central-1:1:certificate/x,arn:aws:acm:eu-central-1:1:certificate/y"
    )
    assert annotation(found, "wafv2-acl-arn").startswith("arn:aws:wafv2:")
    assert annotation(found, "healthcheck-path") == "/readyz"
    assert annotation(found, "inbound-cidrs") == "192.0.2.0/24,198.51.100.0/24"
    assert annotation(found, "subnets") == "subnet-a,subnet-b"
    assert annotation(found, "group.name") == "hospital"
    assert attributes(found, "load-balancer-attributes") == {
        "idle_timeout.timeout_seconds": "60",
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "deletion_protection.enabled": "true",
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": "logs",
        "access_logs.s3.prefix": "alb",
    }


def test_an_annotation_of_the_charts_can_be_replaced():
    found = ingress(annotations={"alb.ingress.kubernetes.io/success-codes": "200-299", "a": "b"})
    assert annotation(found, "success-codes") == "200-299"
    assert found["metadata"]["annotations"]["a"] == "b"


def test_what_is_not_given_is_not_said():
    names = {name.partition("/")[2] for name in ingress()["metadata"]["annotations"]}
    assert not {"wafv2-acl-arn", "inbound-cidrs", "subnets", "group.name"} & names


@pytest.mark.parametrize("probe_s", [0.1, 1, 2, 30])
def test_the_health_check_keeps_to_the_load_balancers_limits(probe_s: float):
    """An interval of 5 to 300 s and a timeout of 2 to 120 s (CreateTargetGroup)."""
    found = ingress_of({"settings": {"triton": {"probe_timeout_s": probe_s}}})
    interval = int(annotation(found, "healthcheck-interval-seconds"))
    timeout = int(annotation(found, "healthcheck-timeout-seconds"))
    assert 5 <= interval <= 300
    assert probe_s < timeout < interval
    assert 2 <= timeout <= 120


@pytest.mark.parametrize("request_s", [1, 30, 59.5, 600])
def test_no_answer_outlasts_the_load_balancers_patience(request_s: float):
    http = {"request_timeout_s": request_s, "grace_period_s": 600, "drain_delay_s": 33.3}
    release = render(merged(INGRESS, {"settings": {"http": http}}))
    found = release.one("Ingress")
    balancer = attributes(found, "load-balancer-attributes")
    assert int(balancer["idle_timeout.timeout_seconds"]) > request_s
    targets = attributes(found, "target-group-attributes")
    leaves = int(targets["deregistration_delay.timeout_seconds"])
    assert leaves >= 600 + 33.3
    assert leaves <= release.pod["terminationGracePeriodSeconds"]
    interval = int(annotation(found, "healthcheck-interval-seconds"))
    assert interval > int(annotation(found, "healthcheck-timeout-seconds"))


def test_the_load_balancer_may_not_be_told_to_give_up_first():
    said = refusal(merged(INGRESS, {"ingress": {"idleTimeoutSeconds": 29}}))
    assert "request_timeout_s lets an answer take 30" in said
    found = ingress(idleTimeoutSeconds=120, deregistrationDelaySeconds=300)
    balancer = attributes(found, "load-balancer-attributes")
    assert balancer["idle_timeout.timeout_seconds"] == "120"
    targets = attributes(found, "target-group-attributes")
    assert targets["deregistration_delay.timeout_seconds"] == "300"


def test_the_gateway_keeps_silent_connections_longer_than_the_load_balancer():
    release = render(merged(INGRESS, {"ingress": {"idleTimeoutSeconds": 100}}))
    assert int(release.environment["RADSTREAM_HTTP__KEEP_ALIVE_S"]) > 100
    given = {"settings": {"http": {"keep_alive_s": 100}}}
    said = refusal(merged(merged(INGRESS, given), {"ingress": {"idleTimeoutSeconds": 100}}))
    assert "keep_alive_s is 100, but the load balancer keeps a connection for 100" in said
    assert "RADSTREAM_HTTP__KEEP_ALIVE_S" not in render().environment


def test_a_gateway_with_a_certificate_is_asked_by_tls():
    folder = "/etc/radstream/secrets/tls"
    tls = {
        "settings": {"http": {"tls_certificate": f"{folder}/a.pem", "tls_key": f"{folder}/b.pem"}},
        "secretFiles": [{"name": "tls", "secretName": "tls"}],
        "monitoring": {"podMonitor": {"enabled": True}},
    }
    release = render(merged(INGRESS, tls))
    gateway = release.container("gateway")
    probes = [gateway[name]["httpGet"] for name in gateway if name.endswith("Probe")]
    assert {probe["scheme"] for probe in probes} == {"HTTPS"}
    assert annotation(release.one("Ingress"), "backend-protocol") == "HTTPS"
    schemes = [
        each.get("scheme") for each in release.one("PodMonitor")["spec"]["podMetricsEndpoints"]
    ]
    assert schemes == ["https", None]


def test_a_pod_that_drains_is_out_of_the_list_before_its_listener_closes():
    release = render(INGRESS)
    found = release.one("Ingress")
    noticed = int(annotation(found, "healthcheck-interval-seconds")) * int(
        annotation(found, "unhealthy-threshold-count")
    )
    assert float(release.environment["RADSTREAM_HTTP__DRAIN_DELAY_S"]) >= noticed


def test_the_load_balancers_log_goes_where_the_bucket_lets_it(examples: dict[str, Release]):
    found = examples["eks-production"].one("Ingress")
    balancer = attributes(found, "load-balancer-attributes")
    assert balancer["access_logs.s3.prefix"] == "alb"  # see serverless/resources/buckets.yml


def test_the_gateway_and_tritons_metrics_listen_in_the_pods_family(
    variants: dict[str, tuple[Release, Release]],
):
    on, off = variants["more"]
    for release, host, metrics in ((on, "::", "ipv6:::"), (off, "0.0.0.0", "0.0.0.0")):  # noqa: S104 - a pod's
        assert release.environment["RADSTREAM_HTTP__HOST"] == host
        assert f"--metrics-address={metrics}" in release.container("triton")["args"]


# --- the network policy ---------------------------------------------------------------------------


def policy(**values: Any) -> dict[str, Any]:
    spec: dict[str, Any] = render({"networkPolicy": values}).one("NetworkPolicy")["spec"]
    return spec


def ports(rule: dict[str, Any]) -> list[int]:
    return [port["port"] for port in rule["ports"]]


def test_clients_reach_the_gateway_and_prometheus_also_triton():
    client, prometheus = {"ipBlock": {"cidr": "10.1.0.0/16"}}, {"namespaceSelector": {}}
    spec = policy(clients=[client], prometheus=[prometheus])
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    studies, test, metrics = spec["ingress"]
    [pod] = [each for each in render().all("Pod") if "helm.sh/hook" in str(each)]
    selected = test["from"][0]["podSelector"]["matchLabels"]
    assert selected.items() <= pod["metadata"]["labels"].items()
    # The Service must not lead to it.
    assert not render().one("Service")["spec"]["selector"].items() <= selected.items()
    assert ports(test) == [8080]
    assert (studies["from"], ports(studies)) == ([client], [8080])
    assert (metrics["from"], ports(metrics)) == ([prometheus], [8080, 8002])
    release = render()
    opened = [port["containerPort"] for port in release.container("triton")["ports"]]
    opened += [port["containerPort"] for port in release.container("gateway")["ports"]]
    assert sorted(opened) == [8002, 8080]


def test_without_clients_the_namespace_is_the_world_but_not_behind_a_load_balancer():
    assert policy()["ingress"][0]["from"] == [{"podSelector": {}}]
    said = refusal(merged(INGRESS, {"networkPolicy": {"clients": []}}))
    assert "networkPolicy.clients must name the load balancer's subnets" in said


def test_pods_reach_names_https_and_their_credentials_and_nothing_else():
    dns, https, identity = policy()["egress"]
    assert ports(dns) == [53, 53]
    assert https["to"] == [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::254/128"]}},
    ]
    assert ports(https) == [443]
    assert identity["to"] == [
        {"ipBlock": {"cidr": "169.254.170.23/32"}},
        {"ipBlock": {"cidr": "fd00:ec2::23/128"}},
    ]
    assert ports(identity) == [80]
    collector = {"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": 4318}]}
    only_dns, extra = policy(httpsCidrs=[], podIdentity=False, extraEgress=[collector])["egress"]
    assert (ports(only_dns), extra) == ([53, 53], collector)


def test_the_policy_is_for_the_releases_pods_and_can_be_left_out(
    variants: dict[str, tuple[Release, Release]],
):
    on, off = variants["network-policy"]
    selector = on.one("NetworkPolicy")["spec"]["podSelector"]
    assert selector == on.one("Deployment")["spec"]["selector"]
    assert off.all("NetworkPolicy") == []


def test_the_service_leads_to_the_gateway(releases: dict[str, Release]):
    for release in releases.values():
        [port] = release.all("Service")[0]["spec"]["ports"]
        assert port["targetPort"] == "http"
        assert {"name": "http", "containerPort": 8080} in release.container("gateway")["ports"]
        for found in release.all("Ingress"):
            backends = re.findall(r"'port': {'name': '(\w+)'}", str(found))
            assert set(backends) == {port["name"]}


PACS = {"name": "pacs", "kind": "dicom", "ae_title": "PACS", "host": "pacs.test", "port": 104}


@pytest.mark.parametrize(
    ("destination", "port"),
    [
        (PACS, 104),
        ({"name": "vna", "kind": "stow", "url": "https://vna.test/dicom-web"}, 443),
        ({"name": "vna", "kind": "stow", "url": "http://vna.test/dicom-web"}, 80),
        ({"name": "vna", "kind": "stow", "url": "https://vna.test:8443/dicom-web"}, 8443),
    ],
)
def test_destinations_are_reached_by_their_ports_in_their_networks(
    destination: dict[str, Any], port: int
):
    release = render(
        {
            "routing": {"destinations": [destination]},
            "networkPolicy": {"destinationCidrs": ["10.30.0.0/16"]},
        }
    )
    rules = release.one("NetworkPolicy")["spec"]["egress"]
    [rule] = [each for each in rules if {"ipBlock": {"cidr": "10.30.0.0/16"}} in each["to"]]
    assert rule["ports"] == [{"protocol": "TCP", "port": port}]
    [document] = [
        each["data"]["routing.json"]
        for each in release.all("ConfigMap")
        if "routing.json" in each["data"]
    ]
    [found] = RoutingDocument.model_validate(json.loads(document)).destinations
    assert found.name == destination["name"]
    assert release.environment["RADSTREAM_ROUTING__FILE"] == "/etc/radstream/routing/routing.json"


def test_destinations_need_their_networks():
    assert "destinationCidrs" in refusal({"routing": {"destinations": [PACS]}})
