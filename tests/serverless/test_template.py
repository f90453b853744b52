"""What `serverless package` makes of serverless.yml, checked by tools and against our own rules."""

import copy
import fnmatch
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.report.questions import questions
from gateway.schemas.telemetry_table import columns
from gateway.storage.layout import PLACES, Bucket
from tests.serverless.conftest import EVERYTHING
from tests.support.aws import ROOT, Package, package


@pytest.fixture(params=["dev", "prod", "second"])
def stack(request: pytest.FixtureRequest) -> Package:
    """Each of the two stages, and the second region's stack of the one with every part."""
    found: Package = request.getfixturevalue(request.param)
    return found


# --- the tools ------------------------------------------------------------------------------------


def test_cfn_lint_has_nothing_to_say(stack: Package) -> None:
    # W3005: the packager writes DependsOn where a reference says the same; not ours to change.
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--ignore-checks", "W3005"]
    command += ["--regions", "eu-central-1", "eu-west-1"]
    command += ["--template", str(stack.template_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_security_scanner_finds_nothing_but_what_is_excused(stack: Package) -> None:
    command = [str(ROOT / ".venv/checkov/bin/checkov"), "--file", str(stack.template_file)]
    command += ["--framework", "cloudformation", "--skip-download", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    failed = [
        (check["check_id"], check["resource"]) for check in report["results"]["failed_checks"]
    ]
    assert not failed
    assert report["summary"]["passed"] > 50
    assert all(
        check["check_result"]["suppress_comment"] for check in report["results"]["skipped_checks"]
    )


# --- the archive ----------------------------------------------------------------------------------


def test_the_function_is_one_file(dev: Package) -> None:
    with zipfile.ZipFile(dev.forwarder_zip) as archive:
        assert archive.namelist() == ["serverless/forwarder.py"]
    assert "Layers" not in dev.properties("ForwarderLambdaFunction")


def test_the_npm_lock_names_no_registry() -> None:
    assert "resolved" not in (ROOT / "serverless/package-lock.json").read_text()


# --- names and stages -----------------------------------------------------------------------------

NAMES = {
    "AlarmName", "AliasName", "BucketName", "DashboardName", "DeliveryStreamName", "FunctionName",
    "LogGroupName", "QueueName", "RoleName", "TopicName", "TrailName",
}  # fmt: skip


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_every_name_has_its_stage(stage: str, request: pytest.FixtureRequest) -> None:
    template = request.getfixturevalue(stage).template
    named = [
        (logical_id, json.dumps(properties[name]))
        for logical_id, resource in template["Resources"].items()
        if (properties := resource.get("Properties", {}))
        for name in NAMES & properties.keys()
        if not {"Ref", "Fn::GetAtt"} & set(properties[name])
    ]
    assert len(named) > 30
    assert not [(name, value) for name, value in named if f"radstream-{stage}" not in value]


def test_the_stages_share_no_glue_database(dev: Package, prod: Package) -> None:
    names = [
        stack.template["Parameters"]["AnalyticsDatabaseName"]["Default"] for stack in (dev, prod)
    ]
    assert names == ["radstream_analytics_dev", "radstream_analytics"]


def test_a_stage_keeps_its_own_parameters_in_its_file(tmp_path: Path) -> None:
    given = {
        stage: yaml.safe_load((ROOT / f"serverless/stages/{stage}.yml").read_text())
        for stage in ("dev", "staging", "prod")
    }
    defaults = yaml.safe_load(_without_tags(ROOT / "serverless.yml"))["params"]["default"]
    # A default would be deployed by whoever forgets the parameter.
    assert not {"gatewayUrl", "alarmEmail"} & defaults.keys()
    assert all("gatewayUrl" not in given[stage] for stage in ("staging", "prod"))
    assert "alarmEmail" not in given["prod"]
    for stage in ("prod", "staging"):
        with pytest.raises(AssertionError, match="GatewayUrl"):
            package(tmp_path / stage, stage=stage)
    with pytest.raises(AssertionError, match="AlarmEmail"):
        package(tmp_path / "unwatched", stage="prod", gatewayUrl="https://radstream.hospital.test")


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://radstream.hospital.test", True),
        ("https://myexample.hospital.test:8443", True),
        ("https://radstream.example.org", False),
        ("https://example.com:8443", False),
        ("http://radstream.hospital.test", False),
        ("https://radstream.hospital.test/v1", False),
    ],
)
def test_an_address_of_an_example_is_no_gateway(url: str, taken: bool, dev: Package) -> None:
    pattern = dev.template["Parameters"]["GatewayUrl"]["AllowedPattern"]
    assert (re.fullmatch(pattern, url) is not None) is taken


def test_what_is_kept_can_be_imported_by_itself(stack: Package) -> None:
    """The recipe of docs/deploy-aws.md takes these resources and no others."""
    kept = {
        name: resource
        for name, resource in stack.template["Resources"].items()
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate" and "Condition" not in resource
    }
    page = (ROOT / "docs/deploy-aws.md").read_text()
    assert "del(.value.Properties.ReplicationConfiguration)" in page
    kept = copy.deepcopy(kept)
    for resource in kept.values():
        resource["Properties"].pop("ReplicationConfiguration", None)
        assert "Fn::If" not in json.dumps(resource)  # the recipe takes no conditions along
    key = kept["Key"]["Type"]
    assert {resource["Type"] for resource in kept.values()} == {"AWS::S3::Bucket", key}
    assert 'if .key == "Key" then {KeyId: $key}' in page
    known = kept.keys() | stack.template["Parameters"].keys()
    assert not {name for name in references(kept) if "::" not in name} - known
    # The recipe makes the buckets' names of their logical ids.
    for name, resource in kept.items():
        if resource["Type"] == "AWS::S3::Bucket":
            short = name.removesuffix("Bucket").lower()
            found = resource["Properties"]["BucketName"]["Fn::Sub"]
            prefix, _, rest = found.partition("radstream-")
            assert rest.endswith(f"-{short}-${{AWS::AccountId}}-${{AWS::Region}}")
            assert prefix == ("aws-waf-logs-" if name == "WafBucket" else "")
    assert 'if .key == "WafBucket" then "aws-waf-logs-" else "" end' in page


def references(value: Any) -> set[str]:
    """Logical ids and parameters that Ref, GetAtt and Sub name, at any depth."""
    if isinstance(value, list):
        return {name for item in value for name in references(item)}
    if not isinstance(value, dict):
        return set()
    found = {name for item in value.values() for name in references(item)}
    match value:
        case {"Ref": str(name)}:
            found.add(name)
        case {"Fn::GetAtt": [str(name), *_]}:
            found.add(name)
        case {"Fn::Sub": str(text)}:
            found |= {name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text)}
    return found


def test_detector_and_trail_outlive_their_parameter(prod: Package) -> None:
    for name in ("Detector", "FindingsExport", "Trail"):
        resource = prod.template["Resources"][name]
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate"


# --- buckets --------------------------------------------------------------------------------------

KEPT = ("Images", "Results", "Telemetry", "Artifacts", "Audit", "Waf")


@pytest.mark.parametrize("name", KEPT)
def test_a_bucket_is_encrypted_versioned_private_and_logged(name: str, dev: Package) -> None:
    bucket = dev.properties(f"{name}Bucket")
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
    }
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "LogsBucket"}
    assert bucket["LifecycleConfiguration"]["Rules"]
    assert dev.template["Resources"][f"{name}Bucket"]["DeletionPolicy"] == ("RetainExceptOnCreate")


@pytest.mark.parametrize("name", [*KEPT, "Logs"])
def test_a_bucket_refuses_what_comes_without_tls(name: str, dev: Package) -> None:
    policy = dev.properties(f"{name}BucketPolicy")
    assert policy["Bucket"] == {"Ref": f"{name}Bucket"}
    first = policy["PolicyDocument"]["Statement"][0]
    assert (first["Effect"], first["Principal"], first["Action"]) == ("Deny", "*", "s3:*")
    assert first["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(first["Resource"]) == 2


def test_no_rule_deletes_a_current_image_or_result(dev: Package) -> None:
    for name in ("Images", "Results"):
        for rule in dev.properties(f"{name}Bucket")["LifecycleConfiguration"]["Rules"]:
            assert "ExpirationInDays" not in rule


def test_the_audit_trail_is_written_once_and_locked(dev: Package, prod: Package) -> None:
    bucket = dev.properties("AuditBucket")
    assert bucket["ObjectLockEnabled"] is True
    retention = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": "COMPLIANCE", "Days": {"Ref": "AuditDays"}}
    assert prod.template["Parameters"]["AuditDays"]["Default"] == 2190
    allowed = {
        action
        for statement in statements(dev)
        if "AuditBucket" in json.dumps(statement["Resource"])
        for action in listed(statement["Action"])
    }
    reading = {"s3:GetBucketLocation", "s3:ListBucket", "s3:GetObject"}
    assert allowed == {"s3:PutObject"} | reading


def test_new_objects_become_events(dev: Package) -> None:
    enabled = {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert dev.properties("ImagesBucket")["NotificationConfiguration"] == enabled
    assert dev.properties("ResultsBucket")["NotificationConfiguration"] == enabled


# --- rules and queues -----------------------------------------------------------------------------


def test_whatever_is_dropped_is_told_by_the_rule_and_forwarded(dev: Package) -> None:
    pattern = dev.properties("UploadRule")["EventPattern"]["detail"]
    variables = dev.properties("ForwarderLambdaFunction")["Environment"]["Variables"]
    assert pattern["bucket"] == {"name": [{"Ref": "ImagesBucket"}]}
    assert pattern["object"] == {"key": [{"prefix": variables["KEY_PREFIX"]}]}


def test_an_event_that_cannot_be_queued_is_kept(dev: Package) -> None:
    (target,) = dev.properties("UploadRule")["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["UploadQueue", "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["UploadDeadLetterQueue", "Arn"]}}


def test_a_message_is_not_handed_out_twice_while_it_is_worked_on(dev: Package) -> None:
    queue = dev.properties("UploadQueue")
    assert queue["VisibilityTimeout"] > dev.properties("ForwarderLambdaFunction")["Timeout"]
    tried_for_s = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"]
    assert tried_for_s == 3600
    # A dead letter keeps the age of its message: it must have time left when it gets there.
    kept_s = dev.properties("UploadDeadLetterQueue")["MessageRetentionPeriod"]
    assert kept_s > queue["MessageRetentionPeriod"]


def test_a_message_holds_one_event(dev: Package) -> None:
    (mapping,) = dev.of_type("AWS::Lambda::EventSourceMapping").values()
    assert mapping["BatchSize"] == 1
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 10}


def test_a_notice_of_a_parked_study_does_not_tell_which(dev: Package) -> None:
    (target,) = dev.properties("ParkedRule")["Targets"]
    assert target["InputTransformer"]["InputPathsMap"] == {"time": "$.time"}


def test_eventbridge_may_publish_notices(stack: Package) -> None:
    """A Condition for EventBridge in a topic's or its key's policy keeps every event out."""
    documents = [
        policy["PolicyDocument"] for policy in stack.of_type("AWS::SNS::TopicPolicy").values()
    ]
    documents.append(stack.properties("Key")["KeyPolicy"])
    events = [
        statement
        for document in documents
        for statement in document["Statement"]
        if "events.amazonaws.com" in listed(statement["Principal"].get("Service", []))
    ]
    assert len(events) == 2
    assert not [statement for statement in events if "Condition" in statement]


def test_a_notice_that_cannot_be_published_is_kept(dev: Package) -> None:
    queue = {"Fn::GetAtt": ["NoticeDeadLetterQueue", "Arn"]}
    allowed = dev.properties("NoticeDeadLetterQueuePolicy")["PolicyDocument"]["Statement"][0]
    sources = json.dumps(allowed["Condition"]["ArnEquals"]["aws:SourceArn"])
    for name, rule in dev.of_type("AWS::Events::Rule").items():
        (target,) = rule["Targets"]
        if target["Arn"] == {"Ref": "Notices"}:
            assert target["DeadLetterConfig"] == {"Arn": queue}
            assert f'["{name}", "Arn"]' in sources
    assert (allowed["Principal"], allowed["Resource"]) == (
        {"Service": "events.amazonaws.com"},
        queue,
    )


def test_every_rule_and_dead_letter_queue_has_an_alarm(dev: Package) -> None:
    watched = {
        (alarm["MetricName"], json.dumps(alarm["Dimensions"][0]["Value"]))
        for alarm in dev.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Dimensions"]
    }
    for rule in dev.of_type("AWS::Events::Rule"):
        assert ("FailedInvocations", json.dumps({"Ref": rule})) in watched
    for queue, properties in dev.of_type("AWS::SQS::Queue").items():
        if properties["QueueName"].endswith("-dlq"):
            name = json.dumps({"Fn::GetAtt": [queue, "QueueName"]})
            assert ("ApproximateNumberOfMessagesVisible", name) in watched


# --- telemetry ------------------------------------------------------------------------------------


def glue_type(field: dict[str, Any]) -> str:
    """The column type that takes every value of an event's field."""
    if field["type"] == "integer":
        return "int" if field["maximum"] < 2**31 else "bigint"
    if field.get("format") == "date-time":
        return "timestamp"
    return {"string": "string", "number": "double", "boolean": "boolean"}[field["type"]]


def test_the_tables_columns_are_the_events_fields(dev: Package) -> None:
    table = dev.properties("TelemetryTable")["TableInput"]
    found = [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]]
    assert found == [(name, glue_type(field)) for name, field in columns().items()]


def test_firehose_writes_where_the_table_projects_its_partitions(dev: Package) -> None:
    destination = dev.properties("TelemetryDelivery")["ExtendedS3DestinationConfiguration"]
    table = dev.properties("TelemetryTable")["TableInput"]
    (partition,) = table["PartitionKeys"]
    folder, pattern = re.fullmatch(
        rf"(.*/){partition['Name']}=!{{timestamp:(.*)}}/", destination["Prefix"]
    ).groups()  # type: ignore[union-attr]  # fails the test where it does not match
    location = table["StorageDescriptor"]["Location"]["Fn::Sub"]
    assert location == f"s3://${{TelemetryBucket}}/{folder}"
    assert table["Parameters"][f"projection.{partition['Name']}.format"] == pattern
    assert table["Parameters"]["projection.enabled"] == "true"
    conversion = destination["DataFormatConversionConfiguration"]["SchemaConfiguration"]
    assert conversion["TableName"] == {"Ref": "TelemetryTable"}


def test_every_query_is_in_the_workgroup_as_it_stands_in_its_file(dev: Package) -> None:
    named = dev.of_type("AWS::Athena::NamedQuery")
    apart = {"Ref": "SecurityWorkgroup"}  # test_security_queries.py
    queries = [query for query in named.values() if query["WorkGroup"] != apart]
    assert sorted(
        (query["Name"], query["Description"], query["QueryString"]) for query in queries
    ) == sorted((question.title, question.description, question.sql) for question in questions())
    assert all(query["WorkGroup"] == {"Ref": "Workgroup"} for query in queries)
    assert all(len(query["Description"]) <= 1024 for query in queries)  # AWS's limit


# --- permissions ----------------------------------------------------------------------------------

# Actions AWS gives no resource for, or whose resource does not exist yet when it is asked.
RESOURCELESS = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}


def statements(stack: Package) -> Iterator[dict[str, Any]]:
    """Every statement of a policy of a role; both sides of each condition."""
    for role in stack.of_type("AWS::IAM::Role").values():
        for policy in role.get("Policies", []):
            yield from _flat(policy["PolicyDocument"]["Statement"])
    for policy in stack.of_type("AWS::IAM::Policy").values():
        yield from _flat(policy["PolicyDocument"]["Statement"])


def _flat(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if "Fn::If" in entry:
            yield from _flat([side for side in entry["Fn::If"][1:] if "Ref" not in side])
        else:
            yield entry


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_no_role_may_do_more_than_is_written_out(stack: Package) -> None:
    found = list(statements(stack))
    assert len(found) > 15
    for statement in found:
        actions = set(listed(statement["Action"]))
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions if "*" in action]
        if statement["Resource"] == "*":
            assert actions <= RESOURCELESS
        assert not {"NotAction", "NotResource"} & statement.keys()


def test_the_gateway_may_not_write_images_nor_delete_records_of_deletion(dev: Package) -> None:
    allowed = [
        (action, json.dumps(resource))
        for statement in dev.properties("GatewayPolicy")["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    assert not [pair for pair in allowed if pair[0] == "s3:PutObject" and "ImagesBucket" in pair[1]]
    deleted = {resource for action, resource in allowed if action.startswith("s3:DeleteObject")}
    assert len(deleted) == 13
    assert all("ResultsBucket" in resource for resource in deleted)
    assert not [resource for resource in deleted if "/deleted/" in resource]


def test_the_gateway_may_do_with_each_place_of_its_bucket_what_it_does(dev: Package) -> None:
    statements = dev.properties("GatewayPolicy")["PolicyDocument"]["Statement"]
    allowed = [
        (action, json.dumps(resource))
        for statement in statements
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    for place in PLACES:
        if place.bucket is not Bucket.RESULTS:
            continue
        root = place.prefix.partition("/")[0]
        needed = {"s3:GetObject", "s3:PutObject"}
        if root not in {"deleted", "acceptances", "routing"}:  # these stay
            needed |= {"s3:DeleteObject", "s3:DeleteObjectVersion"}
        given = {
            action for action, resource in allowed if f"ResultsBucket.Arn}}/{root}/" in resource
        }
        assert given >= needed, place.prefix


def test_only_the_gateways_service_account_takes_its_role(dev: Package) -> None:
    condition, irsa, pod_identity = dev.properties("GatewayRole")["AssumeRolePolicyDocument"][
        "Fn::If"
    ]
    assert condition == "UsesIrsa"
    document = irsa["Fn::Sub"]
    for name, value in {"OidcProvider": "issuer/id/1", "Namespace": "ns"}.items():
        document = document.replace(f"${{{name}}}", value)
    (statement,) = json.loads(document)["Statement"]
    assert statement["Condition"]["StringEquals"] == {
        "issuer/id/1:aud": "sts.amazonaws.com",
        "issuer/id/1:sub": "system:serviceaccount:ns:${ServiceAccount}",
    }
    (statement,) = pod_identity["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Condition"]["StringEquals"].keys() == {
        "aws:SourceAccount",
        "aws:RequestTag/kubernetes-namespace",
        "aws:RequestTag/kubernetes-service-account",
    }


# --- logs -----------------------------------------------------------------------------------------

# What PutRetentionPolicy takes (CloudWatch Logs API reference), up to ten years.
RETENTIONS = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
]  # fmt: skip


def test_logs_are_kept_as_long_as_the_audit_trail(stack: Package) -> None:
    retention = {
        int(days): value["Days"]
        for days, value in stack.template["Mappings"]["LogRetention"].items()
    }
    assert retention == {
        days: min(each for each in RETENTIONS if each >= days) for days in retention
    }
    parameter = stack.template["Parameters"]["AuditDays"]
    assert parameter["AllowedValues"] == sorted(retention)
    assert parameter["Default"] in retention
    found = {"Fn::FindInMap": ["LogRetention", {"Ref": "AuditDays"}, "Days"]}
    groups = stack.of_type("AWS::Logs::LogGroup")
    assert len(groups) == 4
    assert all(group["RetentionInDays"] == found for group in groups.values())


def test_the_cluster_keeps_its_own_log_as_long_as_prod_its_audit_trail(prod: Package) -> None:
    cluster = yaml.safe_load((ROOT / "helm/eks/cluster.yaml").read_text())
    kept = cluster["cloudWatch"]["clusterLogging"]["logRetentionInDays"]
    assert kept in RETENTIONS
    assert kept >= prod.template["Parameters"]["AuditDays"]["Default"]


def test_the_key_is_open_to_every_log_group(stack: Package) -> None:
    [logs] = [
        each for each in stack.properties("Key")["KeyPolicy"]["Statement"] if each["Sid"] == "Logs"
    ]
    patterns = [
        each["Fn::Sub"].rpartition(":log-group:")[2]
        for each in logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    ]
    for group in stack.of_type("AWS::Logs::LogGroup").values():
        assert any(fnmatch.fnmatch(group["LogGroupName"], pattern) for pattern in patterns)


# --- findings -------------------------------------------------------------------------------------


def test_findings_and_threats_reach_somebody(prod: Package) -> None:
    for name, kind in (
        ("FindingsRule", "GuardDuty Finding"),
        ("ThreatsRule", "GuardDuty Malware Protection Object Scan Result"),
    ):
        rule = prod.properties(name)
        assert rule["EventPattern"]["detail-type"] == [kind]
        assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": "Notices"}]
    plan = prod.properties("UploadsScan")["ProtectedResource"]["S3Bucket"]
    assert plan == {"BucketName": {"Ref": "ImagesBucket"}, "ObjectPrefixes": ["images/"]}


def test_the_trail_sees_who_touches_studies_models_and_the_audit_trail(prod: Package) -> None:
    seen = json.dumps(prod.properties("Trail")["AdvancedEventSelectors"])
    for bucket in ("ImagesBucket", "ResultsBucket", "AuditBucket", "ArtifactsBucket"):
        assert f"${{{bucket}.Arn}}" in seen


# --- alarms and the dashboard ---------------------------------------------------------------------


def test_every_alarm_tells_somebody_and_is_explained(dev: Package) -> None:
    page = (ROOT / "docs/deploy-aws.md").read_text()
    alarms = dev.of_type("AWS::CloudWatch::Alarm").values()
    assert {alarm["MetricName"] for alarm in alarms} >= {
        "Errors", "ApproximateNumberOfMessagesVisible", "GetRecords.IteratorAgeMilliseconds",
        "DeliveryToS3.Success", "FailedConversion.Records", "RefusedEvents",
    }  # fmt: skip
    for alarm in alarms:
        assert alarm["AlarmActions"] == [{"Ref": "Notices"}]
        assert f"`{alarm['AlarmName'].removeprefix('radstream-dev-')}`" in page


def test_the_dashboard_is_json_over_the_stacks_own_resources(dev: Package) -> None:
    body = dev.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    named = set(re.findall(r"\$\{([A-Za-z]+)(?:\.[A-Za-z]+)?\}", body))
    assert named <= dev.template["Resources"].keys()
    assert len(named) >= 8
    titles = [widget["properties"]["title"] for widget in json.loads(body)["widgets"]]
    assert len(titles) == len(set(titles)) == 11


def test_the_firewall_is_shown_by_rule(dev: Package) -> None:
    body = dev.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    [widget] = [
        each["properties"]
        for each in json.loads(body)["widgets"]
        if each["properties"]["title"] == "Firewall: blocked, by rule"
    ]
    rules = dev.properties("WebAcl")["Rules"]
    assert [metric[-1] for metric in widget["metrics"]] == [
        rule["VisibilityConfig"]["MetricName"] for rule in rules
    ]
    watched = {
        dimension["Value"]
        for alarm in dev.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Namespace"] == "AWS/WAFV2"
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "Rule"
    }
    assert watched == {"RateOfStudies", "OffUploadPaths"}


# --- the second region ----------------------------------------------------------------------------


REPLICA_KEY = "arn:${AWS::Partition}:kms:${ReplicaRegion}:${AWS::AccountId}:key/${ReplicaKeyId}"


@pytest.mark.parametrize(
    ("name", "markers"), [("Results", "Enabled"), ("Artifacts", "Disabled"), ("Audit", "Disabled")]
)
def test_what_cannot_be_made_again_is_copied_within_15_minutes(
    name: str, markers: str, prod: Package
) -> None:
    bucket = prod.properties(f"{name}Bucket")
    condition, configuration, otherwise = bucket["ReplicationConfiguration"]["Fn::If"]
    assert (condition, otherwise) == ("Replicates", {"Ref": "AWS::NoValue"})
    [rule] = configuration["Rules"]
    assert rule["DeleteMarkerReplication"] == {"Status": markers}
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    target = rule["Destination"]
    assert target["EncryptionConfiguration"] == {"ReplicaKmsKeyID": {"Fn::Sub": REPLICA_KEY}}
    assert target["ReplicationTime"]["Time"] == {"Minutes": 15}
    # The same name in the other region: what the same template makes there.
    own = bucket["BucketName"]["Fn::Sub"]
    there = target["Bucket"]["Fn::Sub"]
    assert there == "arn:${AWS::Partition}:s3:::" + own.replace("AWS::Region", "ReplicaRegion")
    assert configuration["Role"] == {"Fn::GetAtt": ["ReplicationRole", "Arn"]}


def test_replication_reads_here_and_writes_there_and_marks_results_alone(prod: Package) -> None:
    [policy] = prod.properties("ReplicationRole")["Policies"]
    rights = {
        action: json.dumps(statement["Resource"])
        for statement in policy["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    }
    here, there = "${AWS::Region}", "${ReplicaRegion}"
    for action, resource in rights.items():
        if action.startswith(("s3:Get", "s3:List")):
            assert there not in resource
        if action.startswith("s3:Replicate"):
            assert here not in resource
    assert "-results-" in rights["s3:ReplicateDelete"]
    assert "-audit-" not in rights["s3:ReplicateDelete"]
    assert "-audit-" in rights["s3:GetObjectRetention"]
    assert rights["kms:Encrypt"] == json.dumps({"Fn::Sub": REPLICA_KEY})


def test_the_same_template_makes_the_second_regions_stack(dev: Package) -> None:
    """Names that hold for a whole account have the region; a copy is not told of twice."""
    for role in dev.of_type("AWS::IAM::Role").values():
        assert "${AWS::Region}" in json.dumps(role["RoleName"])
    for bucket in dev.of_type("AWS::S3::Bucket").values():
        if "BucketName" in bucket:
            assert "${AWS::Region}" in json.dumps(bucket["BucketName"])
    conditions = dev.template["Conditions"]
    assert {"Fn::Not": [{"Condition": "StandsBy"}]} in conditions["Replicates"]["Fn::And"]
    assert conditions["StandsBy"]["Fn::Equals"] == [
        {"Ref": "ReplicaRegion"},
        {"Ref": "AWS::Region"},
    ]
    state = dev.properties("ParkedRule")["State"]
    assert state == {"Fn::If": ["StandsBy", "DISABLED", "ENABLED"]}


# --- the data key ---------------------------------------------------------------------------------


def test_a_stack_without_the_option_has_the_key_it_had(dev: Package, prod: Package) -> None:
    """CloudFormation refuses an update that changes MultiRegion: it is not even set to false."""
    assert "MultiRegion" not in dev.properties("Key")
    assert prod.properties("Key").pop("MultiRegion") is True
    keys = [copy.deepcopy(stack.template["Resources"]["Key"]) for stack in (dev, prod)]
    keys[1]["Properties"].pop("MultiRegion")
    assert len({json.dumps(key).replace("prod", "dev") for key in keys}) == 1


def test_the_second_region_has_a_replica_in_the_keys_place(prod: Package, second: Package) -> None:
    own, replica = (stack.template["Resources"]["Key"] for stack in (prod, second))
    assert (own["Type"], replica["Type"]) == ("AWS::KMS::Key", "AWS::KMS::ReplicaKey")
    assert replica["Properties"]["PrimaryKeyArn"] == EVERYTHING["primaryKeyArn"]
    assert replica["DeletionPolicy"] == own["DeletionPolicy"]
    assert replica["UpdateReplacePolicy"] == own["UpdateReplacePolicy"]
    # Each policy is its key's own, and names the region that it stands in.
    policy = replica["Properties"]["KeyPolicy"]
    assert policy == own["Properties"]["KeyPolicy"]
    assert "${AWS::Region}" in json.dumps(policy)
    assert not re.search(r"eu-(central|west)-1", json.dumps(policy))
    # All that is encrypted is so by the one resource, whatever its type.
    others = [
        json.dumps(
            {name: item for name, item in stack.template["Resources"].items() if name != "Key"}
        )
        for stack in (prod, second)
    ]
    named = [re.findall(r'{"Fn::GetAtt": \["Key", "Arn"\]}', each) for each in others]
    assert len(named[0]) == len(named[1]) > 10


def test_copies_are_encrypted_by_the_replica_in_their_own_region(prod: Package) -> None:
    """A replica has its primary's id; the region alone tells them apart."""
    [rule] = prod.properties("ResultsBucket")["ReplicationConfiguration"]["Fn::If"][1]["Rules"]
    target = rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"]["Fn::Sub"]
    values = {"AWS::Partition": "aws", "AWS::AccountId": "210987654321"}
    for name in ("ReplicaRegion", "ReplicaKeyId"):
        values[name] = prod.template["Parameters"][name]["Default"]
    for name, value in values.items():
        target = target.replace(f"${{{name}}}", value)
    assert target == EVERYTHING["primaryKeyArn"].replace("eu-central-1", "eu-west-1")


def test_a_kind_of_key_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"Resources\.Key"):
        package(tmp_path, stage="dev", dataKey="multi")


# --- the documents --------------------------------------------------------------------------------


def test_every_parameter_is_documented() -> None:
    page = (ROOT / "docs/deploy-aws.md").read_text()
    defaults = yaml.safe_load(_without_tags(ROOT / "serverless.yml"))["params"]["default"]
    assert not [name for name in defaults if f"`{name}`" not in page]


def test_every_output_that_the_recipes_ask_for_is_there(dev: Package) -> None:
    pages = [(ROOT / f"docs/{name}.md").read_text() for name in ("deploy-aws", "backup")]
    asked = {name for page in pages for name in re.findall(r"\$\(output (\w+)\)", page)}
    asked |= {name for page in pages for name in re.findall(r"OutputKey=='(\w+)'", page)}
    assert asked >= {"KeyArn", "LogsBucketName"}
    assert asked <= dev.template["Outputs"].keys()


def _without_tags(path: Path) -> str:
    return re.sub(r"!(Ref|GetAtt|If|Sub)\b", "", path.read_text())
