"""The named queries over audit trail and AWS's logs, run by DuckDB over the tables' columns.

Rows of the audit trail are as the gateway writes them, those of AWS's logs as its documentation
shows them. sqlglot translates from Athena's dialect; that Athena itself takes them only AWS shows.
"""

import datetime as dt
import json
import re
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from gateway.schemas.audit import AuditRecord
from tests.serverless.glue_tables import Tables, columns_of
from tests.serverless.log_records import LONG_AGO, NOW, YESTERDAY, finding, record, refusal
from tests.support.aws import ROOT, Package


@pytest.fixture
def security_queries(dev: Package) -> dict[str, dict[str, Any]]:
    """The named queries that are not over the telemetry."""
    named = dev.of_type("AWS::Athena::NamedQuery").items()
    return {key: query for key, query in named if query["WorkGroup"] != {"Ref": "Workgroup"}}


# --- files, workgroup and partitions --------------------------------------------------------------


def test_every_query_is_as_it_stands_in_its_file(
    security_queries: dict[str, dict[str, Any]],
) -> None:
    files = sorted(path.read_text() for path in (ROOT / "serverless/security").glob("*.sql"))
    queries = security_queries.values()
    assert sorted(query["QueryString"] for query in queries) == files
    for query in queries:
        title, *about = query["QueryString"].splitlines()
        assert title == f"-- {query['Name']}"
        comment = " ".join(line.removeprefix("-- ") for line in about if line.startswith("--"))
        assert comment.startswith(query["Description"])
        assert len(query["Description"]) <= 1024  # AWS's limit


def test_their_answers_lie_apart_from_the_telemetry(
    security_queries: dict[str, dict[str, Any]], dev: Package
) -> None:
    assert all(
        query["WorkGroup"] == {"Ref": "SecurityWorkgroup"} for query in security_queries.values()
    )
    group = dev.properties("SecurityWorkgroup")["WorkGroupConfiguration"]
    assert "LogsBucket" in json.dumps(group["ResultConfiguration"]["OutputLocation"])


def test_only_the_days_asked_for_are_opened(
    security_queries: dict[str, dict[str, Any]], dev: Package
) -> None:
    """Athena prunes by what it can compute before it reads: a column against a constant."""
    partitions = {
        table["TableInput"]["Name"]: table["TableInput"]["PartitionKeys"][0]
        for table in dev.of_type("AWS::Glue::Table").values()
    }
    rollups = dev.of_type("AWS::Athena::PreparedStatement").values()
    queries = [query["QueryString"] for query in security_queries.values()]
    for query in queries + [rollup["QueryStatement"] for rollup in rollups]:
        for table in sqlglot.parse_one(query, read="athena").find_all(exp.Table):
            scan = table.find_ancestor(exp.Select)
            # A WITH of the query's own, and the table that a rollup inserts into.
            if table.name not in partitions or scan is None:
                continue
            partition = partitions[table.name]
            since = r"CURRENT_DATE - INTERVAL '\d+' DAY"
            if partition["Type"] == "string":
                since = rf"DATE_FORMAT\({since}, '%Y/%m/%d'\)"
            where = scan.args["where"].this
            conditions = [
                condition.sql("athena", comments=False)
                for condition in (where.flatten() if isinstance(where, exp.And) else [where])
            ]
            wanted = re.compile(f"{partition['Name']} >= {since}")
            assert any(map(wanted.fullmatch, conditions))


def test_the_days_are_projected_where_they_are_delivered(dev: Package) -> None:
    for table in dev.of_type("AWS::Glue::Table").values():
        found = table["TableInput"]
        location = found["StorageDescriptor"]["Location"]["Fn::Sub"]
        [partition] = found["PartitionKeys"]
        template = found["Parameters"].get("storage.location.template")
        if template is not None:
            day = template["Fn::Sub"].removeprefix(location).removesuffix("/")
            assert day == f"${{!{partition['Name']}}}"


# --- audit ----------------------------------------------------------------------------------------


def test_the_audit_table_has_the_records_fields(dev: Package) -> None:
    table = dev.properties("AuditTable")["TableInput"]
    fields = AuditRecord.model_fields.items()
    assert list(columns_of(table)) == [field.alias or name for name, field in fields]


def test_who_saw_a_study(tables: Tables) -> None:
    hour_ago = NOW - dt.timedelta(hours=1)
    tables.fill(
        "AuditTable",
        [
            (hour_ago, record("pacs", ["X", "Y"], hour_ago)),
            (NOW, record("ris", ["X"], NOW, outcome="refused")),
            (NOW, record("other", ["Y"], NOW)),
            (LONG_AGO, record("long-ago", ["X"], LONG_AGO)),
        ],
    )
    found = [(row["agent_name"], row["outcome"]) for row in tables.ask("WhoSawStudyQuery", "X")]
    assert found == [("ris", "refused"), ("pacs", "success")]


def test_denied_requests_by_day_caller_operation_and_status(tables: Tables) -> None:
    denied: dict[str, Any] = {"outcome": "refused", "status": 403, "address": "192.0.2.7"}
    nobody: dict[str, Any] = {
        "outcome": "refused",
        "status": 401,
        "agent": {"kind": "anonymous", "name": ""},
    }
    tables.fill(
        "AuditTable",
        [
            (NOW, record("ris", ["X"], NOW, **denied)),
            (NOW, record("ris", ["Y"], NOW, **denied)),
            (NOW, record("pacs", ["X"], NOW, left_out=40)),
            (NOW, record("", [], NOW, **nobody, left_out=2)),
            (YESTERDAY, record("ris", ["X"], YESTERDAY, **denied)),
            (YESTERDAY, record("pacs", ["X"], YESTERDAY, outcome="failed", status=503)),
            (LONG_AGO, record("ris", ["X"], LONG_AGO, **denied)),
        ],
    )
    names = ("recorded_on", "agent_kind", "agent_name", "address", "operation", "status")
    read = "GET /v1/studies/{study_id}"
    counted = {
        tuple(row[name] for name in names): row["requests"]
        for row in tables.ask("DeniedRequestsQuery")
    }
    today, day_before = NOW.date(), YESTERDAY.date()
    assert counted == {
        (today, "key", "ris", "192.0.2.7", read, 403): 2,
        (today, "anonymous", "", None, read, 401): 1,
        (today, "anonymous", None, None, "not recorded one by one", None): 42,
        (day_before, "key", "ris", "192.0.2.7", read, 403): 1,
    }


# --- CloudTrail -----------------------------------------------------------------------------------


def s3_event(name: str, key: str, when: dt.datetime, **fields: Any) -> dict[str, Any]:
    """A data event, as the CloudTrail User Guide shows them."""
    bucket = "radstream-dev-results-123456789012-eu-central-1"
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROACKCEVSQ6C2EXAMPLE:jdoe",
            "arn": "arn:aws:sts::123456789012:assumed-role/Admin/jdoe",
            "accountId": "123456789012",
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {
                "attributes": {"creationDate": "2026-11-27T06:00:00Z", "mfaAuthenticated": "true"},
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROACKCEVSQ6C2EXAMPLE",
                    "arn": "arn:aws:iam::123456789012:role/Admin",
                    "accountId": "123456789012",
                    "userName": "Admin",
                },
            },
        },
        "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "s3.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "[aws-cli/2.22.0]",
        "requestParameters": {
            "bucketName": bucket,
            "Host": f"{bucket}.s3.eu-central-1.amazonaws.com",
            "key": key,
        },
        "responseElements": None,
        "additionalEventData": {"SignatureVersion": "SigV4", "bytesTransferredOut": 3012},
        "requestID": "79104EXAMPLEB723",
        "eventID": "cdc4b7ed-e171-4cef-975a-ad829d4123e8",
        "readOnly": name.startswith("Get"),
        "resources": [
            {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"},
            {
                "accountId": "123456789012",
                "type": "AWS::S3::Bucket",
                "ARN": f"arn:aws:s3:::{bucket}",
            },
        ],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "recipientAccountId": "123456789012",
        "eventCategory": "Data",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"},
        **fields,
    }


def test_who_touched_a_studys_objects(tables: Tables) -> None:
    refused = {"errorCode": "AccessDenied", "errorMessage": "Access Denied"}
    service = {"type": "AWSService", "invokedBy": "s3.amazonaws.com"}
    tables.fill(
        "CloudTrailTable",
        [
            (YESTERDAY, s3_event("GetObject", "results/S-1/result.json", YESTERDAY)),
            (NOW, s3_event("DeleteObject", "images/S-1/study.jpg", NOW, **refused)),
            (
                YESTERDAY,
                s3_event(
                    "PutObject",
                    "results/S-1/images/00/image-0.jpg",
                    YESTERDAY - dt.timedelta(hours=1),
                    userIdentity=service,
                ),
            ),
            (NOW, s3_event("GetObject", "results/S-11/result.json", NOW)),
            (LONG_AGO, s3_event("GetObject", "results/S-1/result.json", LONG_AGO)),
            (
                NOW,
                s3_event(
                    "Decrypt", "", NOW, eventSource="kms.amazonaws.com", requestParameters=None
                ),
            ),
        ],
    )
    found = tables.ask("StudyObjectsQuery", "S-1")
    admin = "arn:aws:sts::123456789012:assumed-role/Admin/jdoe"
    assert [
        (row["eventname"], row["identity"], row["object_key"], row["errorcode"]) for row in found
    ] == [
        ("DeleteObject", admin, "images/S-1/study.jpg", "AccessDenied"),
        ("GetObject", admin, "results/S-1/result.json", None),
        ("PutObject", "s3.amazonaws.com", "results/S-1/images/00/image-0.jpg", None),
    ]
    assert {row["sourceipaddress"] for row in found} == {"192.0.2.7"}


def test_the_trail_lies_where_its_table_looks(prod: Package) -> None:
    trail = prod.properties("Trail")
    location = prod.properties("CloudTrailTable")["TableInput"]["StorageDescriptor"]["Location"]
    assert trail["S3BucketName"] == {"Ref": "LogsBucket"}
    assert location["Fn::Sub"].startswith(f"s3://${{LogsBucket}}/{trail['S3KeyPrefix']}/AWSLogs/")


# --- the firewall ---------------------------------------------------------------------------------


def test_refused_by_the_firewall_by_rule_country_and_path(tables: Tables) -> None:
    managed: dict[str, Any] = {
        "terminatingRuleType": "MANAGED_RULE_GROUP",
        "ruleGroupList": [
            {
                "ruleGroupId": "AWS#AWSManagedRulesCommonRuleSet",
                "terminatingRule": None,
                "nonTerminatingMatchingRules": [],
                "excludedRules": None,
            },
            {
                "ruleGroupId": "AWS#AWSManagedRulesSQLiRuleSet",
                "terminatingRule": {
                    "ruleId": "SQLi_QUERYARGUMENTS",
                    "action": "BLOCK",
                    "ruleMatchDetails": None,
                },
                "nonTerminatingMatchingRules": [],
                "excludedRules": None,
            },
        ],
    }
    tables.fill(
        "WafTable",
        [
            (NOW, refusal("Rate", "/v1/models", NOW)),
            (YESTERDAY, refusal("Sqli", "/v1/studies", YESTERDAY, **managed)),
            (NOW, refusal("Sqli", "/v1/studies", NOW, **managed)),
            (NOW, refusal("Default_Action", "/v1/studies", NOW, action="ALLOW")),
            (LONG_AGO, refusal("Rate", "/v1/models", LONG_AGO)),
        ],
    )
    sqli, rate = tables.ask("FirewallBlocksQuery")
    assert [rate[name] for name in ("rule", "managed_rule", "country", "path", "requests")] == [
        "Rate",
        "",
        "AU",
        "/v1/models",
        1,
    ]
    assert (sqli["rule"], sqli["managed_rule"]) == ("Sqli", "SQLi_QUERYARGUMENTS")
    assert (sqli["requests"], sqli["addresses"], sqli["method"]) == (2, 1, "GET")
    assert sqli["first_at"] == f"{YESTERDAY:%Y-%m-%d %H:%M:%S}"
    assert sqli["last_at"] == f"{NOW:%Y-%m-%d %H:%M:%S}"


def test_the_firewalls_log_lies_where_its_table_looks(dev: Package) -> None:
    logging = dev.properties("WebAclLogging")
    assert logging["LogDestinationConfigs"] == [{"Fn::GetAtt": ["WafBucket", "Arn"]}]
    location = dev.properties("WafTable")["TableInput"]["StorageDescriptor"]["Location"]
    folder = "AWSLogs/${AWS::AccountId}/WAFLogs/${AWS::Region}"
    name = dev.properties("WebAcl")["Name"]
    assert location["Fn::Sub"] == f"s3://${{WafBucket}}/{folder}/{name}/"


# --- the load balancer ----------------------------------------------------------------------------

# The example of the page "Access logs for your Application Load Balancer", one line there.
ANSWERED = (
    "https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 "
    '10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" '
    '"curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
    "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "
    '"Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" '
    '"arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012" '
    '1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" '
    'TID_1234abcd5678ef90 "m.example.com" "-" "TransformSuccess"'
)
SLOW_FAULT = ANSWERED.replace("0.086 0.048 0.037 200 200", "0.086 12.5 0.037 500 500").replace(
    "22:23:00", "22:24:00"
)
NO_TARGET = ANSWERED.replace("10.0.0.1:80 0.086 0.048 0.037 200 200", "- -1 -1 -1 503 -").replace(
    '"10.0.0.1:80" "200"', '"-" "-"'
)


def access_log_rows(dev: Package) -> list[dict[str, Any]]:
    """The lines as RegexSerDe reads them: a column for each group, null where it is no number."""
    description = dev.properties("LoadBalancerTable")["TableInput"]["StorageDescriptor"]
    pattern = description["SerdeInfo"]["Parameters"]["input.regex"]
    columns = columns_of({"StorageDescriptor": description})
    rows = []
    for line in (ANSWERED, SLOW_FAULT, NO_TARGET):
        matched = re.fullmatch(pattern, line)
        assert matched is not None
        values = zip(columns.items(), matched.groups(), strict=False)
        rows.append(
            {name: value if kind == "string" else value or None for (name, kind), value in values}
        )
    return rows


def test_the_access_logs_fields_fall_into_their_columns(dev: Package) -> None:
    first, _, none = access_log_rows(dev)
    assert first["type"] == "https"
    assert (first["target_ip"], first["target_port"]) == ("10.0.0.1", "80")
    assert (first["request_verb"], first["request_url"], first["request_proto"]) == (
        "GET",
        "https://www.example.com:443/",
        "HTTP/1.1",
    )
    assert first["conn_trace_id"] == "TID_1234abcd5678ef90"
    assert (none["target_ip"], none["target_port"]) == ("", None)


def test_faults_and_slow_answers_by_target(tables: Tables, dev: Package) -> None:
    rows = access_log_rows(dev)
    tables.fill(
        "LoadBalancerTable", [*((NOW, row) for row in rows), *((LONG_AGO, row) for row in rows)]
    )
    gateway, none = tables.ask("FaultsByTargetQuery")
    counts = ("target", "requests", "answers_5xx", "load_balancers_own_5xx", "slow", "max_s")
    assert [gateway[name] for name in counts] == ["10.0.0.1", 2, 1, 0, 1, 12.5]
    assert gateway["p95_s"] <= 12.5
    assert gateway["last_5xx_at"] == "2018-07-02T22:24:00.186641Z"
    assert [none[name] for name in counts] == ["none", 1, 1, 1, 0, None]


def test_the_load_balancers_log_lies_where_its_table_looks(dev: Package) -> None:
    location = dev.properties("LoadBalancerTable")["TableInput"]["StorageDescriptor"]["Location"]
    [written] = [
        statement
        for statement in dev.properties("LogsBucketPolicy")["PolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    ]
    folder = written["Resource"]["Fn::Sub"].removeprefix("${LogsBucket.Arn}").removesuffix("*")
    assert location["Fn::Sub"].startswith(f"s3://${{LogsBucket}}{folder}elasticloadbalancing/")
    [(bucket, prefix)] = re.findall(
        r"accessLogs: \{bucket: (\S+), prefix: (\S+)\}",
        (ROOT / "docs/deploy-eks.md").read_text(),
    )
    assert (bucket, f"/{prefix}/AWSLogs/${{AWS::AccountId}}/") == ("$LOGS", folder)


# --- GuardDuty ------------------------------------------------------------------------------------


def test_each_finding_stands_as_it_was_seen_last(tables: Tables) -> None:
    tables.fill(
        "GuardDutyTable",
        [
            (NOW, finding("a", NOW, 5, 9)),
            (YESTERDAY, finding("a", YESTERDAY, 2, 1)),
            (YESTERDAY, finding("b", YESTERDAY, 8.0, 1)),
            (LONG_AGO, finding("c", LONG_AGO, 8, 1)),
        ],
    )
    severe, repeated = tables.ask("FindingsQuery")
    assert (severe["id"], severe["severity"]) == ("b", 8)
    assert repeated == {
        "id": "a",
        "type": "Exfiltration:S3/AnomalousBehavior",
        "severity": 5,
        "title": "Seen 9 times",
        "resource_type": "AccessKey",
        "times_seen": 9,
        "first_seen": "2026-11-20T06:00:00.000Z",
        "last_seen": NOW.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }


def test_findings_are_exported_to_where_their_table_looks(prod: Package) -> None:
    export = prod.properties("FindingsExport")
    assert export["DestinationProperties"] == {
        "DestinationArn": {"Fn::GetAtt": ["LogsBucket", "Arn"]},
        "KmsKeyArn": {"Fn::GetAtt": ["Key", "Arn"]},
    }
    location = prod.properties("GuardDutyTable")["TableInput"]["StorageDescriptor"]["Location"]
    assert location["Fn::Sub"].startswith("s3://${LogsBucket}/AWSLogs/${AWS::AccountId}/GuardDuty/")
    # Steps 2 and 3 of the page "Exporting generated GuardDuty findings to Amazon S3 buckets".
    allowed = {
        statement["Action"]: statement["Condition"]["StringEquals"]
        for document in (
            prod.properties("LogsBucketPolicy")["PolicyDocument"],
            prod.properties("Key")["KeyPolicy"],
        )
        for statement in document["Statement"]
        if statement["Principal"] == {"Service": "guardduty.amazonaws.com"}
    }
    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert allowed == dict.fromkeys(
        ("s3:GetBucketLocation", "s3:PutObject", "kms:GenerateDataKey"), account
    )
