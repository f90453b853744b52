"""QuickSight's role, data sets and dashboards, held to the Glue tables.

Only AWS shows that QuickSight takes them.
"""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from tests.serverless.glue_tables import Tables, columns_of
from tests.serverless.log_records import NOW, YESTERDAY
from tests.serverless.policies import grants, may, object_arn, resolved, table_arn
from tests.support.aws import ROOT, Package

DATA_SETS = ("QuickSightData", "ClientErrorsData", "FirewallBlocksData", "FindingsData")
DASHBOARDS = ("QuickSightDashboard", "QuickSightSecurityDashboard")
READ = {
    "TelemetryTable",
    "ClientErrorsDailyTable",
    "FirewallBlocksDailyTable",
    "FindingsDailyTable",
}
QUICKSIGHT_TYPES = {
    "DATE": "DATETIME",
    "TIMESTAMP": "DATETIME",
    "VARCHAR": "STRING",
    "INTEGER": "INTEGER",
    "BIGINT": "INTEGER",
    "DOUBLE": "DECIMAL",
}


@pytest.fixture(params=DATA_SETS)
def data_set(request: pytest.FixtureRequest) -> str:
    """Each data set by its logical id."""
    name: str = request.param
    return name


@pytest.fixture(params=DASHBOARDS)
def dashboard(request: pytest.FixtureRequest) -> str:
    """Each dashboard by its logical id."""
    name: str = request.param
    return name


# --- the role -------------------------------------------------------------------------------------


def test_the_data_source_asks_by_a_role_of_its_own(dev: Package) -> None:
    source = dev.properties("QuickSightSource")["DataSourceParameters"]["AthenaParameters"]
    assert source == {
        "WorkGroup": {"Ref": "Workgroup"},
        "RoleArn": {"Fn::GetAtt": ["QuickSightRole", "Arn"]},
    }
    [trust] = dev.properties("QuickSightRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "quicksight.amazonaws.com"}


def test_the_role_reads_telemetry_counts_and_its_own_answers_and_nothing_else(
    dev: Package,
) -> None:
    bucket = "arn:aws:s3:::TelemetryBucket"
    group = dev.properties("Workgroup")["WorkGroupConfiguration"]["ResultConfiguration"]
    answers = resolved(group["OutputLocation"], dev)
    assert answers == "s3://TelemetryBucket/athena/"
    granted = grants("QuickSightRole", dev)
    buckets = {each for each in granted if each[0].startswith("s3:")}
    assert {resource for _, resource in buckets} == {
        bucket,
        f"{bucket}/telemetry/*",
        f"{bucket}/rollups/*",
        f"{bucket}/athena/*",
    }
    changing = {
        resource for action, resource in buckets if not action.startswith(("s3:Get", "s3:List"))
    }
    assert changing == {f"{bucket}/athena/*"}
    athena = {resource.rpartition(":")[2] for action, resource in granted if "athena:" in action}
    assert athena == {"workgroup/Workgroup", "datacatalog/AwsDataCatalog"}
    assert {action.partition(":")[0] for action, _ in granted} == {"athena", "glue", "s3", "kms"}
    assert ("kms:Decrypt", "arn:Key") in granted


def test_the_role_lists_only_what_it_reads(dev: Package) -> None:
    [policy] = dev.properties("QuickSightRole")["Policies"]
    conditions = [
        statement["Condition"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "s3:ListBucket" in statement["Action"]
    ]
    prefixes = {"s3:prefix": ["telemetry/*", "rollups/*", "athena/*"]}
    assert {"StringLike": prefixes} in conditions


def test_no_table_whose_rows_name_somebody_is_open_to_the_role(dev: Package) -> None:
    tables = dev.of_type("AWS::Glue::Table")
    assert tables.keys() > READ
    for name, table in tables.items():
        for action, resource in (
            ("s3:GetObject", object_arn(table, dev)),
            ("glue:GetTable", table_arn(table)),
            ("glue:GetPartitions", table_arn(table)),
        ):
            assert may("QuickSightRole", action, resource, dev) is (name in READ)


@pytest.mark.parametrize(
    "key",
    [
        "ImagesBucket/images/S-1/study.jpg",
        "ResultsBucket/results/S-1/result.json",
        "AuditBucket/audit/2026-11-27/record.jsonl",
        "WafBucket/AWSLogs/123456789012/WAFLogs/eu-central-1/log.gz",
        "LogsBucket/alb/AWSLogs/log.gz",
        "LogsBucket/cloudtrail/AWSLogs/log.json.gz",
        "LogsBucket/athena/answer.csv",
        "LogsBucket/athena-rollups/answer.csv",
        "TelemetryBucket/telemetry-errors/record",
    ],
)
def test_what_is_not_telemetry_is_closed_to_the_role(key: str, dev: Package) -> None:
    assert not may("QuickSightRole", "s3:GetObject", f"arn:aws:s3:::{key}", dev)


# --- the data sets --------------------------------------------------------------------------------


def custom_sql(data_set: str, dev: Package) -> dict[str, Any]:
    """A data set's query and columns."""
    [table] = dev.properties(data_set)["PhysicalTableMap"].values()
    found: dict[str, Any] = table["CustomSql"]
    return found


def query(data_set: str, dev: Package) -> str:
    """A data set's query over tables without the database's name."""
    return str(resolved(custom_sql(data_set, dev)["SqlQuery"], dev)).replace(
        "AnalyticsDatabase.", ""
    )


def test_a_query_asks_one_table_that_the_role_reads(data_set: str, dev: Package) -> None:
    statement = sqlglot.parse_one(query(data_set, dev), read="athena")
    own = {table.alias for table in statement.find_all(exp.CTE)}
    [asked] = {table.name for table in statement.find_all(exp.Table)} - own
    [table] = [
        table["TableInput"]
        for name, table in dev.of_type("AWS::Glue::Table").items()
        if name in READ and table["TableInput"]["Name"] == asked
    ]
    if own:
        [inner] = statement.find_all(exp.CTE)
        statement = inner.this
    [partition] = table["PartitionKeys"]
    wanted = {column.name for column in statement.find_all(exp.Column)}
    assert wanted <= {*columns_of(table), partition["Name"]}
    where = statement.args["where"].this.sql("athena")
    assert where.startswith(f"{partition['Name']} >= CURRENT_DATE - INTERVAL")


def test_the_columns_are_the_querys(data_set: str, dev: Package, tables: Tables) -> None:
    for name in READ:
        tables.fill(name, [])
    described = tables.run(f"DESCRIBE {query(data_set, dev)}")
    assert custom_sql(data_set, dev)["Columns"] == [
        {"Name": column["column_name"], "Type": QUICKSIGHT_TYPES[column["column_type"]]}
        for column in described
    ]


def event(identity: str, stage: str, status: str, latency_ms: float, images: int) -> dict[str, Any]:
    """The fields of an event that the data set counts by."""
    return {
        "event_id": identity,
        "occurred_at": YESTERDAY.strftime("%Y-%m-%d %H:%M:%S"),
        "study_ref": "s",
        "stage": stage,
        "status": status,
        "latency_ms": latency_ms,
        "images": images,
    }


def test_rates_and_times_are_of_what_counts_for_them(dev: Package, tables: Tables) -> None:
    rows = [
        event("1", "total", "success", 80, 2),
        event("1", "total", "success", 80, 2),
        event("2", "total", "error", 900, 1),
        event("3", "total", "failed", 5, 1),
        event("4", "inference", "success", 40, 2),
        event("5", "inference", "error", 700, 2),
        event("6", "total", "success", 100, 1),
    ]
    old = NOW - dt.timedelta(days=31)
    days = [(NOW, row) for row in rows] + [(old, event("7", "total", "error", 1, 1))]
    tables.fill("TelemetryTable", days)
    counted = (
        "event_id", "stage_ms", "stage_error", "end_to_end_ms", "submission_error",
        "submission_refused", "images",
    )  # fmt: skip
    found = tables.run(query("QuickSightData", dev))
    assert sorted(tuple(row[name] for name in counted) for row in found) == [
        ("1", 80, 0, 80, 0, 0, 2),
        ("2", None, 1, None, 1, 0, None),
        ("3", None, 0, None, 0, 1, None),
        ("4", 40, 0, None, None, None, None),
        ("5", None, 1, None, None, None, None),
        ("6", 100, 0, 100, 0, 0, 1),
    ]


# --- the dashboards -------------------------------------------------------------------------------


def visuals(dashboard: str, dev: Package) -> list[dict[str, Any]]:
    """Every visual of a dashboard, without its kind."""
    definition = dev.properties(dashboard)["Definition"]
    return [
        visual
        for sheet in definition["Sheets"]
        for kinds in sheet["Visuals"]
        for visual in kinds.values()
    ]


def fields(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a visual with its kind, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from fields(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict) and "FieldId" in item:
                yield key, item
            else:
                yield from fields(item)


FIELD_TYPES = {
    "DateDimensionField": {"DATETIME"},
    "CategoricalDimensionField": {"STRING"},
    "CategoricalMeasureField": {"STRING"},
    "NumericalMeasureField": {"INTEGER", "DECIMAL"},
}


def test_every_visuals_columns_are_in_its_data_set(dashboard: str, dev: Package) -> None:
    declared = {
        each["Identifier"]: custom_sql(each["DataSetArn"]["Fn::GetAtt"][0], dev)["Columns"]
        for each in dev.properties(dashboard)["Definition"]["DataSetIdentifierDeclarations"]
    }
    used = set()
    for visual in visuals(dashboard, dev):
        found = list(fields(visual["ChartConfiguration"]))
        assert found
        for kind, field in found:
            column = field["Column"]
            used.add(column["DataSetIdentifier"])
            types = {each["Name"]: each["Type"] for each in declared[column["DataSetIdentifier"]]}
            assert types[column["ColumnName"]] in FIELD_TYPES[kind]
    assert used == declared.keys()


def test_a_dashboards_ids_and_titles_are_its_own_and_documented(
    dashboard: str, dev: Package
) -> None:
    shown = visuals(dashboard, dev)
    page = (ROOT / "docs/analytics.md").read_text()
    titles = [visual["Title"]["FormatText"]["PlainText"] for visual in shown]
    field_ids = [field["FieldId"] for visual in shown for _, field in fields(visual)]
    for names in ([visual["VisualId"] for visual in shown], titles, field_ids):
        assert len(names) == len(set(names))
    assert not [title for title in titles if f"| {title} |" not in page]


def test_the_security_dashboard_shows_blocks_findings_denials_and_4xx_by_caller(
    dev: Package,
) -> None:
    shown = {
        (field["Column"]["DataSetIdentifier"], field["Column"]["ColumnName"])
        for visual in visuals("QuickSightSecurityDashboard", dev)
        for _, field in fields(visual)
    }
    assert shown >= {
        ("firewall-blocks", "rule"),
        ("findings", "severity"),
        ("client-errors", "denied"),
        ("client-errors", "caller"),
    }


def test_nothing_of_quicksight_is_made_without_a_user(dev: Package) -> None:
    made = {
        name: resource.get("Condition")
        for name, resource in dev.template["Resources"].items()
        if "QuickSight" in name or "Rollup" in name or "QuickSight" in resource["Type"]
    }
    assert len(made) > 15
    assert set(made.values()) == {"MakesQuickSight"}
    assert dev.template["Conditions"]["MakesQuickSight"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "QuickSightUser"}, ""]}]
    }
    assert "QuickSightUser" in json.dumps(dev.template["Parameters"])
