"""Reports of stored studies, rendered on request."""

from __future__ import annotations

import asyncio
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from gateway.errors import NoDicomContextError, StudyNotFoundError
from gateway.renderings.corrections import fhir_transactions, oru_messages
from gateway.renderings.oru import oru_message
from gateway.renderings.source_header import source_header
from gateway.results.view import study_result, superseded
from preprocess import MediaType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydicom.dataset import Dataset

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
    results, imaging
        Hold the studies; have threads to render in.
    """

    def __init__(self, results: ResultStore, imaging: Imaging) -> None:
        self._results = results
        self._imaging = imaging
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
        record = await self._results.record(study_id)
        if record is None or not record.images:
            raise StudyNotFoundError
        readings = [*await self._results.earlier(record), *record.readings]
        replaced = superseded(readings, record.standing)
        standing = [reading for reading in readings if reading.sha256 not in replaced]
        async with self._turn:  # one study's originals are in memory at once, one by one
            headers = {}
            for reading in standing:
                if reading.media_type == MediaType.DICOM and reading.sha256 not in headers:
                    data = await self._results.image(reading)
                    header = await self._imaging.run(partial(_header_of, data))
                    if header is not None:
                        headers[reading.sha256] = header
            reported = [reading for reading in standing if reading.sha256 in headers]
            if not reported:
                raise NoDicomContextError
            return await self._imaging.run(partial(_render, reported, headers))

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
            data = await self._results.image(instances[-1])
            return await self._imaging.run(partial(_header_of, data))

    async def _study(self, study_id: str) -> tuple[StudyRecord, list[Reading], StudyResult]:
        """Return a study's record, all its readings, and its view."""
        record = await self._results.record(study_id)
        if record is None or not record.images:
            raise StudyNotFoundError
        earlier = await self._results.earlier(record)
        result = study_result(record, earlier, whole=True)
        return record, [*earlier, *record.readings], result


def _header_of(data: bytes) -> Dataset | None:
    try:
        return source_header(dcmread(BytesIO(data), stop_before_pixels=True, force=True))
    except InvalidDicomError:
        return None


def _render(readings: Sequence[Reading], headers: Mapping[str, Dataset]) -> bytes:
    # Half a second of imports, which a gateway that renders nothing is spared.
    from gateway.renderings.structured_report import structured_report  # noqa: PLC0415 - see above

    return structured_report(readings, headers)
