"""Reports of stored studies, rendered on request."""

from __future__ import annotations

import asyncio
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from gateway.errors import (
    NoDicomContextError,
    NoHeatMapError,
    StudyBeingDeletedError,
    StudyNotFoundError,
)
from gateway.pictures.pictures import finding_of
from gateway.renderings.corrections import fhir_transactions, oru_messages
from gateway.renderings.heat_maps import HeatMap, heat_maps
from gateway.renderings.oru import oru_message
from gateway.renderings.source_header import source_header
from gateway.results.submissions import with_submissions
from gateway.results.view import study_result, superseded
from preprocess import MediaType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from pydicom.dataset import Dataset

    from gateway.pictures.pictures import Pictures
    from gateway.renderings.fhir import IdentifierSystems, Release
    from gateway.results.documents import Reading, StudyRecord
    from gateway.results.store import ResultStore
    from gateway.schemas.hl7 import MessageForm
    from gateway.schemas.result import StudyResult
    from gateway.studies.imaging import Imaging


class Reports:
    """Renders the results of studies for radiologists' systems.

    Parameters
    ----------
    results, imaging, pictures
        Hold the studies; have threads to render in; draw heat maps.
    """

    def __init__(self, results: ResultStore, imaging: Imaging, pictures: Pictures) -> None:
        self._results = results
        self._imaging = imaging
        self._pictures = pictures
        self._turn = asyncio.Semaphore()

    async def structured_report(self, study_id: str) -> bytes:
        """Return the DICOM structured report of a study; see `structured_report`.

        Images that are superseded, or not in DICOM, are left out.

        Raises
        ------
        StudyNotFoundError
        NoDicomContextError
            No image of it is an instance of a patient's study.
        """
        record, readings = await self._record(study_id)
        async with self._turn:  # one study's originals are in memory at once, one by one
            reported, headers = await self._instances(record, readings)
            return await self._imaging.run(partial(_render, reported, headers))

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
        place = finding_of(read, label)
        async with self._turn:
            header = await self._header(reading)
            if header is None:
                raise NoDicomContextError
            return await self._capture(HeatMap(reading, index, place, header))

    async def secondary_captures(self, study_id: str) -> AsyncIterator[bytes]:
        """Yield the Secondary Captures that the structured report of a study refers to.

        They are made one by one: together they may be larger than the images.

        Raises
        ------
        StudyNotFoundError, NoDicomContextError
            As of the structured report.
        """
        record, readings = await self._record(study_id)
        async with self._turn:
            reported, headers = await self._instances(record, readings)
        for heat_map in heat_maps(reported, headers):
            async with self._turn:
                capture = await self._capture(heat_map)
            yield capture

    async def oru(self, study_id: str, form: MessageForm) -> bytes:
        """Return the HL7 v2 message of a study; see `oru_message`.

        The patient's name, birth date and sex are those of the newest image in DICOM.

        Raises
        ------
        StudyNotFoundError
        """
        record, readings, result = await self._study(study_id)
        header = await self._newest_header(readings)
        return oru_message(result, record.identity, header, form)

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
        return [*oru_messages(record, result, header, form, destination)]

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

    async def _instances(
        self, record: StudyRecord, readings: Sequence[Reading]
    ) -> tuple[list[Reading], dict[str, Dataset]]:
        """Return the readings of images that are in a patient's study, and these images' headers.

        Images that are superseded are left out.

        Raises
        ------
        NoDicomContextError
            There are none.
        """
        replaced = superseded(readings, record.standing)
        headers: dict[str, Dataset] = {}
        for reading in readings:
            if reading.sha256 not in headers | replaced:
                header = await self._header(reading)
                if header is not None:
                    headers[reading.sha256] = header
        if not headers:
            raise NoDicomContextError
        return [reading for reading in readings if reading.sha256 in headers], headers

    async def _header(self, reading: Reading) -> Dataset | None:
        """Return the header of an image; None where it is in no patient's study."""
        if reading.media_type != MediaType.DICOM:
            return None
        data = await self._results.image(reading)
        return await self._imaging.run(partial(_header_of, data))

    async def _capture(self, heat_map: HeatMap) -> bytes:
        picture = await self._pictures.heatmap_of(heat_map.reading, heat_map.index, heat_map.label)
        return await self._imaging.run(partial(_captured, heat_map, picture))


def _header_of(data: bytes) -> Dataset | None:
    try:
        return source_header(dcmread(BytesIO(data), stop_before_pixels=True, force=True))
    except InvalidDicomError:
        return None


def _render(readings: Sequence[Reading], headers: Mapping[str, Dataset]) -> bytes:
    # Half a second of imports, which a gateway that renders nothing is spared.
    from gateway.renderings.structured_report import structured_report  # noqa: PLC0415 - see above

    return structured_report(readings, headers)


def _captured(heat_map: HeatMap, picture: bytes) -> bytes:
    from gateway.renderings.secondary_capture import secondary_capture  # noqa: PLC0415 - as above

    return secondary_capture(heat_map, np.asarray(Image.open(BytesIO(picture))))
