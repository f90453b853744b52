"""Images of a study that could not be processed, until they are sent again mended.

An entry goes when a later request of its study has processed

- the same bytes, as when the metadata were mended;
- or a DICOM file of the same SOP Instance UID, as when it was exported again;
- or, as the request is sent again, other bytes under the same part's name beside an image that was
  processed beside it before;
- or, sent alone, an image that the study did not have, where this entry is the only one it can
  mean: the document of neither says otherwise.

The entry of an image that is parked goes with its parked item (see `gateway.dropfolder.
pair_records`), or for the first two reasons.

A document without room for all of them has them in fewer words, then the latest; see `with_less`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.results.documents import Reading, StudyRecord
    from gateway.schemas.not_processed import NotProcessedDocument

    Entries = tuple[NotProcessedDocument, ...]

_SHORT_DETAIL = "The answer to the image's request told more."
# Of 16 million images beside each other two begin alike by chance.
_SHORT_DIGITS = 12


def noted(before: Entries, entries: Sequence[NotProcessedDocument]) -> Entries:
    """Return the entries with these, one for each image, in the order they came and were sent in.

    An image that came before keeps its time where nothing else is new of it.
    """
    found = {entry.sha256: entry for entry in before}
    for entry in {entry.sha256: entry for entry in reversed(entries)}.values():
        old = found.get(entry.sha256)
        same_time = {"received_at": old.received_at} if old else {}
        if old is None or old != entry.model_copy(update=same_time):
            found[entry.sha256] = entry
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
        True if the request had one image only.
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


def with_less(record: StudyRecord) -> StudyRecord:
    """Return the record with its entries in few words; without the older half where they are.

    Those that are left out are counted: the study stays partial.
    """
    before = record.open_images
    entries = tuple(map(_in_short, before))
    if entries == before:
        entries = before[(len(before) + 1) // 2 :]
    more = record.open_images_left_out + len(before) - len(entries)
    return record.model_copy(update={"open_images": entries, "open_images_left_out": more})


def _came_again(entry: NotProcessedDocument, processed: Mapping[str, Reading]) -> bool:
    hashes = {reading.sha256 for reading in processed.values()}
    if entry.sha256 in hashes or any(_is_instance(entry, item) for item in processed.values()):
        return True
    there = processed.get(entry.part)
    return (
        there is not None
        and not _was_beside(there.sha256, entry)
        and any(_was_beside(sha256, entry) for sha256 in hashes)
    )


def _is_instance(entry: NotProcessedDocument, reading: Reading) -> bool:
    """Return True for the entry's instance, unless its device gives one UID to several."""
    uid = entry.sop_instance_uid
    is_same = uid is not None and uid == reading.sop_instance_uid
    return is_same and not _was_beside(reading.sha256, entry)


def _was_beside(sha256: str, entry: NotProcessedDocument) -> bool:
    return any(sha256.startswith(other) for other in entry.beside)


def _in_short(entry: NotProcessedDocument) -> NotProcessedDocument:
    problem = entry.problem.model_copy(
        update={"detail": _SHORT_DETAIL, "errors": None, "instance": None}
    )
    beside = tuple(sha256[:_SHORT_DIGITS] for sha256 in entry.beside)
    return entry.model_copy(update={"problem": problem, "beside": beside})


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
