"""An `svg` element stands in a page: its colours are the page's, its ids its own."""

from xml.etree import ElementTree as ET

from matplotlib.axes import Axes

from gateway.report.svg import BAD, GOOD, INK, svg


def drawn(title: str) -> str:
    def draw(axes: Axes) -> str:
        axes.bar(["a"], [1], color=GOOD)
        axes.text(0, 0, "<b>", color=INK)
        axes.axhline(1, color=BAD)
        return "One bar & a line."

    return svg(title, draw)


def test_colours_are_the_pages():
    text = drawn("Studies")
    for colour in ("var(--good)", "var(--bad)", "var(--ink-soft)"):
        assert colour in text
    assert not any(stand_in in text for stand_in in (GOOD, BAD, INK))


def test_title_and_description_are_told_and_escaped():
    text = drawn("Studies & more")
    assert text.startswith('<svg role="img" aria-labelledby="studies-more-title studies-more-desc"')
    assert '<title id="studies-more-title">Studies &amp; more</title>' in text
    assert "One bar &amp; a line." in text
    assert "<b>" not in text


def test_ids_begin_with_the_title_so_that_two_pictures_share_none():
    def ids(title: str) -> set[str]:
        root = ET.fromstring(drawn(title))  # noqa: S314 - our own
        return {element.attrib["id"] for element in root.iter() if "id" in element.attrib}

    assert ids("One")
    assert ids("One").isdisjoint(ids("Two"))


def test_the_same_picture_is_the_same_text():
    assert drawn("Studies") == drawn("Studies")
