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
from gateway.dicomweb.headers import STUDY_FIELDS, Headers
from gateway.dicomweb.search_keys import ALL_FIELDS
from gateway.errors import MalformedRequestError, StudyNotFoundError, UnreadableDocumentError
from gateway.renderings.result_objects import ResultObject
from gateway.retrieval.data_sets import json_of, transfer_syntax_of
from gateway.retrieval.originals import Original
from gateway.runtime.concurrency import together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from gateway.admission.admission import Admission
    from gateway.dicomweb.instances import Instance, Instances
    from gateway.dicomweb.search_keys import SearchKeys
    from gateway.retrieval.data_sets import Attributes
    from gateway.search.entries import IndexEntry
    from gateway.search.query import DateRange, SearchPage, StudySearch
    from gateway.studies.imaging import Imaging

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
    search, instances, imaging
        Find studies, and their instances; run what takes long.
    admission, share
        Hold room for files that are read whole, for the caller's share.
    link
        Makes a path of the gateway one that callers can ask for.
    """

    def __init__(
        self,
        search: StudySearch,
        instances: Instances,
        imaging: Imaging,
        *,
        admission: Admission,
        share: str,
        link: Callable[[str], str],
    ) -> None:
        self._search = search
        self._instances = instances
        self._headers = Headers(instances, imaging, admission=admission, share=share)
        self._link = link

    async def studies(self, keys: SearchKeys) -> Found:
        """Return studies.

        Raises
        ------
        MalformedRequestError
            The range of dates is too long.
        """
        end = keys.offset + keys.limit
        page = await self._page(keys, _MOST_STUDIES if keys.names_results else end)
        entries = page.entries
        if keys.names_results:
            entries = await self._with_modalities(entries, keys)
        makers = [partial(self._study, entry, keys) for entry in entries[keys.offset : end]]
        has_more = page.next is not None or len(entries) > end
        return Found(await self._each(makers), has_more, page.searched)

    async def _page(self, keys: SearchKeys, limit: int) -> SearchPage:
        try:
            return await self._search.find(keys.study_query(), limit=limit)
        except ValueError as error:
            raise MalformedRequestError(f"StudyDate {error}.") from error

    async def _with_modalities(
        self, entries: Sequence[IndexEntry], keys: SearchKeys
    ) -> tuple[IndexEntry, ...]:
        """Return the studies with a modality that is asked for, as many as the answer needs."""
        found: list[IndexEntry] = []
        for start in range(0, len(entries), _HEADERS_AT_ONCE):
            some = entries[start : start + _HEADERS_AT_ONCE]
            of_each = await together(self._find(entry.study_instance_uid) for entry in some)
            found += [
                entry
                for entry, instances in zip(some, of_each, strict=True)
                if _has_modality(entry, instances, keys)
            ]
            if len(found) > keys.offset + keys.limit:
                break
        return tuple(found)

    async def _study(self, entry: IndexEntry, keys: SearchKeys) -> Attributes | None:
        instances = await self._of(entry.study_instance_uid)
        if not instances:
            return None
        data_set = await self._headers.of_study(instances, entry.patient_id, more=_more(keys))
        for keyword, value in (
            ("PatientID", entry.patient_id),
            ("AccessionNumber", entry.accession_number),
        ):
            if value is not None:  # as it was corrected, or sent beside the file
                setattr(data_set, keyword, value)
        series = {instance.series_instance_uid for instance in instances}
        data_set.ModalitiesInStudy = _modalities(entry, instances)
        data_set.NumberOfStudyRelatedSeries = len(series)
        data_set.NumberOfStudyRelatedInstances = len(instances)
        return self._located(data_set, f"/dicomweb/studies/{entry.study_instance_uid}")

    async def series(self, keys: SearchKeys, study: str | None = None) -> Found:
        """Return series, of one study if it is given; see `studies`."""
        found: list[list[Instance]] = []
        pages: list[SearchPage] = []
        async for instances in self._matching(keys, study, pages):
            groups: dict[str, list[Instance]] = {}
            for instance in instances:
                groups.setdefault(instance.series_instance_uid, []).append(instance)
            found += groups.values()
            if len(found) > keys.offset + keys.limit:
                break
        page = found[keys.offset : keys.offset + keys.limit]
        names = SERIES_FIELDS if study is not None else STUDY_OF_SERIES
        items = await self._each([partial(self._one_series, group, names, keys) for group in page])
        return _found(items, pages, has_more=len(found) > keys.offset + keys.limit)

    async def _one_series(
        self, group: list[Instance], names: Sequence[str], keys: SearchKeys
    ) -> Attributes | None:
        first = group[0]
        data_set = await self._header(first, names, keys)
        data_set.NumberOfSeriesRelatedInstances = len(group)
        return self._located(data_set, first.path.partition("/instances/")[0])

    async def instances(
        self, keys: SearchKeys, study: str | None = None, series: str | None = None
    ) -> Found:
        """Return instances, of one study or one series if they are given; see `studies`."""
        found: list[Instance] = []
        pages: list[SearchPage] = []
        async for instances in self._matching(keys, study, pages):
            found += [each for each in instances if series in {None, each.series_instance_uid}]
            if len(found) > keys.offset + keys.limit:
                break
        page = found[keys.offset : keys.offset + keys.limit]
        names = STUDY_OF_INSTANCE if series is None else INSTANCE_FIELDS
        items = await self._each([partial(self._instance, each, names, keys) for each in page])
        return _found(items, pages, has_more=len(found) > keys.offset + keys.limit)

    async def _instance(
        self, instance: Instance, names: Sequence[str], keys: SearchKeys
    ) -> Attributes | None:
        data_set = await self._header(instance, names, keys)
        return self._located(data_set, instance.path)

    async def _matching(
        self, keys: SearchKeys, study: str | None, pages: list[SearchPage]
    ) -> AsyncIterator[list[Instance]]:
        """Yield the instances of each study that match; the page of studies joins a list."""
        if study is not None:
            yield [each for each in await self._of(study) if await self._matches(each, keys)]
            return
        page = await self._page(keys, min(_MOST_STUDIES, _STUDIES_AT_ONCE + keys.offset))
        pages.append(page)
        for entry in page.entries:
            instances = await self._of(entry.study_instance_uid)
            if _has_modality(entry, instances, keys):
                yield [each for each in instances if await self._matches(each, keys)]

    async def _matches(self, instance: Instance, keys: SearchKeys) -> bool:
        for keyword, value in (
            ("SeriesInstanceUID", instance.series_instance_uid),
            ("SOPInstanceUID", instance.sop_instance_uid),
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
            data_set = (
                await self._headers.read(instance, tuple(wanted))
                if isinstance(instance, Original)
                else instance.attributes
            )
        except UnreadableDocumentError:
            return False  # nobody can tell any more; the log has it
        return all(data_set.get(keyword) in values for keyword, values in wanted.items())

    async def _of(self, study_instance_uid: str | None) -> list[Instance]:
        """Return the instances of a study that is answered with; none of one that is gone."""
        instances = await self._find(study_instance_uid)
        for instance in instances:
            name_study(instance.study_id)
        return instances

    async def _find(self, study_instance_uid: str | None) -> list[Instance]:
        if study_instance_uid is None:
            return []
        try:
            return await self._instances.find(study_instance_uid)
        except StudyNotFoundError:
            return []

    async def _header(self, instance: Instance, names: Sequence[str], keys: SearchKeys) -> Dataset:
        return await self._headers.of(instance, names, more=_more(keys))

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


def _more(keys: SearchKeys) -> frozenset[str] | None:
    """Return the attributes that are asked for besides the usual ones; None for all."""
    return None if ALL_FIELDS in keys.fields else keys.fields


def _modalities(entry: IndexEntry, instances: Sequence[Instance]) -> list[str]:
    made = (each.attributes.Modality for each in instances if isinstance(each, ResultObject))
    return list(dict.fromkeys((*entry.modalities, *made)))


def _has_modality(entry: IndexEntry, instances: Sequence[Instance], keys: SearchKeys) -> bool:
    """Return True where a study has a modality that is asked for, if any is."""
    wanted = keys.values.get("ModalitiesInStudy")
    return not wanted or not set(wanted).isdisjoint(_modalities(entry, instances))


def _found(items: list[Attributes], pages: Sequence[SearchPage], *, has_more: bool) -> Found:
    """Return results, with what the page of their studies says if there was one."""
    has_more = has_more or any(page.next is not None for page in pages)
    return Found(items, has_more, pages[0].searched if pages else None)
