"""Each feature has the bins that every gateway gives it."""

import pytest

from gateway.monitoring.features import FEATURES, bins_of, unit_bin
from tests.support.telemetry import reading_event


@pytest.mark.parametrize(("value", "place"), [(0.0, 0), (1 / 64, 1), (0.5, 32), (1.0, 63)])
def test_the_way_from_black_to_white_has_64_bins(value: float, place: int):
    assert unit_bin(value) == place


def test_a_reading_that_tells_all_has_a_bin_of_each_feature():
    event = reading_event(
        mean=0.5, deviation=0.25, entropy=1.0, saturation=0.0, border=0.25, rows=1000, columns=1000,
        exposure_index=255.0, device="000001ff" + "0" * 24, view="PA", age_band="80+", sex="F",
        hour=23,
    )  # fmt: skip
    assert dict(bins_of(event)) == {
        "mean": "32",
        "deviation": "32",
        "entropy": "63",
        "saturation": "0",
        "border": "16",
        "size": "39",  # 4 x log2(1001)
        "exposure_index": "32",  # 4 x log2(256)
        "device": "ff",
        "view": "PA",
        "age_band": "80+",
        "sex": "F",
        "hour": "20-23",
    }


def test_of_what_is_not_known_only_an_unordered_feature_has_a_bin():
    bins = dict(bins_of(reading_event(rows=None, columns=None)))
    assert bins.keys().isdisjoint({"size", "exposure_index"})
    assert {bins[name] for name in ("device", "view", "age_band", "sex", "hour")} == {"unknown"}
    assert {name for name, each in FEATURES.items() if not each.is_ordered} <= bins.keys()
