"""Pages of a study: earlier readings, moved out of a document that grew too long.

A page is written before the document that lists it and never again, under a name made of its
content: of two gateways that write one at once neither can spoil the other's. Of very many pages
the first are listed in objects of their own, written in the same way, which the document names.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from gateway.results.documents import BesideEntry, Page, PageEntry, PageList, Reading
from gateway.results.keys import page_key, page_list_key
from gateway.results.search_attributes import search_attributes
from gateway.results.view import positive_labels
from gateway.runtime.concurrency import together
from gateway.storage.documents import MEDIA_TYPE, read_document, stored_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.results.documents import StudyRecord
    from gateway.storage.protocol import ObjectStore

D = TypeVar("D", bound=BaseModel)

# Of a hash: of ten thousand images one in 1,700 is looked for on a page that has it not.
_HASH_BYTES = 3


async def write_page(
    objects: ObjectStore, record: StudyRecord, readings: Sequence[Reading]
) -> PageEntry:
    """Write a page of a study and return what its document lists of it."""
    page = stored_form(Page(readings=tuple(readings)))
    before = sum(entry.readings for entry in record.pages)
    name = _name(before, len(readings), page)
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
    found = await together(_read(objects, Page, page_key(study_id, page.name)) for page in pages)
    return [reading for page in found for reading in page.readings]


async def with_page_list(objects: ObjectStore, record: StudyRecord) -> StudyRecord:
    """Write a list of the pages that stand on none, and return the record that names it."""
    pages = record.unlisted_pages()
    data = stored_form(PageList(pages=pages))
    before = sum(each.pages for each in record.page_lists)
    name = _name(before, len(pages), data)
    entry = BesideEntry(name=name, bytes=len(data), pages=len(pages))
    key = page_list_key(record.study_id, entry.name)
    await objects.create(key, data, media_type=MEDIA_TYPE)
    return record.model_copy(update={"page_lists": (*record.page_lists, entry)})


async def with_listed_pages(objects: ObjectStore, record: StudyRecord) -> StudyRecord:
    """Return a record as its document has it with the pages on its lists, too.

    Raises
    ------
    ObjectNotFoundError
        The study was deleted meanwhile.
    UnreadableDocumentError
    """
    keys = [page_list_key(record.study_id, each.name) for each in record.page_lists]
    found = await together(_read(objects, PageList, key) for key in keys)
    listed = [page for pages in found for page in pages.pages]
    return record.model_copy(update={"pages": (*listed, *record.pages)}) if listed else record


def may_have_image(page: PageEntry, sha256: str) -> bool:
    """Return True if the image may be on the page; False is certain."""
    return _among(sha256, page.hashes)


def may_have_name(page: PageEntry, name: str) -> bool:
    """Return True if an image of this name in the drop folder may be on the page."""
    return _among(_digest(name), page.names)


async def _read(objects: ObjectStore, kind: type[D], key: str) -> D:
    return read_document(kind, key, await objects.read(key))


def _name(before: int, count: int, data: bytes) -> str:
    """Return a name made of the numbers of the first and the last, and of the content."""
    digest = hashlib.sha256(data).hexdigest()[:8]
    return f"{before + 1:06}-{before + count:06}-{digest}"


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
