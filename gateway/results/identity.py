"""Identity of a study: what its documents were the first to state, and what contradicts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import Fault, StudyConflictError
from gateway.schemas.stored_document import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.results.documents import StudyRecord
    from gateway.schemas.metadata import StudyMetadata


def given(metadata: StudyMetadata) -> dict[str, str]:
    """Return the identifying attributes that the metadata have."""
    stated = {name: getattr(metadata, name) for name in IDENTITY}
    return {name: value for name, value in stated.items() if value is not None}


def binding(record: StudyRecord | None) -> Mapping[str, str | None]:
    """Return what a study's images hold those that come to; nothing where it has no image.

    Of a study of which all that was accepted has failed, the next identity replaces the first: that
    may be why it failed.
    """
    return record.identity if record is not None and (record.images or record.pending) else {}


def joined(metadata: StudyMetadata, record: StudyRecord) -> dict[str, str | None]:
    """Return the identity of a study that the metadata join.

    Raises
    ------
    StudyConflictError
        With each attribute that contradicts.
    """
    known = binding(record)
    compare(metadata, known)
    return {**known, **given(metadata)}


def compare(metadata: StudyMetadata, known: Mapping[str, str | None]) -> None:
    """Hold the metadata to what is known of their study.

    Raises
    ------
    StudyConflictError
        With each attribute that contradicts.
    """
    faults = tuple(
        Fault(f"/{name}", "differs from what is stored under this study_id")
        for name, value in given(metadata).items()
        if known.get(name) not in (None, value)
    )
    if faults:
        raise StudyConflictError(faults)
