"""A look at a part of a store: what cannot be had or read is told, with no value of it."""

import pytest

from gateway.schemas.problem import Problem
from gateway.verification.findings import Finding, Kind, Look
from tests.support.store import MemoryStore


@pytest.fixture
def look() -> Look:
    objects = MemoryStore()
    objects.objects = {"a": b'{"detail": "Doe^Jane"}', "b": b"bytes"}
    return Look(objects, ["a"])


async def test_a_document_that_breaks_its_schema_is_told_without_its_values(look: Look):
    assert await look.document(Problem, "a") is None
    [finding] = look.findings
    assert (finding.kind, finding.key) == (Kind.UNREADABLE_DOCUMENT, "a")
    assert "Doe" not in finding.detail


async def test_a_document_that_went_meanwhile_is_told_once(look: Look):
    assert await look.document(Problem, "gone") is None
    assert await look.named_document(Problem, "gone", "a") is None
    assert [(each.kind, each.key) for each in look.findings] == [
        (Kind.MISSING_OBJECT, "gone"),
        (Kind.MISSING_OBJECT, "gone"),
    ]
    assert look.findings[1].detail == "It is not there, though a names it."


async def test_what_is_there_is_not_told_whether_it_was_listed_or_not(look: Look):
    assert await look.data("b") == b"bytes"
    await look.refer("a", "c")
    await look.refer("b", "c")
    assert look.findings == []


@pytest.mark.parametrize("kind", Kind)
def test_only_what_nothing_names_and_the_search_index_are_no_faults(kind: Kind):
    notes = {Kind.ORPHAN_OBJECT, Kind.MISSING_ENTRY, Kind.STALE_ENTRY}
    assert Finding(kind, "a", "").is_fault is (kind not in notes)
