"""Maps of stored documents may have entries that this version does not know."""

import pytest
from pydantic import Field, ValidationError

from gateway.schemas.stored_document import Identity, Milliseconds, Names, StoredDocument


class Document(StoredDocument):
    """One with every kind of map."""

    timings: Milliseconds = Field(default_factory=dict)
    identity: Identity = Field(default_factory=dict)
    names: Names = Field(default_factory=dict)


def test_unknown_fields_and_entries_are_passed_over():
    read = Document.model_validate(
        {
            "timings": {"decode": 1.5, "later": {"p50": 2}},
            "identity": {"patient_id": "P1", "issuer": "A"},
            "names": {"a": "x", "b": 7},
            "later": True,
        }
    )
    assert (read.timings, read.identity, read.names) == (
        {"decode": 1.5},
        {"patient_id": "P1"},
        {"a": "x"},
    )


@pytest.mark.parametrize("field", ["timings", "identity", "names"])
def test_what_is_no_map_is_refused(field: str):
    with pytest.raises(ValidationError):
        Document.model_validate({field: ["x"]})


def test_an_identifier_of_another_kind_is_refused_not_dropped():
    with pytest.raises(ValidationError):
        Document.model_validate({"identity": {"patient_id": 7}})


def test_a_document_does_not_change():
    with pytest.raises(ValidationError):
        Document().timings = {}
