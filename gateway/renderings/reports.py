"""Reports of stored studies, rendered on request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gateway.errors import (
    ModelSilentError,
    NoDicomContextError,
    NoHeatMapError,
    StudyBeingDeletedError,
    StudyNotFoundError,
)
from gateway.pictures.pictures import finding_of
from gateway.pictures.rendering import colour_picture
from gateway.renderings.corrections import fhir_transactions, oru_messages
from gateway.renderings.heat_maps import HeatMap, heat_maps
from gateway.renderings.identifiers import changes_before
from gateway.renderings.notice import study_notice
from gateway.renderings.oru import oru_message
from gateway.renderings.rejections import capture_references, rejections
from gateway.renderings.result_objects import result_objects
from gateway.renderings.revisions import newest, present, with_patient, withdrawals
from gateway.renderings.source_header import header_of
from gateway.results.submissions import with_submissions
from gateway.results.view import shown, study_result
from gateway.retrieval.data_sets import read_data_set
from gateway.schemas.report_class import DEFAULT
from preprocess import MediaType

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from pydicom.dataset import Dataset

    from gateway.pictures.pictures import Pictures
    from gateway.pictures.rendering import RenderedView
    from gateway.renderings.fhir import IdentifierSystems, Release
    from gateway.renderings.rejections import Rejection
    from gateway.renderings.result_objects import ResultObject
    from gateway.renderings.revisions import Revision
    from gateway.results.documents import Reading, StudyRecord
    from gateway.results.links import Links
    from gateway.results.store import ResultStore
    from gateway.results.tombstones import Tombstones
    from gateway.schemas.hl7 import MessageForm
    from gateway.schemas.report_class import ReportClass
    from gateway.schemas.result import StudyResult
    from gateway.studies.imaging import Imaging


class Reports:
    """Renders the results of studies for radiologists' systems.

    Parameters
    ----------
    results, imaging, pictures
        Hold the studies; have threads to render in; draw heat maps.
    tombstones
        Tell of studies that were deleted before: what is rendered of them now is another object.
    """

    def __init__(
        self, results: ResultStore, imaging: Imaging, pictures: Pictures, tombstones: Tombstones
    ) -> None:
        self._results = results
        self._tombstones = tombstones
        self._imaging = imaging
        self._pictures = pictures
        self._turn = asyncio.Semaphore()

    async def structured_report(self, study_id: str) -> bytes:
        """Return the DICOM structured report of a study; see `structured_report`.

        Images that are superseded, or not in DICOM, are left out, and of an instance that came
        again in other bytes what came before.

        Raises
        ------
        StudyNotFoundError
        NoDicomContextError
            No image of it is an instance of a patient's study.
        ModelSilentError
        """
        study = await self._standing(study_id)
        return await self._report(study, study.present())

    async def structured_reports(
        self, study_id: str, destination: str, report_class: ReportClass = DEFAULT
    ) -> list[bytes]:
        """Return the structured reports that tell a destination of a study, in order.

        What it got under an identity that turned out to be wrong is withdrawn first.

        Raises
        ------
        StudyNotFoundError, NoDicomContextError
        """
        study = await self._standing(study_id)
        now = study.present(report_class)
        withdrawn = withdrawals(
            study.record, study.uid, destination, now=now, deletions=study.deletions
        )
        return [await self._report(study, each) for each in (*withdrawn, now)]

    async def rejection_notes(
        self, study_id: str, destination: str, report_class: ReportClass = DEFAULT
    ) -> list[bytes]:
        """Return the notes that withdraw what a destination got of wrong patients, in order.

        Raises
        ------
        StudyNotFoundError, NoDicomContextError
        """
        record, readings = await self._record(study_id)
        if not record.former:
            return []
        study = await self._standing(study_id)
        captures = [*capture_references(readings, len(record.former), study.deletions)]
        now = study.present(report_class)
        found = rejections(
            record, study.uid, captures, destination, now=now, deletions=study.deletions
        )
        at = max(reading.completed_at for reading in readings)
        notes = []
        for rejection in found:
            *_, header = with_patient(study.sent_headers, rejection.identity).values()
            notes.append(await self._imaging.run(partial(_noted, rejection, header, at)))
        return notes

    async def secondary_capture(
        self, study_id: str, number: int, label: str | None = None, key: str | None = None
    ) -> bytes:
        """Return an image's heat map as a DICOM Secondary Capture; see `Pictures.heatmap`.

        Raises
        ------
        StudyNotFoundError, ImageNotFoundError, NoHeatMapError, InvalidQueryError
        NoDicomContextError
            The image is no instance of a patient's study.
        """
        reading, index, read = await self._pictures.find(study_id, number, key)
        if read.activation_map is None:
            raise NoHeatMapError(reading.model.name)
        return await self._capture_of(reading, index, finding_of(read, label))

    async def result_objects(
        self, record: StudyRecord, readings: Sequence[Reading]
    ) -> list[ResultObject]:
        """Return the report and the heat maps of a study; see `result_objects`."""
        deletions = await self._tombstones.requests(record.study_id)
        return result_objects(record, readings, deletions=deletions)

    async def render(self, result: ResultObject) -> bytes:
        """Return the DICOM file of a report or heat map, as the study is now.

        Raises
        ------
        StudyNotFoundError, NoDicomContextError
        """
        heat_map = result.heat_map
        if heat_map is None:
            return await self.structured_report(result.study_id)
        return await self._capture_of(heat_map.reading, heat_map.index, heat_map.label)

    async def drawn(self, result: ResultObject, view: RenderedView) -> bytes:
        """Return a heat map as a picture for the eye; see `render`."""
        data = await self.render(result)
        return await self._imaging.run(partial(_drawn, data, view))

    async def _capture_of(self, reading: Reading, index: int, place: int) -> bytes:
        """Return the Secondary Capture of a finding in a frame of an image."""
        record, readings = await self._record(reading.study_id)
        # The name of a patient that was corrected stands in the header of another image.
        study = await self._instances(record, [*(readings if record.former else ()), reading])
        header = study.headers.get(reading.sha256)
        if header is None:
            raise NoDicomContextError
        return await self._capture(HeatMap(reading, index, place, header, study.after))

    async def secondary_captures(self, study_id: str) -> AsyncGenerator[bytes]:
        """Yield the Secondary Captures that the structured report of a study refers to.

        They are made one by one: together they may be larger than the images.

        Raises
        ------
        StudyNotFoundError, NoDicomContextError
            As of the structured report.
        """
        study = await self._standing(study_id)
        for heat_map in heat_maps(study.reported, study.headers, after=study.after):
            yield await self._capture(heat_map)

    async def oru(self, study_id: str, form: MessageForm) -> bytes:
        """Return the HL7 v2 message of a study; see `oru_message`.

        The patient's name, birth date and sex are those of the newest image in DICOM.

        Raises
        ------
        StudyNotFoundError
        """
        record, readings, result = await self._study(study_id)
        header = await self._newest_header(readings)
        deletions = await self._tombstones.requests(study_id)
        return oru_message(result, record.identity, header, form, deletions=deletions)

    async def oru_messages(
        self, study_id: str, form: MessageForm, destination: str
    ) -> list[tuple[str, bytes]]:
        """Return the HL7 v2 messages of a study for a destination; see `oru_messages`.

        Raises
        ------
        StudyNotFoundError
        """
        record, readings, result = await self._study(study_id)
        header = await self._newest_header(readings)
        deletions = await self._tombstones.requests(study_id)
        return [*oru_messages(record, result, header, form, destination, deletions=deletions)]

    async def fhir_transactions(
        self, study_id: str, systems: IdentifierSystems, release: Release, destination: str
    ) -> list[tuple[str, bytes]]:
        """Return the FHIR transactions of a study for a destination; see `fhir_transactions`.

        Raises
        ------
        StudyNotFoundError
        """
        record, _, result = await self._study(study_id)
        return [*fhir_transactions(record, result, systems, release, destination)]

    async def notice(self, study_id: str, links: Links, destination: str) -> tuple[str, bytes]:
        """Return the notice of a study for a destination; see `study_notice`.

        Raises
        ------
        StudyNotFoundError
        """
        record, _, result = await self._study(study_id)
        revision = "" if record.completion is None else record.completion.work
        return study_notice(result, links, destination, revision)

    async def _newest_header(self, readings: Sequence[Reading]) -> Dataset | None:
        """Return the header of the newest image in DICOM; None where there is none."""
        instances = [reading for reading in readings if reading.media_type == MediaType.DICOM]
        if not instances:
            return None
        async with self._turn:
            return await self._header(instances[-1])

    async def _study(self, study_id: str) -> tuple[StudyRecord, list[Reading], StudyResult]:
        """Return a study's record, all its readings, and its view."""
        record, readings = await self._record(study_id)
        earlier = readings[: len(readings) - len(record.readings)]
        result = with_submissions(study_result(record, earlier, whole=True), record)
        return record, readings, result

    async def _record(self, study_id: str) -> tuple[StudyRecord, list[Reading]]:
        """Return a study's record, and all its readings."""
        try:
            record = await self._results.record(study_id)
            if record is None or not record.images:
                raise StudyNotFoundError
            return record, [*await self._results.earlier(record), *record.readings]
        except StudyBeingDeletedError:
            raise StudyNotFoundError from None

    async def _standing(self, study_id: str) -> _StudyInstances:
        """Return what reports of a study are made of: all but images that are superseded.

        Raises
        ------
        StudyNotFoundError, NoDicomContextError
        ModelSilentError
            All of it is withheld.
        """
        record, readings = await self._record(study_id)
        standing = shown(readings, record.standing)
        if not standing:
            raise ModelSilentError
        return await self._instances(record, standing)

    async def _instances(self, record: StudyRecord, readings: Sequence[Reading]) -> _StudyInstances:
        """Return the images of these readings that are in a patient's study.

        Raises
        ------
        NoDicomContextError
            There are none.
        """
        headers: dict[str, Dataset] = {}
        async with self._turn:  # one study's originals are in memory at once, one by one
            for reading in readings:
                if reading.sha256 not in headers:
                    header = await self._header(reading)
                    if header is not None:
                        headers[reading.sha256] = header
        if not headers:
            raise NoDicomContextError
        deletions = await self._tombstones.requests(record.study_id)
        return _StudyInstances(record, newest(readings, headers), headers, deletions)

    async def _report(self, study: _StudyInstances, revision: Revision) -> bytes:
        headers = with_patient(study.sent_headers, revision.identity)
        return await self._imaging.run(partial(_render, study.reported, headers, revision))

    async def _header(self, reading: Reading) -> Dataset | None:
        """Return the header of an image; None where it is in no patient's study."""
        if reading.media_type != MediaType.DICOM:
            return None
        data = await self._results.image(reading)
        return await self._imaging.run(partial(header_of, data))

    async def _capture(self, heat_map: HeatMap) -> bytes:
        async with self._turn:
            picture = await self._pictures.heatmap_of(
                heat_map.reading, heat_map.index, heat_map.label
            )
            return await self._imaging.run(partial(_captured, heat_map, picture))


@dataclass(frozen=True, slots=True)
class _StudyInstances:
    """Images of a study that are instances of a patient's study.

    Parameters
    ----------
    record
        The study's.
    reported
        Readings that reports tell of, in order.
    sent_headers
        Headers of the images as they were sent, by SHA-256, the newest last.
    deletions
        Number of deletions of the study on request before.
    """

    record: StudyRecord
    reported: list[Reading]
    sent_headers: dict[str, Dataset]
    deletions: int

    @property
    def uid(self) -> str:
        """Return the Study Instance UID."""
        return str(next(iter(self.sent_headers.values())).StudyInstanceUID)

    def present(self, of_class: ReportClass = DEFAULT) -> Revision:
        """Return the revision that is reported."""
        return present(
            self.record, self.uid, self.reported, deletions=self.deletions, report_class=of_class
        )

    @property
    def after(self) -> tuple[str, ...]:
        """Return the changes of the study before."""
        return changes_before(len(self.record.former), self.deletions)

    @property
    def headers(self) -> dict[str, Dataset]:
        """Return the headers with the patient of the study's identity."""
        return with_patient(self.sent_headers, self.record.identity)


def _render(
    readings: Sequence[Reading], headers: Mapping[str, Dataset], revision: Revision
) -> bytes:
    # Half a second of imports, which a gateway that renders nothing is spared.
    from gateway.renderings.structured_report import structured_report  # noqa: PLC0415 - see above

    return structured_report(readings, headers, revision)


def _noted(rejection: Rejection, header: Dataset, at: dt.datetime) -> bytes:
    from gateway.renderings.rejection_note import rejection_note  # noqa: PLC0415 - as above

    return rejection_note(rejection, header, at)


def _drawn(data: bytes, view: RenderedView) -> bytes:
    return colour_picture(read_data_set(data).pixel_array, view)


def _captured(heat_map: HeatMap, picture: bytes) -> bytes:
    from gateway.renderings.secondary_capture import secondary_capture  # noqa: PLC0415 - as above

    return secondary_capture(heat_map, np.asarray(Image.open(BytesIO(picture))))
