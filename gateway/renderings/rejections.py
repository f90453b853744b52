"""Objects that an archive has of a wrong patient, or of a deleted study, and is to hide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from gateway.renderings.heat_maps import heat_maps
from gateway.renderings.identifiers import changes_before, derived_uid
from gateway.renderings.revisions import MAY_HAVE, reports_by_identity
from gateway.renderings.words import Withdrawal
from gateway.results.deliveries import brought, report_class
from gateway.results.withdrawn_study import CaptureReference
from gateway.schemas.result import DeliveryState, RenderingKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.renderings.revisions import Revision
    from gateway.results.documents import Reading, StudyRecord

# Of objects that an archive took before it refused another the item is parked.
_THERE = MAY_HAVE | {DeliveryState.PARKED}
_DONE = frozenset({DeliveryState.ACKNOWLEDGED, DeliveryState.CONFIRMED})


@dataclass(frozen=True, slots=True)
class Rejection:
    """Objects that one note withdraws.

    Parameters
    ----------
    identity
        Identity of the study that they are of.
    withdrawal
        Cause.
    reports
        SOP Instance UIDs of structured reports.
    captures
        Secondary Captures.
    classes
        SOP Class UID of each report, by its own UID; Comprehensive 3D SR where it has none.
    """

    identity: Mapping[str, str | None]
    withdrawal: Withdrawal
    reports: tuple[str, ...]
    captures: tuple[CaptureReference, ...]
    classes: Mapping[str, str] = field(default_factory=dict)

    @property
    def sop_instance_uid(self) -> str:
        """Return the UID of the note, which changes with the objects."""
        captures = (capture.sop_instance_uid for capture in self.captures)
        return derived_uid("rejection note", *self.reports, *captures)


def rejections(
    record: StudyRecord,
    study: str,
    captures: Sequence[CaptureReference],
    destination: str,
    *,
    now: Revision | None = None,
    deletions: int = 0,
) -> Iterator[Rejection]:
    """Yield what a destination is to hide, as it has not been told before.

    Parameters
    ----------
    study
        Its Study Instance UID.
    captures
        All that may have been sent; see `capture_references`.
    destination
        Its name.
    now, deletions
        See `reports_by_identity`.
    """
    told = brought(record, destination, RenderingKind.REJECTION_NOTE, _DONE)
    reports_there = brought(record, destination, RenderingKind.STRUCTURED_REPORT, _THERE)
    captures_there = brought(record, destination, RenderingKind.SECONDARY_CAPTURE, _THERE)
    lives = reports_by_identity(record, study, destination, now=now, deletions=deletions)
    for number, (identity, reports) in enumerate(lives):
        rejection = Rejection(
            identity,
            Withdrawal.DELETED if number == len(record.former) else Withdrawal.WRONG_PATIENT,
            tuple(uid for uid in reports if uid in reports_there),
            tuple(
                capture
                for capture in captures
                if capture.corrections == number and capture.sop_instance_uid in captures_there
            ),
            {uid: report_class(record, uid) for uid in reports},
        )
        is_any = rejection.reports or rejection.captures
        if is_any and rejection.sop_instance_uid not in told:
            yield rejection


def capture_references(
    readings: Sequence[Reading], corrections: int, deletions: int
) -> Iterator[CaptureReference]:
    """Yield the Secondary Captures that may have been sent of a study, under all its identities.

    Parameters
    ----------
    readings
        All of the study, superseded ones too.
    corrections, deletions
        See `changes_before`.
    """
    headers: dict[str, Dataset] = {}
    for reading in readings:
        if reading.study_instance_uid is not None:
            headers[reading.sha256] = header = Dataset()
            header.StudyInstanceUID = reading.study_instance_uid
    shown = [reading for reading in readings if reading.sha256 in headers]
    for number in range(corrections + 1):
        after = changes_before(number, deletions)
        for reference in (each.reference() for each in heat_maps(shown, headers, after=after)):
            yield CaptureReference(
                series_instance_uid=reference.SeriesInstanceUID,
                sop_instance_uid=reference.SOPInstanceUID,
                corrections=number,
            )
