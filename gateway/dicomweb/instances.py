"""Instances of a study as they are searched and retrieved: what was stored, and what was found.

Reports and heat maps are listed by the study's document and rendered when they are read: the same
bytes each time, as no copy of them is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import InstanceNotFoundError, NoDicomContextError
from gateway.renderings.result_objects import ResultObject
from gateway.results.keys import document_key
from gateway.retrieval.data_sets import read_data_set
from gateway.retrieval.originals import Original
from gateway.storage.documents import unreadable

if TYPE_CHECKING:
    from gateway.errors import UnreadableDocumentError
    from gateway.renderings.reports import Reports
    from gateway.retrieval.originals import Originals
    from gateway.storage.protocol import Reserve

Instance = Original | ResultObject


class Instances:
    """Instances of all studies on one store, reports and heat maps of complete studies included.

    Parameters
    ----------
    originals, reports
        Read what was stored; render what was found.
    """

    def __init__(self, originals: Originals, reports: Reports) -> None:
        self._originals = originals
        self._reports = reports

    async def find(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> list[Instance]:
        """Return the instances of a study, or of one series, or one of them.

        Those that were stored come first, in order of arrival, then the report and the heat maps.

        Raises
        ------
        StudyNotFoundError
            There is none with this UID, or it has no DICOM instance.
        InstanceNotFoundError
            The study has no such series or instance.
        """
        studies = await self._originals.find(study_instance_uid)
        of_study: list[Instance] = [each for study in studies for each in study.originals]
        for study in studies:
            of_study += await self._reports.result_objects(study.record, study.readings)
        found: dict[str, Instance] = {}
        for each in of_study:
            if (
                each.study_instance_uid == study_instance_uid
                and series_instance_uid in {None, each.series_instance_uid}
                and sop_instance_uid in {None, each.sop_instance_uid}
            ):
                found.setdefault(each.sop_instance_uid, each)
        if not found:
            raise InstanceNotFoundError
        return list(found.values())

    async def read(self, instance: Instance, reserve: Reserve | None = None) -> bytes:
        """Return the file: as it was sent, or rendered.

        Raises
        ------
        StudyNotFoundError
            It was deleted meanwhile, with its study.
        InstanceNotFoundError
            The study has changed meanwhile: another report, or heat map, is in the place of it.
        UnreadableDocumentError
            It is missing though its reading is there.
        """
        if isinstance(instance, Original):
            return await self._originals.read(instance, reserve)
        try:
            data = await self._reports.render(instance)
        except NoDicomContextError as error:
            raise InstanceNotFoundError from error
        made = read_data_set(data, ("SOPInstanceUID",))
        if made.SOPInstanceUID != instance.sop_instance_uid:
            raise InstanceNotFoundError
        if reserve is not None:
            await reserve(len(data))
        return data

    async def beginning(self, original: Original) -> bytes:
        """Return the first bytes of a file that was stored; see `Originals.beginning`."""
        return await self._originals.beginning(original)

    def damaged(self, instance: Instance) -> UnreadableDocumentError:
        """Return the error of a file that is no longer what was stored; the log is told."""
        if isinstance(instance, Original):
            return self._originals.damaged(instance)
        return unreadable(document_key(instance.study_id), "the result could not be rendered")
