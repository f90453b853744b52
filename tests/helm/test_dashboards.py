"""The committed dashboards are what the program writes, and what Grafana's schema knows.

That their queries find something is shown by tests/e2e/test_watching.py.
"""

import itertools
import json
import re
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from helm.dashboards.__main__ import FOLDER, documents

DASHBOARDS = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=list(DASHBOARDS))


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_committed_dashboards_are_what_the_program_writes():
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert committed == documents(), "run python -m helm.dashboards"


@each_dashboard
def test_schema_has_all_that_is_in_a_dashboard(dashboard: dict[str, Any]):
    register_default_plugins()
    assert json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder)) == dashboard


@each_dashboard
def test_a_panel_says_what_it_shows_in_which_unit_and_takes_any_data_source(
    dashboard: dict[str, Any],
):
    assert [each["name"] for each in dashboard["templating"]["list"]][:2] == [
        "datasource",
        "namespace",
    ]
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        options = panel["options"].get("yAxis") or panel["fieldConfig"]["defaults"]
        assert options["unit"], panel["title"]
        for datasource in [panel["datasource"], *(each["datasource"] for each in panel["targets"])]:
            assert datasource == DATASOURCE


@each_dashboard
def test_queries_take_the_variables_there_are_and_rates_the_resolution_shown(
    dashboard: dict[str, Any],
):
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    built_in = {"__rate_interval", "__range"}
    used = set()
    for target in itertools.chain.from_iterable(panel["targets"] for panel in panels(dashboard)):
        names = set(re.findall(r"\$(\w+)", target["expr"]))
        assert names <= variables | built_in, target["expr"]
        used |= names
        if target["expr"].startswith("histogram_quantile"):
            assert re.search(r"_bucket\{[^}]*\}\[\$__r", target["expr"])
    assert variables - used == {"datasource"}


@each_dashboard
def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard: dict[str, Any]):
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        covered = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert max(column for column, _ in covered) < 24
        assert not cells & covered, panel["title"]
        cells |= covered
