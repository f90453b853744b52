"""Identity of a study: what its documents were the first to state, and what contradicts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.errors import Fault, StudyConflictError
from gateway.schemas.stored_document import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.results.documents import StudyRecord
    from gateway.schemas.metadata import StudyMetadata

# Of identities that were corrected, the latest.
_MOST_FORMER = 8


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


def joined(
    metadata: StudyMetadata, record: StudyRecord, *, corrects: bool = False
) -> dict[str, Any]:
    """Return the fields of a record that metadata join: its identity, and those it had before.

    A correction replaces the identity. What comes under one that was corrected still joins the
    study, and changes nothing of who it is about.

    Parameters
    ----------
    corrects
        True if the sender may correct an identity.

    Raises
    ------
    StudyConflictError
        With each attribute that contradicts.
    """
    known = binding(record)
    try:
        compare(metadata, known)
    except StudyConflictError:
        if corrects:
            former = (*record.former, dict(known))[-_MOST_FORMER:]
            return {"identity": {**known, **given(metadata)}, "former": former}
        if not any(_agrees(metadata, former) for former in record.former):
            raise
        return {"identity": dict(known), "former": record.former}
    return {"identity": {**known, **given(metadata)}, "former": record.former}


def check(metadata: StudyMetadata, record: StudyRecord | None, *, corrects: bool = False) -> None:
    """Check metadata against a record that they are to join; see `joined`.

    Raises
    ------
    StudyConflictError
    """
    if record is not None:
        joined(metadata, record, corrects=corrects)


def compare(metadata: StudyMetadata, known: Mapping[str, str | None]) -> None:
    """Check the metadata against what is known of their study.

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


def contradicts(metadata: StudyMetadata, record: StudyRecord | None) -> bool:
    """Return True if metadata contradict the identity that a record has now."""
    return not _agrees(metadata, binding(record))


def is_correction(
    metadata: StudyMetadata, before: StudyRecord | None, after: StudyRecord, *, corrects: bool
) -> bool:
    """Return True if metadata corrected the identity that a record had before, or replaced it."""
    if before is not None and not binding(before):
        return not _agrees(metadata, before.identity)
    if not corrects:
        return False
    former = () if before is None else before.former
    return after.former != former and not _agrees(metadata, after.former[-1])


def _agrees(metadata: StudyMetadata, known: Mapping[str, str | None]) -> bool:
    try:
        compare(metadata, known)
    except StudyConflictError:
        return False
    return True
