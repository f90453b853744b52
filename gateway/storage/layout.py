"""The layout of the store: the prefix of each kind of object, its writer and its lifetime.

docs/backup.md shows it to operators. The keys below a prefix are described with their writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RESULTS = "results/"
INSTANCES = "instances/"
PARKED = "parked/"
WAITING = "pairing/waiting/"
BINDINGS = "pairing/bindings/"
INDEX = "index/"
DELETED = "deleted/"
WORK = "work/"
SUBMISSIONS = f"{WORK}submissions/"
CALLBACKS = f"{WORK}callbacks/"
DELIVERIES = f"{WORK}deliveries/"
READINGS = f"{WORK}readings/"
ROLL_BACKS = f"{WORK}roll-backs/"
CANARIES = f"{WORK}canaries/"
QUOTAS = f"{WORK}quotas/"
COMMITMENTS = f"{WORK}commitments/"
ASKED = f"{WORK}asked/"
COMPLETION = f"{WORK}completion/"
DELETIONS = f"{WORK}deletions/"
WITHDRAWALS = f"{WORK}withdrawals/"
MINUTES = "monitoring/minutes/"
MODELS = "monitoring/models/"
AUDIT = "audit/"
ACCEPTANCES = "acceptances/"
ROUTING = "routing/"
ROUTING_DOCUMENT = f"{ROUTING}document.json"
IMAGES = "images/"
TENANTS = "tenants/"
# No tenant can have this name (`TENANT_PATTERN`).
_NOBODY = "_nobody"


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
        Beginning of their keys.
    holds
        Contents.
    writer
        Package that writes them; None where senders do.
    until
        Event that ends them.
    bucket
        Bucket of the objects.
    """

    prefix: str
    holds: str
    writer: str | None
    until: str
    bucket: Bucket = Bucket.RESULTS


PLACES = (
    Place(
        RESULTS,
        "studies: the document of each, its images, heat maps and renderings, images that wait to "
        "be processed, and readings by shadow models",
        "results",
        "when the study is deleted",
    ),
    Place(
        INSTANCES,
        "studies of instances whose senders may ask for storage commitment",
        "results",
        "when the study is deleted",
    ),
    Place(
        SUBMISSIONS,
        "entries of studies that were answered before they are processed",
        "work",
        "when the study is processed, or fails for good",
    ),
    Place(
        READINGS,
        "entries of studies of which models owe readings",
        "work",
        "when the readings are made, or fail for good",
    ),
    Place(
        CALLBACKS,
        "entries of callbacks that no receiver has taken yet",
        "work",
        "when they are taken, or fail for good",
    ),
    Place(
        DELIVERIES,
        "entries of results that a destination has not acknowledged yet",
        "work",
        "when they are acknowledged, or fail for good",
    ),
    Place(
        COMPLETION,
        "studies that are to be complete after a quiet time",
        "results",
        "when the study is complete",
    ),
    Place(ROLL_BACKS, "canaries that were rolled back", "routing", "kept"),
    Place(CANARIES, "latest readings of canaries that may be rolled back", "routing", "kept"),
    Place(QUOTAS, "studies and bytes of a tenant by day", "admission", "when the next day begins"),
    Place(
        COMMITMENTS,
        "requests for storage commitment that are not reported on yet",
        "dimse",
        "when the sender takes the report, or after a day",
    ),
    Place(
        ASKED,
        "requests for storage commitment that archives have not reported on yet",
        "results",
        "when the archive reports in time, or the report is applied; when the object is sent or "
        "asked for again; when the study is deleted; after seven days",
    ),
    Place(
        PARKED, "parked items", "work", "when the object is processed after all, or by `discard`"
    ),
    Place(
        WAITING,
        "halves that wait, and marks of parked objects",
        "dropfolder",
        "when the object is processed, or the mark by `discard`",
    ),
    Place(
        BINDINGS,
        "studies for which images outside of any folder were processed",
        "dropfolder",
        "kept",
    ),
    Place(
        INDEX,
        "entries by which studies are found, rebuilt from `results/` at will",
        "search",
        "when the study is deleted",
    ),
    Place(
        DELETIONS,
        "deletions under way",
        "results",
        "when no request that began before them can be under way",
    ),
    Place(
        WITHDRAWALS,
        "results that destinations have of deleted studies, and the withdrawals of these",
        "delivery",
        "when each destination took them, or by `discard`",
    ),
    Place(DELETED, "tombstones of deleted studies", "results", "kept"),
    Place(
        ACCEPTANCES,
        "acceptances of model versions, each with its page",
        "models",
        "kept",
    ),
    Place(ROUTING, "the routing document, where gateways follow the store's", "routing", "kept"),
    Place(
        MINUTES,
        "counts of readings by gateway, model version and minute, and the claim of their merging",
        "monitoring",
        "when they are merged",
    ),
    Place(
        MODELS,
        "health of model versions: reference, latest window, signals of drift, days",
        "monitoring",
        "kept",
    ),
    Place(
        AUDIT,
        "audit records: the caller, the operation and the study",
        "audit",
        "kept",
        Bucket.AUDIT,
    ),
    Place(IMAGES, "dropped files", None, "never by RadStream", Bucket.IMAGES),
)
"""In the order of a study."""


def tenant_prefix(tenant: str | None) -> str:
    """Return the prefix below which all places of the store lie for a tenant.

    Parameters
    ----------
    tenant
        Its name; None is nobody's part, in which nothing lies.
    """
    return f"{TENANTS}{tenant or _NOBODY}/"


STORE = tuple(place.prefix for place in PLACES if place.bucket is Bucket.RESULTS)
"""Prefixes of the object store itself."""

WITHDRAWN = "!"
"""Beginning of the name of a withdrawal in the place of a study_id, none of which has it."""


def folder_of(study_id: str) -> str:
    """Return what the keys of all that is kept of a study, or of a withdrawal, begin with."""
    return f"{WITHDRAWALS if study_id.startswith(WITHDRAWN) else RESULTS}{study_id}/"
