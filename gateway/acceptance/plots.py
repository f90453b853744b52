"""Plots of an acceptance page.

Not matplotlib: two curves are few lines of SVG, and the page is made where the report's extra may
be missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.schemas.acceptance import LabelFigures

_SIDE, _LEFT, _TOP = 240, 40, 10
_RADIUS = 3.0


def roc(label: LabelFigures) -> str:
    """Return the ROC curve with the operating point, where both classes are there."""
    line = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in label.roc)
    marks = [f'<polyline points="{line}" fill="none" stroke="var(--first)" stroke-width="2"/>']
    point = label.operating_point
    if point.sensitivity is not None and point.specificity is not None:
        marks.append(_dot(1 - point.specificity.value, point.sensitivity.value, "var(--bad)"))
    return _axes("ROC curve", "1 - specificity", "sensitivity", marks)


def reliability(label: LabelFigures) -> str:
    """Return the share of studies with the finding by the model's probability."""
    most = max((each.studies for each in label.calibration), default=1)
    marks = [
        _dot(each.probability, each.share, "var(--first)", _RADIUS + 5 * each.studies / most)
        for each in label.calibration
    ]
    return _axes("Calibration", "probability", "share with it", marks)


def _axes(title: str, across: str, up: str, marks: Iterable[str]) -> str:
    width, height = _LEFT + _SIDE + 10, _TOP + _SIDE + 36
    bottom = _TOP + _SIDE
    ticks = [
        f'<text x="{_x(at):.0f}" y="{bottom + 14}" text-anchor="middle">{at:g}</text>'
        f'<text x="{_LEFT - 5}" y="{_y(at) + 4:.0f}" text-anchor="end">{at:g}</text>'
        for at in (0.0, 0.5, 1.0)
    ]
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}">'
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" '
        'stroke="var(--grid)"/>'
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_LEFT + _SIDE}" y2="{_TOP}" stroke="var(--grid)"/>'
        f"{''.join(ticks)}{''.join(marks)}"
        f'<text x="{_LEFT + _SIDE / 2}" y="{height - 6}" text-anchor="middle">{across}</text>'
        f'<text x="10" y="{_TOP + _SIDE / 2}" text-anchor="middle" '
        f'transform="rotate(-90 10 {_TOP + _SIDE / 2})">{up}</text></svg>'
    )


def _dot(x: float, y: float, colour: str, radius: float = 5.0) -> str:
    return f'<circle cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="{radius:.1f}" fill="{colour}"/>'


def _x(share: float) -> float:
    return _LEFT + share * _SIDE


def _y(share: float) -> float:
    return _TOP + (1 - share) * _SIDE
