"""Plots are SVG that an XML reader takes, with their points where the figures say."""

import xml.etree.ElementTree as ET

from gateway.acceptance.measure import figures
from gateway.acceptance.plots import reliability, roc
from tests.gateway.acceptance.test_measure import studies


def marks(drawing: str, tag: str) -> list[ET.Element]:
    return ET.fromstring(drawing).findall(tag)  # noqa: S314 - our own


def test_the_curve_runs_from_corner_to_corner_past_the_operating_point():
    label = figures("pneumonia", 0.5, studies(1))
    [line] = marks(roc(label), "polyline")
    points = line.attrib["points"].split()
    assert (points[0], points[-1]) == ("40.0,250.0", "280.0,10.0")
    [dot] = marks(roc(label), "circle")
    point = label.operating_point
    assert point.sensitivity is not None
    assert dot.attrib["cy"] == f"{250 - 240 * point.sensitivity.value:.1f}"
    one_class = label.model_copy(
        update={"operating_point": point.model_copy(update={"sensitivity": None})}
    )
    assert marks(roc(one_class), "circle") == []


def test_each_bin_is_a_dot_as_large_as_it_has_studies():
    label = figures("pneumonia", 0.5, studies(1))
    dots = marks(reliability(label), "circle")
    assert len(dots) == len(label.calibration)
    largest = max(label.calibration, key=lambda each: each.studies)
    assert float(dots[label.calibration.index(largest)].attrib["r"]) == 8.0
