"""The patient's age, by Patient's Age and Patient's Birth Date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.studies.metadata.statements import Statement
from gateway.studies.metadata.study_time import study_date
from gateway.vocabulary.ages import age_named, years

if TYPE_CHECKING:
    import datetime as dt

    from preprocess import DicomMetadata

_AGE = "Patient's Age (0010,1010)"
_BIRTH_DATE = "Patient's Birth Date (0010,0030)"
# Ages are of the day of registration now and then, and of whole years.
_CLOSE_YEARS = 2
_MONTHS_TOLD = 24  # below this age, months are


def age_statement(part: str, header: DicomMetadata) -> Statement:
    """Return what a data set states of the age: Patient's Age, or it follows from the birth date.

    Where the two contradict each other, neither counts: one may be made up, as in files whose
    patient is hidden.
    """
    stated = age_named(header.patient_age or "")
    born, taken = study_date(header.patient_birth_date), study_date(header.study_date)
    counted = None if born is None or taken is None else _age_between(born, taken)
    doubts: tuple[str, ...] = ()
    if stated is None and (header.patient_age or "PatientAge" in header.unreadable):
        doubts = (f"{_AGE} is not understood and left out",)
    if stated is None:
        allowed = {} if counted is None else {_BIRTH_DATE: frozenset((counted,))}
        return Statement(part, counted, allowed, assumed=doubts)
    if counted is not None and abs(years(stated) - years(counted)) > _CLOSE_YEARS:
        return Statement(part, assumed=(f"{_AGE} contradicts {_BIRTH_DATE}: both are left out",))
    return Statement(part, stated, {_AGE: frozenset((stated,))})


def _age_between(born: dt.date, taken: dt.date) -> str | None:
    """Return the age in whole months or years, as DICOM writes it; None of who is not born yet."""
    months = 12 * (taken.year - born.year) + taken.month - born.month - (taken.day < born.day)
    if months < 0:
        return None
    return age_named(f"{months}M" if months < _MONTHS_TOLD else f"{months // 12}Y")
