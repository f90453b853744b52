"""Parameters of a search: what they mean, and what means nothing."""

import datetime as dt
from urllib.parse import parse_qsl

import pytest

from gateway.dicomweb.search_keys import INSTANCE_KEYS, MOST_RESULTS, STUDY_KEYS, search_keys
from gateway.errors import MalformedRequestError
from gateway.schemas.result import Status
from gateway.search.entries import IndexEntry
from tests.support.readings import NOON


def entry(**fields: object) -> IndexEntry:
    given = {"study_id": "S1", "received_at": NOON, "changed_at": NOON, "state": Status.COMPLETED}
    dicom = {"study_instance_uid": "1.2", "series": {"1.3": 1}}
    return IndexEntry.model_validate(given | dicom | fields)


@pytest.mark.parametrize(
    ("name", "value", "values"),
    [
        ("StudyInstanceUID", "1.2,1.3", {"StudyInstanceUID": ("1.2", "1.3")}),
        ("StudyInstanceUID", "1.2\\1.3", {"StudyInstanceUID": ("1.2", "1.3")}),
        ("0020000D", "1.2", {"StudyInstanceUID": ("1.2",)}),
        ("PatientID", "P,7", {"PatientID": ("P,7",)}),
        ("PatientID", " Mu\u0308ll* ", {"PatientID": ("M\u00fcll*",)}),
        ("PatientID", "*", {}),
        ("PatientID", "", {}),
    ],
)
def test_keys(name: str, value: str, values: dict[str, tuple[str, ...]]):
    assert search_keys([(name, value)], STUDY_KEYS).values == values


@pytest.mark.parametrize(
    "query",
    [
        *("Nonsense=1", "PatientName=Doe", "00100010=Doe", "SOPInstanceUID=1.2"),
        *("StudyInstanceUID=no%20uid", "StudyInstanceUID=1.2*", "StudyInstanceUID=1.2,x"),
        "StudyInstanceUID=" + "1" * 651,
        *("PatientID=1&PatientID=2", "PatientID=a&00100020=b", "PatientID=" + "x" * 65),
        *("StudyDate=2026", "StudyDate=2026-01-31", "StudyDate=20261301", "StudyDate=20260230"),
        *("StudyDate=20260202-20260101", "StudyDate=-"),
        *("limit=0", "limit=-1", "limit=x", "offset=-1", "offset=10001", "fuzzymatching=maybe"),
        *("includefield=Nonsense", "includefield=" + "x" * 513),
    ],
)
def test_what_has_no_meaning_is_malformed(query: str):
    with pytest.raises(MalformedRequestError):
        search_keys(parse_qsl(query), STUDY_KEYS).study_query()


def test_pages_fields_and_what_is_not_followed():
    items = [("limit", "9999"), ("offset", "5"), ("includefield", "all,00080020")]
    found = search_keys([*items, ("fuzzymatching", "true")], INSTANCE_KEYS)
    assert (found.limit, found.offset) == (MOST_RESULTS, 5)
    assert found.fields == {"all", "StudyDate"}
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("20260131", dt.date(2026, 1, 31), dt.date(2026, 1, 31)),
        ("20260101-20260131", dt.date(2026, 1, 1), dt.date(2026, 1, 31)),
        ("-00010101", dt.date(1, 1, 1), dt.date(1, 1, 1)),
    ],
)
def test_dates(text: str, since: dt.date, until: dt.date):
    dates = search_keys([("StudyDate", text)], STUDY_KEYS).study_query().study_dates
    assert dates is not None
    assert (dates.first, dates.last) == (since, until)


@pytest.mark.parametrize(
    ("pattern", "matches"), [("P*", True), ("P?7", True), ("P?", False), ("p-7*", False)]
)
def test_wildcards(pattern: str, matches: bool):
    accepts = search_keys([("PatientID", pattern)], STUDY_KEYS).study_query().accepts
    assert accepts(entry(patient_id="P-7")) is matches


@pytest.mark.parametrize("fields", [{"series": {}}, {"study_instance_uid": None}])
def test_studies_without_dicom_instances_never_match(fields: dict[str, object]):
    assert not search_keys([], STUDY_KEYS).study_query().accepts(entry(**fields))
