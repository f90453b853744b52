"""A search by QIDO-RS: studies by the index, their series and instances by their documents.

What the index does not keep of a study is read from the first bytes of its files. An instance whose
file is damaged is told by its identifiers, as unavailable: it costs the others nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset, FileDataset

from gateway.audit.trail import name_study
from gateway.dicomweb.search_keys import ALL_FIELDS
from gateway.errors import (
    MalformedRequestError,
    RadStreamError,
    StudyNotFoundError,
    UnreadableDocumentError,
)
from gateway.retrieval.data_sets import json_of, read_header, transfer_syntax_of
from gateway.runtime.concurrency import together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from gateway.admission.admission import Admission
    from gateway.dicomweb.search_keys import SearchKeys
    from gateway.retrieval.data_sets import Attributes
    from gateway.retrieval.originals import Original, Originals
    from gateway.search.entries import IndexEntry
    from gateway.search.query import DateRange, SearchPage, StudySearch
    from gateway.studies.imaging import Imaging

STUDY_FIELDS = (
    *("SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription"),
    *("ReferringPhysicianName", "TimezoneOffsetFromUTC", "PatientName", "PatientID"),
    *("PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID"),
)
SERIES_FIELDS = (
    *("SpecificCharacterSet", "Modality", "SeriesDescription", "SeriesInstanceUID"),
    *("SeriesNumber", "BodyPartExamined", "Laterality", "TimezoneOffsetFromUTC"),
    *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
)
INSTANCE_FIELDS = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "TimezoneOffsetFromUTC"),
    *("InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames"),
)
# Where the path names none, so that each answer says what it belongs to.
STUDY_OF_SERIES = (*STUDY_FIELDS, *SERIES_FIELDS)
STUDY_OF_INSTANCE = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", *INSTANCE_FIELDS)
_HEADERS_AT_ONCE = 8
_STUDIES_AT_ONCE = 200
_MOST_STUDIES = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """Results of a search.

    Parameters
    ----------
    items
        Data sets in DICOM JSON.
    has_more
        True if others follow.
    searched
        Days of receipt that were searched; None where all were.
    """

    items: list[Attributes]
    has_more: bool = False
    searched: DateRange | None = None


class InstanceSearch:
    """Search for studies, series and instances.

    Parameters
    ----------
    search, originals, imaging
        Find studies, and their instances; run what takes long.
    admission, share
        Hold room for files that are read whole, for the caller's share.
    link
        Makes a path of the gateway one that callers can ask for.
    """

    def __init__(
        self,
        search: StudySearch,
        originals: Originals,
        imaging: Imaging,
        *,
        admission: Admission,
        share: str,
        link: Callable[[str], str],
    ) -> None:
        self._search = search
        self._originals = originals
        self._imaging = imaging
        self._admission = admission
        self._share = share
        self._link = link

    async def studies(self, keys: SearchKeys) -> Found:
        """Return studies.

        Raises
        ------
        MalformedRequestError
            The range of dates is too long.
        """
        try:
            page = await self._search.find(keys.study_query(), limit=keys.offset + keys.limit)
        except ValueError as error:
            raise MalformedRequestError(f"StudyDate {error}.") from error
        entries = page.entries[keys.offset :]
        items = await self._each([partial(self._study, entry, keys) for entry in entries])
        return Found(items, page.next is not None, page.searched)

    async def _study(self, entry: IndexEntry, keys: SearchKeys) -> Attributes | None:
        originals = await self._of(entry.study_instance_uid)
        if not originals:
            return None
        data_set = await self._header(originals[0], STUDY_FIELDS, keys)
        for keyword, value in (
            ("PatientID", entry.patient_id),
            ("AccessionNumber", entry.accession_number),
        ):
            if value is not None:  # as it was corrected, or sent beside the file
                setattr(data_set, keyword, value)
        series = {original.series_instance_uid for original in originals}
        data_set.ModalitiesInStudy = list(entry.modalities)
        data_set.NumberOfStudyRelatedSeries = len(series)
        data_set.NumberOfStudyRelatedInstances = len(originals)
        return self._located(data_set, f"/dicomweb/studies/{entry.study_instance_uid}")

    async def series(self, keys: SearchKeys, study: str | None = None) -> Found:
        """Return series, of one study if it is given; see `studies`."""
        found: list[list[Original]] = []
        pages: list[SearchPage] = []
        async for originals in self._matching(keys, study, pages):
            groups: dict[str, list[Original]] = {}
            for original in originals:
                groups.setdefault(original.series_instance_uid, []).append(original)
            found += groups.values()
            if len(found) > keys.offset + keys.limit:
                break
        page = found[keys.offset : keys.offset + keys.limit]
        names = SERIES_FIELDS if study is not None else STUDY_OF_SERIES
        items = await self._each([partial(self._one_series, group, names, keys) for group in page])
        return _found(items, pages, has_more=len(found) > keys.offset + keys.limit)

    async def _one_series(
        self, group: list[Original], names: Sequence[str], keys: SearchKeys
    ) -> Attributes | None:
        first = group[0]
        data_set = await self._header(first, names, keys)
        data_set.NumberOfSeriesRelatedInstances = len(group)
        return self._located(data_set, first.path.partition("/instances/")[0])

    async def instances(
        self, keys: SearchKeys, study: str | None = None, series: str | None = None
    ) -> Found:
        """Return instances, of one study or one series if they are given; see `studies`."""
        found: list[Original] = []
        pages: list[SearchPage] = []
        async for originals in self._matching(keys, study, pages):
            found += [each for each in originals if series in {None, each.series_instance_uid}]
            if len(found) > keys.offset + keys.limit:
                break
        page = found[keys.offset : keys.offset + keys.limit]
        names = STUDY_OF_INSTANCE if series is None else INSTANCE_FIELDS
        items = await self._each([partial(self._instance, each, names, keys) for each in page])
        return _found(items, pages, has_more=len(found) > keys.offset + keys.limit)

    async def _instance(
        self, original: Original, names: Sequence[str], keys: SearchKeys
    ) -> Attributes | None:
        data_set = await self._header(original, names, keys)
        return self._located(data_set, original.path)

    async def _matching(
        self, keys: SearchKeys, study: str | None, pages: list[SearchPage]
    ) -> AsyncIterator[list[Original]]:
        """Yield the instances of each study that match; the page of studies joins a list."""
        uids: list[str | None] = [study]
        if study is None:
            limit = min(_MOST_STUDIES, _STUDIES_AT_ONCE + keys.offset)
            try:
                page = await self._search.find(keys.study_query(), limit=limit)
            except ValueError as error:
                raise MalformedRequestError(f"StudyDate {error}.") from error
            pages.append(page)
            uids = [entry.study_instance_uid for entry in page.entries]
        for uid in uids:
            originals = await self._of(uid)
            yield [original for original in originals if await self._matches(original, keys)]

    async def _matches(self, original: Original, keys: SearchKeys) -> bool:
        for keyword, value in (
            ("SeriesInstanceUID", original.series_instance_uid),
            ("SOPInstanceUID", original.sop_instance_uid),
        ):
            if keyword in keys.values and value not in keys.values[keyword]:
                return False
        wanted = {
            keyword: keys.values[keyword]
            for keyword in ("Modality", "SOPClassUID")
            if keyword in keys.values
        }
        if not wanted:
            return True
        try:
            data_set = await self._read(original, tuple(wanted))
        except UnreadableDocumentError:
            return False  # nobody can tell any more; the log has it
        return all(data_set.get(keyword) in values for keyword, values in wanted.items())

    async def _of(self, study_instance_uid: str | None) -> list[Original]:
        """Return the instances of a study; none of one that is gone."""
        if study_instance_uid is None:
            return []
        try:
            originals = await self._originals.find(study_instance_uid)
        except StudyNotFoundError:
            return []
        for original in originals:
            name_study(original.reading.study_id)
        return originals

    async def _header(self, original: Original, names: Sequence[str], keys: SearchKeys) -> Dataset:
        wanted = None if ALL_FIELDS in keys.fields else (*names, *keys.fields)
        try:
            return await self._read(original, wanted)
        except UnreadableDocumentError:  # the log has it
            return _recorded(original, names)

    async def _read(self, original: Original, names: Sequence[str] | None) -> FileDataset:
        data = await self._originals.beginning(original)
        header = await self._parsed(data, names)
        if header is None:  # private attributes push the others behind the first bytes
            with self._admission.slot(self._share) as slot:
                data = await self._originals.read(original, slot.wait_for_bytes)
                header = await self._parsed(data, names, whole=True)
        if header is None:
            raise self._originals.damaged(original)
        return header

    async def _parsed(
        self, data: bytes, names: Sequence[str] | None, *, whole: bool = False
    ) -> FileDataset | None:
        try:
            return await self._imaging.run(partial(read_header, data, names, whole=whole))
        except (RadStreamError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - pydicom has no one class for a file that is cut off
            return None

    def _located(self, data_set: Dataset, path: str) -> Attributes:
        plain = Dataset(data_set)
        plain.RetrieveURL = self._link(path)
        plain.InstanceAvailability = "UNAVAILABLE"
        if isinstance(data_set, FileDataset):
            plain.InstanceAvailability = "ONLINE"
            if "/instances/" in path:
                plain.AvailableTransferSyntaxUID = transfer_syntax_of(data_set)
        return dict(sorted(json_of(plain).items()))

    async def _each(
        self, makers: Sequence[Callable[[], Coroutine[object, object, Attributes | None]]]
    ) -> list[Attributes]:
        items: list[Attributes] = []
        for start in range(0, len(makers), _HEADERS_AT_ONCE):
            made = await together(make() for make in makers[start : start + _HEADERS_AT_ONCE])
            items += [item for item in made if item is not None]
        return items


def _recorded(original: Original, names: Sequence[str]) -> Dataset:
    """Return the identifiers of an instance, of those that are asked for."""
    data_set = Dataset()
    for keyword, value in (
        ("StudyInstanceUID", original.study_instance_uid),
        ("SeriesInstanceUID", original.series_instance_uid),
        ("SOPInstanceUID", original.sop_instance_uid),
    ):
        if keyword in names:
            setattr(data_set, keyword, value)
    return data_set


def _found(items: list[Attributes], pages: Sequence[SearchPage], *, has_more: bool) -> Found:
    """Return results, with what the page of their studies says if there was one."""
    has_more = has_more or any(page.next is not None for page in pages)
    return Found(items, has_more, pages[0].searched if pages else None)
