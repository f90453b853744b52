"""Tables for people."""

from gateway.cli.table import table


def test_columns_are_as_wide_as_they_need_and_numbers_stand_to_the_right():
    assert list(table(("NAME", "COUNT", "END"), [("a", 7, "x"), ("longer", 1234, "")])) == [
        "NAME    COUNT  END",
        "a           7  x",
        "longer   1234",
    ]


def test_nothing_has_no_head():
    assert list(table(("NAME",), [])) == []
