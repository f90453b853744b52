"""The report's page is whole in itself, and nothing in the telemetry becomes a part of it."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.report import (
    Records,
    answers,
    changed_cases,
    page,
    questions,
    reader_agreement,
)
from tests.gateway.report.test_reader_agreement import study as judged
from tests.support.analytics import FIRST_DAY, lines_of, study, two_days, write

VOID = {"meta"}


class Reader(HTMLParser):
    """What a browser makes of a page; fails where a tag is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def all_of(self, tag: str) -> list[str]:
        """The texts right in elements of this tag."""
        return [text for within, text in self.texts if within == tag and text]


def page_of(folder: Path, lines: list[str], **paid: float) -> str:
    records = Records([write(folder, lines)])
    found = answers(records, questions(), since=None, paid=paid)
    text = page(found, records.described(), paid, gateway_url="http://127.0.0.1:8080")
    records.close()
    return text


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(tmp_path_factory.mktemp("telemetry"), lines_of(two_days()), instance_hour=2.0)


def test_the_figures_that_matter_come_first(text: str):
    reader = Reader(text)
    assert reader.all_of("dt") == [
        "Studies",
        "End to end, p95",
        "Error rate",
        "Cost per 1000 images",
    ]
    values = [value for value in reader.all_of("dd") if value.replace(".", "").isdigit()]
    # The minute and the 90 minutes at 2 dollars an hour are all but cents of the last.
    assert values[:3] == ["24", "200.0", "4.17"]
    assert 1000 * 3.033 / 23 < float(values[3]) < 1000 * 3.1 / 23
    assert text.index("<dl") < text.index("<svg") < text.index("<table")


def test_every_answer_has_a_table_and_every_plot_words(text: str):
    reader = Reader(text)
    assert reader.tags["table"] == reader.tags["section"] == 9
    assert reader.tags["svg"] == reader.tags["figcaption"] == reader.tags["desc"] == 6
    assert [value for tag, name, value in reader.attributes if (tag, name) == ("svg", "role")] == [
        "img"
    ] * 6
    assert "The busiest is" in " ".join(reader.all_of("desc"))
    assert "Prices: instance_hour 2, stored_gb_month" in text


def test_discordant_and_changed_studies_open_in_the_console(tmp_path: Path):
    records = Records([write(tmp_path, lines_of(two_days()))])
    found = answers(records, questions(), since=None, paid={})
    found |= reader_agreement([judged(19, 0.9, ("B", False))])
    verdicts = {
        "probability": 0.9,
        "shadow_probability": 0.4,
        "positive": True,
        "shadow_positive": False,
    }
    pair = {"model": {"name": "cxr", "version": "1"}, "frame": 1, "label": "x"} | verdicts
    reading = {"study_id": "S/20", "sha256": "00", "model": {"name": "cxr", "version": "2"}}
    shadow = tmp_path / "results/S20/shadows/00/cxr-2.json"
    shadow.parent.mkdir(parents=True)
    shadow.write_text(json.dumps(reading | {"pairs": [pair]}))
    found["changed_cases"] = changed_cases(tmp_path)
    text = page(found, records.described(), {}, gateway_url="https://radstream.example/gateway/")
    reader = Reader(text)
    assert [value for _, name, value in reader.attributes if name == "href"] == [
        "https://radstream.example/gateway/console/studies/S19",
        "https://radstream.example/gateway/console/studies/S%2F20",
    ]
    assert reader.all_of("a") == ["S19", "S/20"]
    records.close()


def test_the_page_fetches_nothing_and_runs_nothing(text: str):
    reader = Reader(text)
    assert not reader.tags.keys() & {"script", "link", "img", "iframe", "object", "image"}
    for _, name, value in reader.attributes:
        assert not name.startswith("on")
        if name in {"href", "src", "xlink:href"}:
            assert value.startswith("#"), value
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []


def test_ids_are_unique_and_what_is_referred_to_is_there(text: str):
    reader = Reader(text)
    ids = Counter(value for _, name, value in reader.attributes if name == "id")
    assert [name for name, count in ids.items() if count > 1] == []
    referred = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    for _, name, value in reader.attributes:
        if name == "aria-labelledby":
            referred |= set(value.split())
    assert referred
    assert referred <= ids.keys()


def test_plots_take_their_colours_from_the_page(text: str):
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        assert "var(--" in svg
        assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= {"#ffffff", "#000000"}


def test_what_stands_in_a_file_is_text_on_the_page(tmp_path: Path):
    # No gateway writes such records, but others can write files.
    hostile = '<script>alert("1")</script>&amp; $\\frac{$'
    refused = study("1", FIRST_DAY, "09:00:00", status="failed", error_code="internal")
    lines = lines_of(refused, error_code=hostile, model=hostile, route=hostile, model_version="x")
    text = page_of(tmp_path, lines)
    reader = Reader(text)
    assert reader.tags["script"] == 0
    assert hostile in reader.all_of("td")
    assert hostile in reader.all_of("text")


@pytest.mark.parametrize(
    "stages", [["validate", "total"], ["validate", "admit", "decode", "total"]]
)
def test_a_page_of_refusals_alone_can_be_drawn(stages: list[str], tmp_path: Path):
    refused = {"status": "failed", "error_code": "unreadable-image", "model": None}
    events = study("1", FIRST_DAY, "09:00:00", stages=stages, **refused)
    reader = Reader(page_of(tmp_path, lines_of(events)))
    assert "100.00 %" in " ".join(reader.all_of("dd"))
    assert reader.all_of("dd")[2] == "none"
    assert "End-to-end time by hour" not in reader.all_of("figcaption")
    assert "What did not succeed, by reason" in reader.all_of("figcaption")
