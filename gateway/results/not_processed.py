"""Images of a study that could not be processed, until they are sent again mended.

An entry goes when a later request of its study has processed

- the same bytes, as when the metadata were mended;
- or a DICOM file of the same SOP Instance UID, as when it was exported again;
- or, as the request is sent again, other bytes under the same part's name beside an image that was
  processed beside it before;
- or, sent alone, an image that the study did not have, where this entry is the only one it can
  mean: the document of neither says otherwise, and there are none but those that are listed.

The entry of an image that is parked goes with its parked item (see `gateway.dropfolder.
pair_records`), or for the first two reasons.

A document without room for all of them has them in fewer words, then the latest; see `with_less`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.observability.pseudonyms import key_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.results.documents import Reading, StudyRecord
    from gateway.schemas.not_processed import NotProcessedDocument

    Entries = tuple[NotProcessedDocument, ...]

_SHORT_DETAIL = "The study's document has no room for more."
_SHORT_DIGITS = 12
# Of an image's hash and of its instance's: of a thousand left out one in four million is taken for
# another.
_SIGN_DIGITS = 8
# At 20 bytes each they take a third of a document.
_MOST_LEFT_OUT = 1000


def noted(before: Entries, entries: Sequence[NotProcessedDocument]) -> Entries:
    """Return the entries with these, one for each image, in the order they came and were sent in.

    An image that came before keeps its time where nothing else is new of it.
    """
    found = {entry.sha256: entry for entry in before}
    for entry in {entry.sha256: entry for entry in reversed(entries)}.values():
        old = found.get(entry.sha256)
        found[entry.sha256] = entry
        if old is not None:
            as_before = entry.model_copy(update={"received_at": old.received_at})
            if old in (as_before, _in_short(as_before)):
                found[entry.sha256] = as_before
    return tuple(
        sorted(found.values(), key=lambda entry: (entry.received_at, len(entry.part), entry.part))
    )


def settled(before: Entries, processed: Mapping[str, Reading], *, alone: bool) -> Entries:
    """Return the entries that a request has not mended.

    Parameters
    ----------
    processed
        The readings of the request's images by the name of their part.
    alone
        True if the request had one image only, and all entries are here.
    """
    mended = [entry for entry in before if _came_again(entry, processed)]
    if alone and not mended:
        [reading] = processed.values()
        mended = _meant_by(reading, before)
    return tuple(entry for entry in before if entry not in mended)


def with_parked(before: Entries, entry: NotProcessedDocument) -> Entries:
    """Return the entries with that of a parked image, unless a request of its bytes left one."""
    if any(other.sha256 == entry.sha256 and other.parked is None for other in before):
        return before
    return noted(before, [entry])


def without_parked(before: Entries, sha256: str, parked_id: str) -> Entries:
    """Return the entries without that of a parked item."""
    return tuple(entry for entry in before if (entry.sha256, entry.parked) != (sha256, parked_id))


def with_entries(record: StudyRecord, entries: Entries, sha256: str) -> StudyRecord:
    """Return the record with these entries, and none of this image beside them."""
    left_out = still_left_out(record.open_images_left_out, (), [sha256])
    if (entries, left_out) == (record.open_images, record.open_images_left_out):
        return record
    return record.changed(open_images=entries, open_images_left_out=left_out)


def with_less(record: StudyRecord) -> StudyRecord:
    """Return the record with its entries in few words; without the older half where they are.

    Of those that are left out it keeps what they are known again by: the study stays partial.
    """
    before = record.open_images
    entries = tuple(map(_in_short, before))
    gone: Entries = ()
    if entries == before:
        half = (len(before) + 1) // 2
        gone, entries = before[:half], before[half:]
    signs = dict.fromkeys((*record.open_images_left_out, *map(_sign, gone)))  # each once
    left_out = tuple(signs)[-_MOST_LEFT_OUT:]
    return record.model_copy(update={"open_images": entries, "open_images_left_out": left_out})


def still_left_out(
    left_out: tuple[str, ...], processed: Iterable[Reading], hashes: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the entries that a document has no room for, less those that are settled or listed.

    Parameters
    ----------
    left_out
        Of the document: see `StudyRecord`.
    processed
        Readings of the images of a request: of the same bytes, or of the same SOP Instance UID.
    hashes
        SHA-256 of images that the document lists now, or that are parked no more.
    """
    if not left_out:
        return ()
    readings = list(processed)
    images = {sha256[:_SIGN_DIGITS] for sha256 in (*hashes, *(item.sha256 for item in readings))}
    instances = {_of_instance(uid) for item in readings if (uid := item.sop_instance_uid)}
    return tuple(
        sign
        for sign in left_out
        if sign[:_SIGN_DIGITS] not in images and sign[_SIGN_DIGITS:] not in instances
    )


def _came_again(entry: NotProcessedDocument, processed: Mapping[str, Reading]) -> bool:
    hashes = {reading.sha256 for reading in processed.values()}
    if entry.sha256 in hashes or any(_is_instance(entry, item) for item in processed.values()):
        return True
    there, before = processed.get(entry.part), _neighbours(entry, hashes)
    return there is not None and there.sha256 not in before and bool(before)


def _is_instance(entry: NotProcessedDocument, reading: Reading) -> bool:
    """Return True for the entry's instance, unless its device gives one UID to several."""
    uid = entry.sop_instance_uid
    is_same = uid is not None and uid == reading.sop_instance_uid
    return is_same and not _neighbours(entry, [reading.sha256])


def _neighbours(entry: NotProcessedDocument, hashes: Iterable[str]) -> set[str]:
    """Return those of these images that were beside the entry's."""
    beside = set(entry.beside)
    digits = len(next(iter(beside), ""))  # all are of one length
    return {sha256 for sha256 in hashes if sha256[:digits] in beside}


def _in_short(entry: NotProcessedDocument) -> NotProcessedDocument:
    problem = entry.problem.model_copy(update={"detail": _SHORT_DETAIL, "errors": None})
    beside = tuple(sha256[:_SHORT_DIGITS] for sha256 in entry.beside)
    return entry.model_copy(update={"problem": problem, "beside": beside})


def _sign(entry: NotProcessedDocument) -> str:
    uid = entry.sop_instance_uid
    return entry.sha256[:_SIGN_DIGITS] + ("" if uid is None else _of_instance(uid))


def _of_instance(sop_instance_uid: str) -> str:
    return key_reference(sop_instance_uid)[:_SIGN_DIGITS]


def _meant_by(
    reading: Reading, entries: Sequence[NotProcessedDocument]
) -> list[NotProcessedDocument]:
    """Return the one entry that an image sent alone can mean; none if it may be another."""
    view = reading.metadata.get("view")
    fitting = [
        entry
        for entry in entries
        if entry.parked is None  # which is known by its name
        and entry.received_at < reading.received_at
        and (entry.view is None or entry.view == view)
    ]
    return fitting if len(fitting) == 1 else []
