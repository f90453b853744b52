"""Pages of a study: earlier readings, moved out of a document that grew too long.

A page is written before the document that lists it and never again, under a name made of its
content: of two gateways that write one at once neither can spoil the other's.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from gateway.results.documents import Page, PageEntry, Reading
from gateway.results.keys import page_key
from gateway.results.search_attributes import search_attributes
from gateway.results.view import positive_labels
from gateway.runtime.concurrency import together
from gateway.storage.documents import MEDIA_TYPE, read_document, stored_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.results.documents import StudyRecord
    from gateway.storage.protocol import ObjectStore

# Of a hash: of ten thousand images one in 1,700 is looked for on a page that has it not.
_HASH_BYTES = 3


async def write_page(
    objects: ObjectStore, record: StudyRecord, readings: Sequence[Reading]
) -> PageEntry:
    """Write a page of a study and return what its document lists of it."""
    page = stored_form(Page(readings=tuple(readings)))
    first = 1 + sum(entry.readings for entry in record.pages)
    digest = hashlib.sha256(page).hexdigest()[:8]
    name = f"{first:06}-{first + len(readings) - 1:06}-{digest}"
    await objects.create(page_key(record.study_id, name), page, media_type=MEDIA_TYPE)
    begun = sum(entry.images for entry in record.pages)
    new = {reading.sha256: reading for reading in readings if reading.number > begun}
    return PageEntry(
        name=name,
        readings=len(readings),
        images=sum(len(reading.frames) for reading in new.values()),
        hashes=_hashes(reading.sha256 for reading in readings),
        names=_hashes(_digest(reading.dropped_as) for reading in readings if reading.dropped_as),
        disclaimers=tuple(
            dict.fromkeys(reading.disclaimer for reading in readings if reading.disclaimer)
        ),
        completed_at=max(reading.completed_at for reading in readings),
        positive=tuple(positive_labels(readings)),
        attributes=search_attributes(readings, begun),
        silent=any(reading.silent for reading in readings),
    )


async def read_pages(
    objects: ObjectStore, study_id: str, pages: Iterable[PageEntry]
) -> list[Reading]:
    """Return all readings on these pages, in their order.

    Raises
    ------
    ObjectNotFoundError
        The study was deleted meanwhile.
    UnreadableDocumentError
    """
    found = await together(_read(objects, page_key(study_id, page.name)) for page in pages)
    return [reading for page in found for reading in page.readings]


def may_have_image(page: PageEntry, sha256: str) -> bool:
    """Return True if the image may be on the page; False is certain."""
    return _among(sha256, page.hashes)


def may_have_name(page: PageEntry, name: str) -> bool:
    """Return True if an image of this name in the drop folder may be on the page."""
    return _among(_digest(name), page.names)


async def _read(objects: ObjectStore, key: str) -> Page:
    return read_document(Page, key, await objects.read(key))


def _hashes(digests: Iterable[str]) -> bytes:
    """Return the first bytes of each digest, in the form that pydantic's Base64Bytes takes."""
    return base64.b64encode(b"".join(sorted({_first(digest) for digest in digests})))


def _among(digest: str, hashes: bytes) -> bool:
    first = _first(digest)
    return any(
        hashes[place : place + _HASH_BYTES] == first for place in range(0, len(hashes), _HASH_BYTES)
    )


def _first(digest: str) -> bytes:
    return bytes.fromhex(digest)[:_HASH_BYTES]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
