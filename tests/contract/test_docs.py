"""What the documentation lists is what there is, no more and no less."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from gateway.observability.metrics import Metrics
from gateway.problems import all_kinds
from gateway.report import prices, questions
from gateway.settings import Settings, setting_names

DOCS = Path(__file__).parents[2] / "docs"


def rows(page: str) -> dict[str, list[str]]:
    """The cells of a table's rows by the code in their first cell, which is left out."""
    lines = (DOCS / page).read_text().splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}


def groups() -> dict[str, type[BaseModel]]:
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type)
    }


def test_every_kind_of_problem_has_a_section_with_its_status_and_title():
    text = (DOCS / "problems.md").read_text()
    found = re.findall(r"^### `([a-z-]+)`\n\nStatus (\d+): ([^.]+)\. (\S+)", text, re.MULTILINE)
    assert sorted(found[:3] for found in found) == sorted(
        {(kind.name, str(kind.status), kind.title) for kind in all_kinds()}
    )


def test_every_metric_is_documented_as_it_is():
    documented = rows("metrics.md")
    for collector in Metrics(CollectorRegistry()):
        [family] = collector.describe()
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        kind = "gauge" if family.type == "info" else family.type
        labels = ["version"] if family.type == "info" else collector._labelnames
        cells = documented.pop(family.name + suffix)
        assert cells[0] == kind, family.name
        assert re.findall(r"`(\w+)`", cells[1]) == list(labels), family.name
        assert cells[2] == family.documentation, family.name
        assert cells[3], family.name
    assert documented == {}


def test_every_setting_is_documented_with_its_default():
    documented = rows("settings.md")
    assert list(documented) == [name for name, _ in setting_names()]
    for group_name, group in groups().items():
        for name, field in group.model_fields.items():
            default, described = documented[f"RADSTREAM_{group_name}__{name}".upper()]
            if field.default_factory is None and field.default is not None:
                shown = str(field.default)
                assert default.strip("`") == shown, name
            assert described == field.description, name


def test_every_query_price_and_check_of_the_telemetry_is_documented():
    documented = rows("analytics.md")
    text = (DOCS / "analytics.md").read_text()
    for question in questions():
        assert f"| [{question.title}](../gateway/report/queries/{question.name}.sql) |" in text
    for name, value in prices().items():
        assert float(documented.pop(name)[0]) == value, name
    checks = next(each.sql for each in questions() if each.name == "data_quality")
    assert documented.keys() == set(re.findall(r"SELECT\n +'([^']+)'", checks))


@pytest.mark.parametrize("page", sorted(page.name for page in DOCS.glob("*.md")))
def test_links_of_a_page_lead_somewhere(page: str):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (DOCS / page).read_text()):
        if not target.startswith(("http://", "https://")):
            assert (DOCS / target).exists(), target
