"""Revisions of a study's structured report: what the one of now replaces, and what is withdrawn.

A report that tells of other readings, or of another patient, is another object, which names its
predecessor. The study's document lists the reports that destinations got, by their UIDs. Where an
identity turned out to be wrong, a successor without findings, in the wrong patient's study,
withdraws what was told of it.

References
----------
DICOM PS3.3, C.17.2: Predecessor Documents Sequence (0040,A360).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from gateway.renderings.identifiers import changes_before, derived_uid
from gateway.renderings.source_header import is_usable
from gateway.renderings.words import Withdrawal, model_name
from gateway.results.deliveries import brought
from gateway.results.deliveries import report_class as sent_class
from gateway.schemas.report_class import DEFAULT, ReportClass
from gateway.schemas.result import DeliveryState, RenderingKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.results.documents import Reading, StudyRecord

OF_PATIENT = ("PatientName", "PatientBirthDate", "PatientSex")
"""Attributes that another patient's image tells wrongly of a corrected study."""

REPORT_SERIES_NUMBER = 990
REPORT_MODALITY = "SR"
REPORT_SERIES_DESCRIPTION = "AI results, not reviewed"
_HAS = frozenset({DeliveryState.ACKNOWLEDGED, DeliveryState.CONFIRMED})
_KIND = RenderingKind.STRUCTURED_REPORT

MAY_HAVE = _HAS | {DeliveryState.SENT}
"""States of items whose objects the destination may have."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A state of a study that a report is of.

    Parameters
    ----------
    sop_instance_uid
        Of the report.
    identity
        Of the study, as it was or is taken to be.
    after
        Changes of the study before it; see `changes_before`.
    withdrawal
        Cause of a report without findings, which withdraws those before it.
    predecessor
        Identifiers of the report that it replaces; None where no destination got any.
    report_class
        Class of the report.
    """

    sop_instance_uid: str
    identity: Mapping[str, str | None]
    after: tuple[str, ...] = ()
    withdrawal: Withdrawal | None = None
    predecessor: Dataset | None = None
    report_class: ReportClass = DEFAULT


def present(
    record: StudyRecord,
    study: str,
    readings: Sequence[Reading],
    *,
    deletions: int = 0,
    report_class: ReportClass = DEFAULT,
) -> Revision:
    """Return the revision of a study as it is now.

    Parameters
    ----------
    study
        Its Study Instance UID.
    readings
        Those that its report tells of.
    deletions
        Number of its deletions on request before.
    report_class
        Class of the report, which replaces those of its own class.
    """
    names = [f"{reading.sha256} {model_name(reading.model)}" for reading in readings]
    corrections = len(record.former)
    after = changes_before(corrections, deletions)
    uid = derived_uid("SR", study, *names, *after, *_part(report_class))
    told = [each for each in _told(record) if _class(record, each) is report_class]
    before = told[: told.index(uid)] if uid in told else told
    withdrawn = _withdrawn_before(study, corrections, deletions)
    return Revision(
        uid,
        record.identity,
        after,
        predecessor=_reference(record, study, [uid for uid in before if uid not in withdrawn]),
        report_class=report_class,
    )


def withdrawals(
    record: StudyRecord,
    study: str,
    destination: str,
    *,
    now: Revision | None = None,
    deletions: int = 0,
    report_class: ReportClass = DEFAULT,
) -> Iterator[Revision]:
    """Yield the revisions that withdraw what a destination got under wrong identities.

    Parameters
    ----------
    destination
        Its name; what it has by now is left out.
    now
        The present revision; None of a study that is deleted, which its last revision withdraws.
    deletions
        See `present`.
    report_class
        Class that the destination takes; where there is a present revision, its class.
    """
    made = report_class if now is None else now.report_class
    has = brought(record, destination, _KIND, _HAS)
    lives = reports_by_identity(record, study, destination, now=now, deletions=deletions)
    for number, (identity, reports) in enumerate(lives):
        is_last = number == len(record.former)
        uid = _withdrawn(study, None if is_last else number, deletions, made)
        if reports and uid not in has:
            yield Revision(
                uid,
                identity,
                changes_before(number, deletions),
                Withdrawal.DELETED if is_last else Withdrawal.WRONG_PATIENT,
                predecessor=_reference(record, study, reports),
                report_class=made,
            )


def reports_by_identity(
    record: StudyRecord,
    study: str,
    destination: str,
    *,
    now: Revision | None = None,
    deletions: int = 0,
) -> list[tuple[Mapping[str, str | None], list[str]]]:
    """Return the reports that a destination may have, with the identity that they are of.

    There is an item for each identity that turned out to be wrong, and where there is no present
    revision one for the last. One of which the destination has no report lists none.
    """
    may_have = brought(record, destination, _KIND, MAY_HAVE)
    left_out = _withdrawn_before(study, len(record.former), deletions)
    if now is not None:
        left_out.add(now.sop_instance_uid)
    identities = [*record.former, *([record.identity] if now is None else [])]
    found: list[tuple[Mapping[str, str | None], list[str]]] = []
    for number, identity in enumerate(identities):
        under_it = [uid for uid in _told(record, number) if uid not in left_out]
        # Others' of another class are not its own reports' successors.
        classes = {_class(record, uid) for uid in under_it if uid in may_have}
        found.append((identity, [uid for uid in under_it if _class(record, uid) in classes]))
    return found


def report_series(study: str) -> str:
    """Return the UID of the series of all reports of a study."""
    return derived_uid("SR series", study)


def with_patient(
    headers: Mapping[str, Dataset], identity: Mapping[str, str | None]
) -> dict[str, Dataset]:
    """Return the headers of images, all with the patient and order of a study's identity.

    An image that came with the identity of another patient takes name, birth date and sex of the
    newest one that came with this patient's, and has none without.

    Parameters
    ----------
    headers
        By the SHA-256 of each image, the newest last; not changed.
    """
    patient, order = identity.get("patient_id"), identity.get("accession_number")
    if patient and not is_usable("PatientID", patient):
        patient = ""
    right = [header for header in headers.values() if header.PatientID == patient]
    renamed = {}
    for sha256, header in headers.items():
        changed = copy.deepcopy(header)  # a shallow one shares the elements
        if patient and header.PatientID != patient:
            if header.PatientID:
                for keyword in OF_PATIENT:
                    setattr(changed, keyword, right[-1][keyword].value if right else "")
            changed.PatientID = patient
        if order and is_usable("AccessionNumber", order):
            changed.AccessionNumber = order
        renamed[sha256] = changed
    return renamed


def newest(readings: Sequence[Reading], headers: Mapping[str, Dataset]) -> list[Reading]:
    """Return the readings less those of instances that came again in other bytes."""
    last = {header.SOPInstanceUID: sha256 for sha256, header in headers.items()}
    return [
        reading
        for reading in readings
        if reading.sha256 in headers
        and last[headers[reading.sha256].SOPInstanceUID] == reading.sha256
    ]


def _told(record: StudyRecord, number: int | None = None) -> list[str]:
    """Return the UIDs of all reports that a destination may have, oldest first.

    Parameters
    ----------
    number
        Of corrections of the identity before them; None for all.
    """
    uids = (
        uid
        for item in record.deliveries
        if item.rendering == _KIND and item.state in MAY_HAVE
        if number is None or number in item.corrections
        for uid in item.objects
    )
    return list(dict.fromkeys(uids))


def _withdrawn(study: str, number: int | None, deletions: int, report_class: ReportClass) -> str:
    """Return the UID of the report that withdraws those of an identity, or those of the last."""
    what = "deleted" if number is None else f"withdrawn {number}"
    after = changes_before(deletions=deletions)
    return derived_uid("SR", study, what, *after, *_part(report_class))


def _withdrawn_before(study: str, corrections: int, deletions: int) -> set[str]:
    """Return the UIDs of reports of all classes that withdraw those of former identities."""
    numbers = range(corrections)
    return {_withdrawn(study, n, deletions, each) for n in numbers for each in ReportClass}


def _part(report_class: ReportClass) -> tuple[str, ...]:
    """Return what a UID is derived from besides: two classes never share one."""
    return () if report_class is DEFAULT else (report_class,)


def _class(record: StudyRecord, sop_instance_uid: str) -> ReportClass | None:
    """Return the class of a report that was sent; None of one of a later version."""
    uid = sent_class(record, sop_instance_uid)
    return next((each for each in ReportClass if each.sop_class_uid == uid), None)


def _reference(record: StudyRecord, study: str, uids: Sequence[str]) -> Dataset | None:
    """Return the identifiers of the last of these reports."""
    if not uids:
        return None
    reference = Dataset()
    reference.StudyInstanceUID = study
    reference.SeriesInstanceUID = report_series(study)
    reference.SOPInstanceUID = uids[-1]
    reference.SOPClassUID = sent_class(record, uids[-1])
    return reference
