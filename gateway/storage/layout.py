"""The one table of what lies where: each key's beginning, its writer, and how long it stays.

docs/backup.md shows it to operators. What the keys below a beginning are called stands with their
writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RESULTS = "results/"
PENDING = "pending/"
CALLBACKS = "callbacks/"
PARKED = "parked/"
WAITING = "pairing/waiting/"
BINDINGS = "pairing/bindings/"
DELETED = "deleted/"
DELETIONS = "work/deletions/"
AUDIT = "audit/"
IMAGES = "images/"

BY_STUDY = (RESULTS, PENDING, CALLBACKS)
"""Under each of these a study has a folder of its own, named by its study_id."""


class Bucket(StrEnum):
    """Names of the buckets; on one machine each is a folder of its own."""

    RESULTS = "results"
    IMAGES = "images"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Place:
    """Objects of one kind.

    Parameters
    ----------
    prefix
        What their keys begin with.
    holds
        What they are.
    writer
        The package that writes them; None where senders do.
    until
        When they go.
    bucket
        Where they lie.
    """

    prefix: str
    holds: str
    writer: str | None
    until: str
    bucket: Bucket = Bucket.RESULTS


PLACES = (
    Place(
        RESULTS,
        "studies: the document of each, its images and heat maps",
        "results",
        "when the study is deleted",
    ),
    Place(
        PENDING,
        "studies that were answered before they are processed, with their images",
        "work",
        "when the study is processed, or by `discard`",
    ),
    Place(
        CALLBACKS,
        "callbacks that no receiver has taken yet",
        "work",
        "when they are taken, or by `discard`",
    ),
    Place(
        PARKED, "parked items", "work", "when the object is processed after all, or by `discard`"
    ),
    Place(WAITING, "halves that wait", "dropfolder", "when the other half comes, or it is parked"),
    Place(
        BINDINGS,
        "which study an image outside of any folder was processed for",
        "dropfolder",
        "kept",
    ),
    Place(
        DELETIONS,
        "deletions under way",
        "results",
        "when nothing that began before them can be under way",
    ),
    Place(DELETED, "that a study was deleted", "results", "kept"),
    Place(AUDIT, "who did what to which study", "audit", "kept", Bucket.AUDIT),
    Place(IMAGES, "dropped files", None, "never by RadStream", Bucket.IMAGES),
)
"""In the order of a study."""

STORE = tuple(place.prefix for place in PLACES if place.bucket is Bucket.RESULTS)
"""Prefixes of the object store itself."""
