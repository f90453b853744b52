"""The view of a data set: View Position, View Code Sequence and Patient Orientation together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.schemas.metadata import View
from gateway.studies.metadata.projection import (
    ANY,
    FRONTAL,
    NOT_UNDERSTOOD,
    Evidence,
    by_patient_orientation,
    by_view_codes,
    by_view_position,
)
from gateway.studies.metadata.statements import Statement, disagreement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from preprocess import DicomMetadata

_VIEW_POSITION = "View Position (0018,5101)"
_VIEW_CODE = "View Code Sequence (0054,0220)"
_ORIENTATION = "Patient Orientation (0020,0020)"


def view_evidence(header: DicomMetadata) -> dict[str, Evidence]:
    """Return what each attribute that is present says of the view, by the attribute."""
    evidence = {}
    if header.view_position is not None:
        evidence[_VIEW_POSITION] = by_view_position(header.view_position)
    if header.view_codes:
        evidence[_VIEW_CODE] = by_view_codes(header.view_codes)
    if header.patient_orientation:
        evidence[_ORIENTATION] = by_patient_orientation(header.patient_orientation)
    for attribute, keyword in (
        (_VIEW_POSITION, "ViewPosition"),
        (_VIEW_CODE, "ViewCodeSequence"),
        (_ORIENTATION, "PatientOrientation"),
    ):
        if keyword in header.unreadable:
            evidence[attribute] = NOT_UNDERSTOOD
    return _weighed(evidence)


def _weighed(evidence: dict[str, Evidence]) -> dict[str, Evidence]:
    """Return the evidence, less a frontal Patient Orientation where the others name a lateral view.

    Many devices write L and F into every picture, so that this says little beside a word or code.
    A lateral orientation is no device's default.
    """
    orientation = evidence.get(_ORIENTATION, Evidence())
    words = [found for attribute, found in evidence.items() if attribute != _ORIENTATION]
    lateral = all(found.named == {View.LATERAL} for found in words if found.named)
    if orientation.named == FRONTAL and lateral and any(found.named for found in words):
        doubt = "says a frontal picture, against the lateral view that is named"
        return evidence | {_ORIENTATION: Evidence(doubts=(doubt,), remarks=orientation.remarks)}
    return evidence


def view_statement(part: str, evidence: Mapping[str, Evidence]) -> Statement:
    """Return what the attributes state of the view together."""
    doubts = tuple(
        f"{attribute} {doubt}" for attribute, found in evidence.items() for doubt in found.doubts
    )
    left_open = ANY
    allowed = {}
    for attribute, found in evidence.items():
        left_open &= found.open
        if found.open != ANY:
            allowed[attribute] = frozenset(view.value for view in found.open)
    if not left_open:
        named = frozenset(view.value for found in evidence.values() for view in found.named)
        return disagreement(part, _parties(allowed), named, doubts)
    views = (found.view for found in evidence.values())
    view = next((view for view in views if view in left_open), None)
    return Statement(part, None if view is None else view.value, allowed, assumed=doubts)


def _parties(allowed: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
    """Return those that leave nothing open together with another one."""
    return {
        attribute: values
        for attribute, values in allowed.items()
        if any(values.isdisjoint(others) for others in allowed.values())
    } or allowed
