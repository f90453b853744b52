"""Ratios to the calibration, and what the table says of them."""

from bench.compare import ratios, table

SECONDS = {"test_calibration": 0.002, "test_decode": 0.01, "test_split": 0.001}


def test_parts_are_told_in_units_of_the_calibration():
    assert ratios(SECONDS) == {"test_decode": 5.0, "test_split": 0.5}


def test_table_has_milliseconds_ratios_and_the_change():
    _, decode, split = table(SECONDS, {"test_decode": 4.0}).splitlines()
    assert decode.split() == ["decode", "10.000", "5.000", "4.000", "+25%"]
    assert split.split() == ["split", "1.000", "0.500", "new"]
