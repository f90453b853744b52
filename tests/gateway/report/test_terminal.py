"""A report as text: every answer under its title, long ones cut with a word on the rest."""

from typing import Any

from gateway.report.answers import QueryResult
from gateway.report.questions import questions
from gateway.report.terminal import lines

[SUMMARY] = [question for question in questions() if question.name == "summary"]
[THROUGHPUT] = [question for question in questions() if question.name == "throughput"]


def text_of(question: Any, columns: list[str], *rows: tuple[Any, ...]) -> list[str]:
    return list(lines({question.name: QueryResult(question, columns, list(rows))}, "three files"))


def test_the_source_comes_first_and_a_title_before_its_answer():
    text = text_of(THROUGHPUT, ["hour", "studies"])
    assert text[0] == "RadStream: three files"
    assert text[2] == THROUGHPUT.title.upper()
    assert text[-1] == "  nothing"


def test_a_summary_is_a_line_a_value():
    text = text_of(SUMMARY, ["studies", "p95_ms"], (1200, 30.25))
    assert text[-2:] == ["  studies  1,200", "  p95 ms   30.2"]


def test_quantities_are_aligned_to_the_right():
    text = text_of(THROUGHPUT, ["model", "studies"], ("a", 5), ("longer", 1200))
    assert text[-4:] == [
        "  model   studies",
        "  ------  -------",
        "  a             5",
        "  longer    1,200",
    ]


def test_of_many_rows_in_time_the_last_are_shown_and_the_whole_stays():
    rows = [(None, 99), *((f"h{number:02}", number) for number in range(30))]
    text = text_of(THROUGHPUT, ["hour", "studies"], *rows)
    shown = [line.split()[0] for line in text if line.startswith("  h") or "all hours" in line]
    assert shown[-1] == "h29"
    assert "all" in " ".join(text)
    assert "h00" not in " ".join(text)
    assert text[-1] == "  … and 7 more rows: --html has them"
