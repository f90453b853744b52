"""The blocks of docs/performance.md, and the arithmetic behind them by hand."""

import pytest

from bench.report import filled
from bench.routes import Route, within
from bench.soak import slope

PAGE = "before\n<!-- bench:x -->\n\nold\n\n<!-- /bench:x -->\nafter\n"


def test_block_is_replaced_and_all_else_stays():
    page = filled(PAGE, "x", r"| \1 |")
    assert page == "before\n<!-- bench:x -->\n\n| \\1 |\n\n<!-- /bench:x -->\nafter\n"
    assert filled(page, "x", "old") == PAGE


@pytest.mark.parametrize("page", ["", PAGE + PAGE])
def test_page_without_just_one_such_block_is_refused(page: str):
    with pytest.raises(ValueError, match="blocks named x"):
        filled(page, "x", "new")


def test_waits_that_overlap_count_once_and_others_not_at_all():
    others = [(5.0, 6.0), (1.0, 3.0), (2.0, 4.0), (9.5, 12.0), (0.0, 0.5), (20.0, 21.0)]
    assert within((1.5, 10.0), others) == [(1.5, 4.0), (5.0, 6.0), (9.5, 10.0)]


def test_route_takes_off_what_it_waited():
    route = Route(
        "x", {"A": (0.0, 1.0), "B": (2.0, 5.0)}, 7.0, s3=[(0.25, 0.5), (2.0, 3.0), (2.5, 4.0)]
    )
    figures = route.figures()
    assert figures["ms"] == [3000, 3000]
    assert figures["own_ms"] == [1000, 1000]
    assert (figures["calls"], figures["waits"]) == (1.5, 1.0)


def test_slope_is_of_the_second_half_for_ten_thousand_studies():
    seen = [{"studies": 1000.0 * n, "mib": 500.0 if n < 5 else 100 + n} for n in range(10)]
    assert slope(seen, "mib") == pytest.approx(10)
