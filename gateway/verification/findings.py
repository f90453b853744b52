"""Findings of a verification, and the look at a part of a store that they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.errors import ObjectNotFoundError, StoreUnavailableError
from gateway.storage.documents import reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.storage.protocol import ObjectStore

D = TypeVar("D", bound=BaseModel)


class Kind(StrEnum):
    """Kinds of what can be amiss with an object."""

    UNREADABLE_OBJECT = "unreadable-object"
    UNREADABLE_DOCUMENT = "unreadable-document"
    ALTERED_IMAGE = "altered-image"
    MISSING_OBJECT = "missing-object"
    DELETED_STUDY = "deleted-study"
    ORPHAN_OBJECT = "orphan-object"
    MISSING_ENTRY = "missing-entry"
    STALE_ENTRY = "stale-entry"


# A gateway that died at its work leaves such things, and nothing is lost by them; one that starts
# mends the search index.
_NOTES = {Kind.ORPHAN_OBJECT, Kind.MISSING_ENTRY, Kind.STALE_ENTRY}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is amiss.

    Parameters
    ----------
    kind
        The kind of fault or note.
    key
        Of the object; ending in a slash, of all that lies below. A study_id may stand in it.
    detail
        One sentence, without a value of any document.
    """

    kind: Kind
    key: str
    detail: str

    @property
    def is_fault(self) -> bool:
        """Return True if something is lost or wrong; else it is a note."""
        return self.kind not in _NOTES


@dataclass(slots=True)
class Look:
    """One look at a part of a store.

    Parameters
    ----------
    objects
        The store.
    keys
        Of the part's objects.
    findings
        Those found so far.
    """

    objects: ObjectStore
    keys: Sequence[str] = ()
    findings: list[Finding] = field(default_factory=list)

    def tell(self, kind: Kind, key: str, detail: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, key, detail))

    async def data(self, key: str) -> bytes | None:
        """Return the object's bytes; None where they cannot be had, which is told."""
        try:
            return await self.objects.read(key)
        except ObjectNotFoundError:
            self.tell(Kind.MISSING_OBJECT, key, "It was listed and is not there.")
        except StoreUnavailableError as error:
            self.tell(Kind.UNREADABLE_OBJECT, key, f"The store does not give it: {error.reason}.")
        return None

    async def document(self, document: type[D], key: str) -> D | None:
        """Return what the object holds; None where it cannot be read, which is told."""
        data = await self.data(key)
        if data is None:
            return None
        try:
            return document.model_validate_json(data)
        except ValidationError as error:
            self.tell(Kind.UNREADABLE_DOCUMENT, key, f"It cannot be read: {reason_of(error)}.")
            return None

    async def named_document(self, document: type[D], key: str, referrer: str) -> D | None:
        """Return what the object holds that another object names; None where that is told."""
        before = len(self.findings)
        await self.refer(key, referrer)
        return await self.document(document, key) if len(self.findings) == before else None

    async def refer(self, key: str, referrer: str) -> None:
        """Tell of a key that has no object though another object names it."""
        if key not in self.keys:
            try:
                await self.objects.beginning(key, 1)
            except ObjectNotFoundError:
                self.missing(key, referrer)

    def missing(self, key: str, referrer: str) -> None:
        """Tell that an object which another one names is not there."""
        self.tell(Kind.MISSING_OBJECT, key, f"It is not there, though {referrer} names it.")
