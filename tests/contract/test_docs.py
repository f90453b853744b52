"""What the documentation lists is what there is, no more and no less."""

import re
import tomllib
from pathlib import Path

import pytest

from docs.generate import pages as generated
from gateway.report import prices, questions

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")])


def rows(page: str) -> dict[str, list[str]]:
    """The cells of a table's rows by the code in their first cell, which is left out."""
    lines = (DOCS / page).read_text().splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}


@pytest.mark.parametrize("page", generated())
def test_generated_text_is_as_the_code_has_it(page: str):
    assert (DOCS / page).read_text() == generated()[page], "run `make docs`"


def test_every_metric_says_what_to_do():
    assert [name for name, cells in rows("metrics.md").items() if not cells[-1].strip()] == []


def test_every_attribute_of_the_conformance_statement_says_its_use():
    text = (DOCS / "conformance.md").read_text()
    uses = re.findall(r"^\| \(\w{4},\w{4}\) \| .* \| `(\w+)` \|(.*)\|$", text, re.MULTILINE)
    assert len(uses) > 40
    assert [keyword for keyword, use in uses if not use.strip()] == []


def test_every_query_price_and_check_of_the_telemetry_is_documented():
    documented = rows("analytics.md")
    text = (DOCS / "analytics.md").read_text()
    for question in questions():
        assert f"| [{question.title}](../gateway/report/queries/{question.name}.sql) |" in text
    for name, value in prices().items():
        assert float(documented.pop(name)[0]) == value, name
    checks = next(each.sql for each in questions() if each.name == "data_quality")
    assert documented.keys() == set(re.findall(r"SELECT\n +'([^']+)'", checks))


def test_the_contributors_page_names_modules_and_packages_that_there_are():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    packages = [
        name
        for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
        for name in re.findall(r"`([\w.]+)`", row)
    ]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [layers] = [each["layers"] for each in contracts["contracts"] if "layers" in each]
    assert [name.removesuffix(".py") for name in packages] == layers[1:]  # all but __main__
    roots = "gateway|preprocess|tests|docs|requirements|serverless"
    paths = re.findall(rf"`((?:{roots})/[\w./-]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def headings(text: str) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", prose, re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What links can name on a page: its headings as GitHub writes them into addresses."""
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings(text)}


def test_headings_are_terms_and_no_questions():
    asked = re.compile(r"(What|Whether|Who|Why|When|Where|How|Does|Is|By|Which)\b")
    found = {path.name: headings(path.read_text()) for path in DOCS.glob("*.md")}
    assert [(page, each) for page in found for each in found[page] if asked.match(each)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_of_a_page_lead_somewhere(path: Path):
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", path.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page.read_text()), (target, anchor)
