"""The sender's document with its optional words as DICOM defines them.

Authors of documents copy headers, and those say `Chest`, `LEFT` or `DR`. What is meant
plainly is written in DICOM's term; what is not is left out, and the sender is told. Identifying
attributes, the view and what the sender asks for (`image_size`, `model`) are no such words: they
are taken as they are, identifiers without their padding, or the document is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.schemas.metadata import StudyMetadata, View, document_date
from gateway.schemas.result import ResultWarning
from gateway.schemas.stored_document import IDENTITY
from gateway.studies.metadata.projection import view_named
from gateway.vocabulary.ages import age_named
from gateway.vocabulary.body_parts import body_part_named, body_parts_among
from gateway.vocabulary.terms import identifier, laterality_named, modality_named

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONAL: dict[str, Callable[[str], str | None]] = {
    "study_date": document_date,
    "modality": modality_named,
    "body_part": body_part_named,
    "laterality": laterality_named,
    "patient_age": age_named,
}
_NULLABLE = StudyMetadata.model_fields.keys() - {"study_id", "timestamp"}


@dataclass(frozen=True, slots=True)
class Worded:
    """A document in DICOM's words, and what the sender should know of those it had."""

    document: dict[str, Any]
    notices: tuple[ResultWarning, ...] = ()


def worded(document: dict[str, Any]) -> Worded:
    """Return the document with each optional word in DICOM's term, or without it.

    Null stands for a field that is not given.
    """
    fields = {
        name: value
        for name, value in document.items()
        if value is not None or name not in _NULLABLE
    }
    notices = []
    for name in sorted(fields):
        term, doubt = _term(name, fields[name])
        if term is None:
            del fields[name]
        else:
            fields[name] = term
        if doubt is not None:
            notices.append(ResultWarning(pointer=f"/{name}", detail=doubt))
    view = fields.get("view")
    if isinstance(view, str):
        fields["view"] = view_named(view) or View.__members__.get(view.strip().upper(), view)
    return Worded(fields, tuple(notices))


def _term(name: str, value: Any) -> tuple[Any, str | None]:
    """Return a field's value as it is taken, None if it is left out, and the doubt about it."""
    text = value if isinstance(value, str) else ""
    if name == "patient_age" and isinstance(value, int):  # of years
        text = str(value)
    if name in IDENTITY and isinstance(value, str):
        taken = identifier(text)
        return taken, None if taken is not None else "is empty and left out"
    if name not in _OPTIONAL:
        return value, None
    term = _OPTIONAL[name](text)
    if term is not None:
        return term, None
    if name == "body_part" and (parts := body_parts_among(text)):
        return parts[0], "is understood in part"
    return None, "is not understood and left out"
