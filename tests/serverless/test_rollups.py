"""The daily counts for QuickSight: their queries run by DuckDB, their schedules read as requests.

That Scheduler starts them and Athena takes them only AWS shows.
"""

import datetime as dt
import json
from typing import Any

import botocore.session
import pytest
import sqlglot
from botocore.validate import ParamValidator
from sqlglot import exp

from tests.serverless.glue_tables import Tables, columns_of
from tests.serverless.log_records import NOW, YESTERDAY, finding, record, refusal
from tests.serverless.policies import grants, may, object_arn, resolved, table_arn
from tests.support.aws import ROOT, Package

TODAY, DAY_BEFORE = NOW.date(), YESTERDAY.date()
WEEK_AGO = NOW - dt.timedelta(days=7)
TOO_LONG_AGO = NOW - dt.timedelta(days=8)

ROLLUPS = ("ClientErrorsDaily", "FirewallBlocksDaily", "FindingsDaily")
SOURCES = ("AuditTable", "WafTable", "GuardDutyTable")

# Columns and fields that can name a study, a person, a resource or an address.
NAMING = {
    "accountid", "address", "agent", "args", "arn", "clientip", "description", "headers", "host",
    "httpsourceid", "id", "image", "instance", "ja3fingerprint", "ja4fingerprint", "labels",
    "limitkey", "matcheddata", "name", "oversizefields", "request_id", "requestid", "service",
    "studies", "terminatingrulematchdetails", "title", "trace_id", "uri", "webaclid",
}  # fmt: skip


@pytest.fixture(params=ROLLUPS)
def rollup(request: pytest.FixtureRequest) -> str:
    """Each rollup by the beginning of its logical ids."""
    name: str = request.param
    return name


def selects(statement: str) -> list[exp.Select]:
    """The selects whose rows are inserted."""
    query = sqlglot.parse_one(statement, read="athena").expression
    return [query.left, query.right] if isinstance(query, exp.Union) else [query]


# --- the queries ----------------------------------------------------------------------------------


def test_statement_table_and_schedule_have_the_files_name(rollup: str, dev: Package) -> None:
    statement = dev.properties(f"{rollup}Rollup")
    name = statement["StatementName"]
    assert statement["QueryStatement"] == (ROOT / f"serverless/rollups/{name}.sql").read_text()
    assert statement["QueryStatement"].startswith(f"INSERT INTO {name}\n")
    assert dev.properties(f"{rollup}Table")["TableInput"]["Name"] == name
    assert dev.properties(f"{rollup}Schedule")["Name"] == name


def test_every_file_is_a_statement(dev: Package) -> None:
    names = {
        each["StatementName"] for each in dev.of_type("AWS::Athena::PreparedStatement").values()
    }
    assert names == {path.stem for path in (ROOT / "serverless/rollups").iterdir()}


def test_a_query_inserts_the_tables_columns_and_then_its_partition(
    rollup: str, dev: Package
) -> None:
    table = dev.properties(f"{rollup}Table")["TableInput"]
    [day] = table["PartitionKeys"]
    first, *others = selects(dev.properties(f"{rollup}Rollup")["QueryStatement"])
    assert first.named_selects == [*columns_of(table), day["Name"]]
    assert all(len(other.expressions) == len(first.expressions) for other in others)


def test_client_errors_by_caller_operation_and_status(tables: Tables) -> None:
    denied: dict[str, Any] = {"outcome": "refused", "status": 403}
    tables.fill(
        "AuditTable",
        [
            (NOW, record("ris", ["X"], NOW, **denied)),
            (YESTERDAY, record("ris", ["X"], YESTERDAY, **denied)),
            (YESTERDAY, record("ris", ["Y"], YESTERDAY, **denied)),
            (YESTERDAY, record("ris", ["Y"], YESTERDAY, outcome="failed", status=404)),
            (YESTERDAY, record("ris", ["Y"], YESTERDAY, outcome="failed", status=503)),
            (YESTERDAY, record("ris", ["Y"], YESTERDAY, left_out=40)),
            (YESTERDAY, record("", [], YESTERDAY, agent=None, outcome="refused", status=401)),
            (
                YESTERDAY,
                record("", [], YESTERDAY, agent={"kind": "token", "name": "jane"}, **denied),
            ),
            (WEEK_AGO, record("pacs", ["X"], WEEK_AGO, **denied)),
            (TOO_LONG_AGO, record("pacs", ["X"], TOO_LONG_AGO, **denied)),
        ],
    )
    tables.fill("ClientErrorsDailyTable", [])
    read = "GET /v1/studies/{study_id}"
    inserted = tables.roll_up("ClientErrorsDailyRollup")
    assert [tuple(row.values()) for row in inserted] == [
        ("anonymous", read, "401", 1, 1, DAY_BEFORE),
        ("anonymous", "not recorded one by one", "401", 40, 40, DAY_BEFORE),
        ("oidc", read, "403", 1, 1, DAY_BEFORE),
        ("pacs", read, "403", 1, 1, WEEK_AGO.date()),
        ("ris", read, "403", 2, 2, DAY_BEFORE),
        ("ris", read, "404", 1, 0, DAY_BEFORE),
    ]


def test_firewall_blocks_by_rule_and_country(tables: Tables) -> None:
    tables.fill(
        "WafTable",
        [
            (NOW, refusal("Rate", "/v1/models", NOW)),
            (YESTERDAY, refusal("Rate", "/v1/models", YESTERDAY)),
            (YESTERDAY, refusal("Rate", "/v1/studies", YESTERDAY)),
            (YESTERDAY, refusal("Sqli", "/v1/studies", YESTERDAY, action="COUNT")),
            (
                WEEK_AGO,
                refusal("Sqli", "/v1/studies", WEEK_AGO, ruleGroupList=matched("SQLi_BODY")),
            ),
            (TOO_LONG_AGO, refusal("Rate", "/v1/models", TOO_LONG_AGO)),
        ],
    )
    tables.fill("FirewallBlocksDailyTable", [])
    inserted = tables.roll_up("FirewallBlocksDailyRollup")
    assert [tuple(row.values()) for row in inserted] == [
        ("Rate", "", "AU", 2, DAY_BEFORE),
        ("Sqli", "SQLi_BODY", "AU", 1, WEEK_AGO.date()),
    ]


def matched(rule: str) -> list[dict[str, Any]]:
    """A list of managed groups whose second has the rule that ended the request."""
    return [
        {"ruleGroupId": "AWS#AWSManagedRulesCommonRuleSet", "terminatingRule": None},
        {"ruleGroupId": "AWS#Other", "terminatingRule": {"ruleId": rule, "action": "BLOCK"}},
    ]


def test_findings_by_type_and_severity_once_a_day(tables: Tables) -> None:
    tables.fill(
        "GuardDutyTable",
        [
            (NOW, finding("a", NOW, 5, 9)),
            (YESTERDAY, finding("a", YESTERDAY, 5, 1)),
            (YESTERDAY, finding("a", YESTERDAY, 5, 2)),
            (YESTERDAY, finding("b", YESTERDAY, 8, 1)),
            (WEEK_AGO, finding("a", WEEK_AGO, 3.9, 1)),
            (WEEK_AGO, finding("c", WEEK_AGO, 9.0, 1)),
            (TOO_LONG_AGO, finding("d", TOO_LONG_AGO, 8, 1)),
        ],
    )
    tables.fill("FindingsDailyTable", [])
    kind = ("Exfiltration:S3/AnomalousBehavior", "AccessKey")
    inserted = tables.roll_up("FindingsDailyRollup")
    assert [tuple(row.values()) for row in inserted] == [
        (*kind, "critical", 1, WEEK_AGO.date()),
        (*kind, "high", 1, DAY_BEFORE),
        (*kind, "low", 1, WEEK_AGO.date()),
        (*kind, "medium", 1, DAY_BEFORE),
    ]


def fill_a_week(tables: Tables) -> None:
    """Something to count in each of the sources, on each of the last seven days."""
    days = [NOW - dt.timedelta(days=day) for day in range(8)]
    denied: dict[str, Any] = {"outcome": "refused", "status": 403, "left_out": 1}
    tables.fill("AuditTable", [(day, record("ris", ["X"], day, **denied)) for day in days])
    tables.fill("WafTable", [(day, refusal("Rate", "/", day)) for day in days])
    tables.fill("GuardDutyTable", [(day, finding("a", day, 5, 1)) for day in days])
    for each in ROLLUPS:
        tables.fill(f"{each}Table", [])


def test_a_day_is_inserted_once_and_a_missed_one_later(
    rollup: str, dev: Package, tables: Tables
) -> None:
    fill_a_week(tables)
    once = tables.roll_up(f"{rollup}Rollup")
    assert {row["day"] for row in once} == {TODAY - dt.timedelta(days=day) for day in range(1, 8)}
    assert tables.roll_up(f"{rollup}Rollup") == once
    name = dev.properties(f"{rollup}Rollup")["StatementName"]
    tables.run(f"DELETE FROM {name} WHERE day = current_date - INTERVAL '3' DAY")  # noqa: S608 - the template's
    assert tables.roll_up(f"{rollup}Rollup") == once


# --- nothing that names ---------------------------------------------------------------------------


def test_a_query_selects_no_column_that_names(rollup: str, dev: Package) -> None:
    statement = sqlglot.parse_one(
        dev.properties(f"{rollup}Rollup")["QueryStatement"], read="athena"
    )
    columns = [*statement.find_all(exp.Column), *statement.find_all(exp.Dot)]
    naming = {column.sql("athena") for column in columns if column.name.lower() in NAMING}
    # The name of a key is the operator's word for a system; of findings only their number is taken.
    assert naming <= {"agent.name", "id"}
    for column in columns:
        if column.sql("athena") == "agent.name":
            assert column.parent.this.sql("athena") == "agent.kind = 'key'"
        if column.sql("athena") == "id":
            assert column.find_ancestor(exp.Count).sql("athena") == "COUNT(DISTINCT id)"


SAID = {
    "AuditTable": {"agent.kind", "operation", "outcome"},
    "WafTable": {
        "terminatingruleid",
        "rulegrouplist.terminatingrule.ruleid",
        "action",
        "httprequest.country",
    },
    "GuardDutyTable": {"type", "resource.resourcetype"},
}


def named(value: Any, said: set[str], path: str = "") -> Any:
    """The record with a name in the place of each text but those that may be counted by."""
    match value:
        case dict():
            return {
                key: named(item, said, f"{path}.{key}".strip(".").lower())
                for key, item in value.items()
            }
        case list():
            return [named(item, said, path) for item in value]
        case str() if path not in said:
            return f"Jane Doe {path}"
        case _:
            return value


def test_no_text_gets_through_but_what_is_counted_by(tables: Tables) -> None:
    when, token = YESTERDAY, {"kind": "token", "name": "jane"}
    denied: dict[str, Any] = {"outcome": "refused", "status": 403, "address": "192.0.2.7"}
    found = finding("a", when, 5, 1)
    records = {
        "AuditTable": record("", ["X"], when, agent=token, left_out=2, **denied),
        "WafTable": refusal("Sqli", "/v1/studies/X", when, ruleGroupList=matched("SQLi_BODY")),
        "GuardDutyTable": found,
    }
    for source, each in records.items():
        tables.fill(source, [(when, named(each, SAID[source]))])
    for each in ROLLUPS:
        tables.fill(f"{each}Table", [])
        inserted = tables.roll_up(f"{each}Rollup")
        assert inserted
        assert "Jane Doe" not in repr(inserted)


# --- the schedules --------------------------------------------------------------------------------


def test_a_schedule_starts_its_statement_once_a_day(rollup: str, dev: Package) -> None:
    schedule = dev.properties(f"{rollup}Schedule")
    athena = botocore.session.get_session().get_service_model("athena")
    target = schedule["Target"]
    operation = resolved(target["Arn"], dev).removeprefix("arn:aws:scheduler:::aws-sdk:athena:")
    assert operation == "startQueryExecution"
    start = athena.operation_model("StartQueryExecution").input_shape
    request = json.loads(resolved(target["Input"], dev))
    # The documented form of a context attribute's value.
    at = "2022-03-22T18:59:43Z"
    token = request["ClientRequestToken"].replace("<aws.scheduler.scheduled-time>", at)
    request["ClientRequestToken"] = token
    assert "<aws.scheduler." not in json.dumps(request)  # a retry is the same request
    assert token.endswith(f"{schedule['Name']}-{at}")
    assert not ParamValidator().validate(request, start).has_errors()
    assert len(token) <= start.members["ClientRequestToken"].metadata["max"]
    statement = dev.properties(f"{rollup}Rollup")
    assert request["QueryString"] == f"EXECUTE {statement['StatementName']}"
    assert request["QueryExecutionContext"] == {"Database": "AnalyticsDatabase"}
    assert request["WorkGroup"] == statement["WorkGroup"]["Ref"] == "RollupsWorkgroup"
    minute, hour, *days = schedule["ScheduleExpression"].strip("cron()").split()
    assert minute.isdecimal()
    assert hour.isdecimal()
    assert days == ["*", "*", "?", "*"]
    assert "ScheduleExpressionTimezone" not in schedule  # UTC, as Athena's current_date
    assert f"{rollup}Rollup" in dev.template["Resources"][f"{rollup}Schedule"]["DependsOn"]


def test_a_start_that_fails_is_kept_and_told(rollup: str, dev: Package) -> None:
    schedule = dev.properties(f"{rollup}Schedule")
    queue = {"Fn::GetAtt": ["RollupsDeadLetterQueue", "Arn"]}
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": queue}
    assert ("sqs:SendMessage", "arn:RollupsDeadLetterQueue") in grants("RollupsRole", dev)
    assert schedule["GroupName"] == {"Ref": "RollupsScheduleGroup"}
    watched = [
        alarm["Dimensions"]
        for alarm in dev.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "InvocationDroppedCount"
    ]
    assert watched == [[{"Name": "ScheduleGroup", "Value": {"Ref": "RollupsScheduleGroup"}}]]


def test_a_query_that_fails_is_told(dev: Package) -> None:
    rule = dev.properties("RollupFailuresRule")
    assert rule["EventPattern"] == {
        "source": ["aws.athena"],
        "detail-type": ["Athena Query State Change"],
        "detail": {
            "workgroupName": [{"Ref": "RollupsWorkgroup"}],
            "currentState": ["FAILED", "CANCELLED"],
        },
    }
    assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": "Notices"}]


# --- the role -------------------------------------------------------------------------------------


def test_only_the_schedules_take_the_role(dev: Package) -> None:
    [statement] = dev.properties("RollupsRole")["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    group = dev.properties("RollupsScheduleGroup")["Name"]
    assert resolved(statement["Condition"], dev)["StringEquals"] == {
        "aws:SourceAccount": "123456789012",
        "aws:SourceArn": f"arn:aws:scheduler:eu-central-1:123456789012:schedule-group/{group}",
    }


def test_the_role_reads_the_sources_and_writes_the_counts_alone(dev: Package) -> None:
    tables = dev.of_type("AWS::Glue::Table")
    counts = {f"{rollup}Table" for rollup in ROLLUPS}
    for name, table in tables.items():
        one = object_arn(table, dev)
        touched = name in counts or name in SOURCES
        assert may("RollupsRole", "s3:GetObject", one, dev) is touched
        assert may("RollupsRole", "glue:GetTable", table_arn(table), dev) is touched
        assert may("RollupsRole", "s3:PutObject", one, dev) is (name in counts)
        assert may("RollupsRole", "glue:BatchCreatePartition", table_arn(table), dev) is (
            name in counts
        )
    group = dev.properties("RollupsWorkgroup")["WorkGroupConfiguration"]["ResultConfiguration"]
    answers = resolved(group["OutputLocation"], dev).removeprefix("s3://")
    written = {
        resource
        for action, resource in grants("RollupsRole", dev)
        if action in {"s3:PutObject", "s3:DeleteObject"}
    }
    assert written == {f"arn:aws:s3:::{answers}*", "arn:aws:s3:::TelemetryBucket/rollups/*"}
    groups = {
        resource
        for action, resource in grants("RollupsRole", dev)
        if action == "athena:StartQueryExecution"
    }
    assert groups == {"arn:aws:athena:eu-central-1:123456789012:workgroup/RollupsWorkgroup"}
