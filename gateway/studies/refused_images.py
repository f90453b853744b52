"""Images of a request that cannot be processed, though others of it may be."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NoReturn

from gateway.errors import (
    Fault,
    ImagesTooLargeError,
    ImagesWithoutContrastError,
    InvalidMetadataError,
    InvalidPartsError,
    KeptOutError,
    NoModelAcceptsError,
    NoRuleError,
    RadStreamError,
    UnknownModelError,
    UnreadableImagesError,
    UnsupportedImagesError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.schemas.metadata import View

# What is wrong with one image while others may have faults as well; the gravest kind first.
IMAGE_ERRORS = (
    UnsupportedImagesError,
    ImagesTooLargeError,
    UnreadableImagesError,
    ImagesWithoutContrastError,
    InvalidMetadataError,
)
ImageError = (
    UnsupportedImagesError
    | ImagesTooLargeError
    | UnreadableImagesError
    | ImagesWithoutContrastError
    | InvalidMetadataError
)
# What is wrong with one image, and says nothing of the others sent with it; the gravest kind first.
PART_ERRORS = (
    *IMAGE_ERRORS,
    InvalidPartsError,
    NoModelAcceptsError,
    UnknownModelError,
    NoRuleError,
    KeptOutError,
)
PartError = (
    ImageError
    | InvalidPartsError
    | NoModelAcceptsError
    | UnknownModelError
    | NoRuleError
    | KeptOutError
)

# What all images of a study have in common; the rest, such as the view, is each image's own.
SHARED = ("study_id", "patient_id", "accession_number")

_WITHOUT_FAULTS = {
    NoModelAcceptsError: "no model takes its modality, body part and view",
    UnknownModelError: "the model that its metadata name is not served",
    NoRuleError: "no rule of the routing document applies to it",
    KeptOutError: "a rule of the routing document keeps it out",
}


@dataclass(frozen=True, slots=True)
class RefusedImage:
    """An image that cannot be processed.

    Parameters
    ----------
    part
        The sender's name for it: the name of the part, with its index.
    error
        The reason.
    view
        As its metadata have it, where they are valid.
    sop_instance_uid
        Of a DICOM file whose data set can be read.
    """

    part: str
    error: PartError
    view: View | None = None
    sop_instance_uid: str | None = None


def identity_faults(error: RadStreamError) -> list[Fault]:
    """Return the faults for which an image may be of another study or patient than is said."""
    if not isinstance(error, InvalidMetadataError):
        return []
    return [fault for fault in error.faults if fault.pointer.removeprefix("/") in SHARED]


def in_order(parts: Iterable[str], refused: Sequence[RefusedImage]) -> list[RefusedImage]:
    """Return the refusals in the order of the request's parts."""
    places = {part: place for place, part in enumerate(parts)}
    return sorted(refused, key=lambda item: places[item.part])


def raise_all(refused: Sequence[RefusedImage]) -> NoReturn:
    """Raise the gravest kind among the refusals of a request, with the faults of all its parts.

    Raises
    ------
    RadStreamError
        One of `PART_ERRORS`.
    """
    if len(refused) == 1:
        raise refused[0].error
    gravest = min((item.error for item in refused), key=_gravity)
    values = {field.name: getattr(gravest, field.name) for field in fields(gravest)}
    raise type(gravest)(**values | {"faults": _faults(refused)})


def _gravity(error: PartError) -> int:
    return PART_ERRORS.index(type(error))


def _faults(refused: Sequence[RefusedImage]) -> tuple[Fault, ...]:
    """Return every fault once; what does not hold for all parts names the one that it is of."""
    by_part = [
        item.error.faults or (Fault(item.part, _WITHOUT_FAULTS[type(item.error)]),)
        for item in refused
    ]
    common = set(by_part[0]).intersection(*by_part[1:])
    named = [
        fault if fault in common else _naming(item.part, fault)
        for item, faults in zip(refused, by_part, strict=True)
        for fault in faults
    ]
    return tuple(dict.fromkeys(named))


def _naming(part: str, fault: Fault) -> Fault:
    if part in {fault.pointer, *fault.detail.replace(":", " ").split()}:
        return fault
    return Fault(fault.pointer, f"{part}: {fault.detail}")
