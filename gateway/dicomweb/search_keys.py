"""Query parameters of a search (PS3.18, 8.3.4): keys to match, attributes to return, a page."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from gateway.errors import MalformedRequestError
from gateway.renderings.result_objects import RESULT_MODALITIES
from gateway.search.query import MOST_DAYS, DateRange, StudyQuery, shifted
from gateway.studies.dicom_instance import is_uid
from gateway.vocabulary.terms import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gateway.search.entries import IndexEntry

STUDY_KEYS = frozenset(
    {"StudyInstanceUID", "StudyDate", "PatientID", "AccessionNumber", "ModalitiesInStudy"}
)
SERIES_KEYS = STUDY_KEYS | {"SeriesInstanceUID", "Modality"}
INSTANCE_KEYS = SERIES_KEYS | {"SOPInstanceUID", "SOPClassUID"}

ALL_FIELDS = "all"
MOST_RESULTS = 200
_DEFAULT_RESULTS = 100
_MOST_OFFSET = 10_000
# Characters: ten UIDs, or some attributes. All of them together fit into a request's head.
_LONGEST_UIDS, _LONGEST_FIELDS, _LONGEST_VALUE = 650, 512, 64
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_LISTED = re.compile(r"[,\\]")
_DATE = re.compile(r"\d{8}")
_WILDCARDS = re.compile(r"[*?]")
_FUZZY = "The fuzzymatching parameter is not supported. Only literal matching has been performed."


@dataclass(frozen=True, slots=True)
class SearchKeys:
    """Parameters of a search.

    Parameters
    ----------
    values
        By keyword the values of which one is to match; no key is here that matches all.
    fields
        Keywords of attributes that are asked for besides the usual ones, or `ALL_FIELDS`.
    limit, offset
        Number of results, and of those before them.
    warnings
        Parameters that were not followed.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fields: frozenset[str] = frozenset()
    limit: int = _DEFAULT_RESULTS
    offset: int = 0
    warnings: tuple[str, ...] = ()

    def first(self, keyword: str) -> str | None:
        """Return the value of a key that takes one; None where it matches all."""
        found = self.values.get(keyword)
        return found[0] if found else None

    @property
    def names_results(self) -> bool:
        """Return True if a modality of reports or heat maps is asked for.

        The index has those of stored instances.
        """
        return not RESULT_MODALITIES.isdisjoint(self._modalities)

    @property
    def _modalities(self) -> tuple[str, ...]:
        return (*self.values.get("ModalitiesInStudy", ()), *self.values.get("Modality", ()))

    def study_query(self) -> StudyQuery:
        """Return the conditions that a study meets.

        Raises
        ------
        MalformedRequestError
        """
        patient_id, accession = self.first("PatientID"), self.first("AccessionNumber")
        return StudyQuery(
            study_instance_uids=self.values.get("StudyInstanceUID", ()),
            patient_id=None if _is_pattern(patient_id) else patient_id,
            accession_number=None if _is_pattern(accession) else accession,
            modalities=() if self.names_results else self._modalities,
            study_dates=_dates(self.first("StudyDate")),
            accepts=_of_entry(patient_id, accession),
        )


def search_keys(items: Iterable[tuple[str, str]], known: frozenset[str]) -> SearchKeys:
    """Return the parameters of a search.

    Parameters
    ----------
    items
        Names and values, as the request has them.
    known
        Keywords of the keys that are searched.

    Raises
    ------
    MalformedRequestError
        One is unknown, is given twice, or has no meaning.
    """
    values: dict[str, tuple[str, ...]] = {}
    fields: set[str] = set()
    numbers = {"limit": _DEFAULT_RESULTS, "offset": 0}
    warnings: list[str] = []
    for name, value in items:
        match name:
            case "limit" | "offset":
                numbers[name] = _number(name, value)
            case "includefield":
                _check_length(name, value)
                fields |= {_field(each) for each in value.split(",")}
            case "fuzzymatching":
                if value not in {"true", "false"}:
                    raise MalformedRequestError("fuzzymatching takes true or false.")
                warnings += [_FUZZY] if value == "true" else []
            case _:
                keyword = _key(name, known)
                if keyword in values:
                    raise MalformedRequestError(f"The query has {keyword} twice.")
                _check_length(keyword, value)
                if found := _values(keyword, value):
                    values[keyword] = found
    return SearchKeys(
        values,
        frozenset(fields),
        min(numbers["limit"], MOST_RESULTS),
        numbers["offset"],
        tuple(warnings),
    )


def longest_value(name: str) -> int:
    """Return the number of characters that the value of a parameter may have."""
    if name.endswith("UID"):
        return _LONGEST_UIDS
    return _LONGEST_FIELDS if name == "includefield" else _LONGEST_VALUE


def _check_length(name: str, value: str) -> None:
    if len(value) > longest_value(name):
        raise MalformedRequestError(f"{name} is longer than {longest_value(name)} characters.")


def _number(name: str, value: str) -> int:
    if not value.isdecimal() or len(value) > len(str(_MOST_OFFSET)):
        raise MalformedRequestError(f"{name} takes a number, at most {_MOST_OFFSET}.")
    if int(value) > _MOST_OFFSET or (name == "limit" and int(value) == 0):
        raise MalformedRequestError(f"{name} is out of its range.")
    return int(value)


def _field(text: str) -> str:
    keyword = ALL_FIELDS if text.strip() == ALL_FIELDS else _keyword(text.strip())
    if keyword is None:
        raise MalformedRequestError("includefield names an attribute that DICOM does not know.")
    return keyword


def _key(name: str, known: frozenset[str]) -> str:
    keyword = _keyword(name)
    if keyword not in known:
        raise MalformedRequestError(
            f"The query has a key that is not searched here. Those are: {', '.join(sorted(known))}."
        )
    return keyword


def _keyword(text: str) -> str | None:
    """Return the keyword of an attribute that is named by it, or by its tag in eight digits."""
    if _TAG.fullmatch(text):
        return keyword_for_tag(int(text, 16)) or None
    return text if tag_for_keyword(text) is not None else None


def _values(keyword: str, value: str) -> tuple[str, ...]:
    """Return the values to match; none where the value matches all (PS3.4, C.2.2.2.3)."""
    is_list = keyword.endswith("UID") or keyword in {"ModalitiesInStudy", "Modality"}
    found = _LISTED.split(value) if is_list else [value]
    kept = tuple(filter(None, (identifier(each.strip()) for each in found)))
    if any(set(each) == {"*"} for each in kept):
        return ()
    if is_list and any(_is_pattern(each) for each in kept):
        raise MalformedRequestError(f"{keyword} takes no wildcards.")
    if keyword.endswith("UID") and not all(map(is_uid, kept)):
        raise MalformedRequestError(f"{keyword} takes UIDs.")
    return kept


def _is_pattern(text: str | None) -> bool:
    return text is not None and _WILDCARDS.search(text) is not None


def _dates(text: str | None) -> DateRange | None:
    if text is None:
        return None
    first, is_range, last = text.partition("-")
    ends = [_date(end) if end else None for end in (first, last if is_range else first)]
    if ends == [None, None]:
        raise MalformedRequestError("StudyDate takes a date, or a range such as 20260101-20260131.")
    today = dt.datetime.now(dt.UTC).date()
    until = ends[1] or max(today, ends[0] or today)
    since = ends[0] or shifted(until, -(MOST_DAYS // 2))
    if since > until:
        raise MalformedRequestError("StudyDate is a range that ends before it begins.")
    return DateRange(since, until)


def _date(text: str) -> dt.date:
    with suppress(ValueError):
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
    raise MalformedRequestError("StudyDate takes dates such as 20260131.")


def _of_entry(patient_id: str | None, accession: str | None) -> Callable[[IndexEntry], bool]:
    """Return the condition that a study has DICOM instances, and matches the patterns."""
    patient, order = _pattern(patient_id), _pattern(accession)

    def accepts(entry: IndexEntry) -> bool:
        return (
            bool(entry.series)
            and entry.study_instance_uid is not None
            and (patient is None or patient.fullmatch(entry.patient_id or "") is not None)
            and (order is None or order.fullmatch(entry.accession_number or "") is not None)
        )

    return accepts


def _pattern(text: str | None) -> re.Pattern[str] | None:
    """Return the expression for wildcards (PS3.4, C.2.2.2.4); runs of them count as one."""
    if not _is_pattern(text):
        return None
    parts = re.split(r"(\*+|\?)", text or "")
    return re.compile(
        "".join(
            "." if part == "?" else ".*?" if part.startswith("*") else re.escape(part)
            for part in parts
        ),
        re.DOTALL,
    )
