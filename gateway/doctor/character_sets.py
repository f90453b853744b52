"""Texts in several character sets, stored in an archive and asked for again.

References
----------
DICOM PS3.3, C.12.1.1.2; PS3.5, 6.1; PS3.4, C.6.2.1 (series found in the study root).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StudyRootQueryRetrieveInformationModelFind,
)

from gateway.doctor.dicom_peers import associate
from gateway.doctor.web_peers import get

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.doctor.clocks import Clocks
    from gateway.doctor.dicom_peers import DicomPeer
    from gateway.doctor.handshake import Address

    ReadText = Callable[[str, str], Awaitable[str | None]]

TEXTS = {
    "ISO_IR 100": "Größe, Übung",
    "ISO_IR 144": "Проверка связи",
    "ISO 2022 IR 87": "接続試験",
    "ISO_IR 192": "Größe, Проверка, 接続試験",
}
"""Text by its character set: Latin-1, Cyrillic, Japanese with code extensions, UTF-8."""
_DESCRIPTION = "0008103E"
_OK = 200


def dicom_reader(peer: DicomPeer) -> ReadText:
    """Return a reader of the description of a series, given study and series, by C-FIND.

    It gives None where the archive answers no search, or does not tell the description.
    """

    async def read(study_uid: str, series_uid: str) -> str | None:
        return await asyncio.to_thread(_found, peer, study_uid, series_uid)

    return read


def web_reader(
    root: str,
    address: Address,
    clocks: Clocks,
    *,
    context: ssl.SSLContext | None,
    headers: Mapping[str, str],
) -> ReadText:
    """Return a reader as `dicom_reader` does, by QIDO-RS."""

    async def read(study_uid: str, series_uid: str) -> str | None:
        query = f"SeriesInstanceUID={series_uid}&includefield=SeriesDescription"
        url = f"{root}/studies/{study_uid}/series?{query}"
        answer = await get(url, address, clocks, context=context, headers=headers)
        return _told(answer.body) if answer.status == _OK else None

    return read


def _found(peer: DicomPeer, study_uid: str, series_uid: str) -> str | None:
    asked = Dataset()
    asked.SpecificCharacterSet = "ISO_IR 192"
    asked.QueryRetrieveLevel = "SERIES"
    asked.StudyInstanceUID, asked.SeriesInstanceUID = study_uid, series_uid
    asked.SeriesDescription = ""
    association = associate(peer, StudyRootQueryRetrieveInformationModelFind)
    if not association.is_established:
        return None
    try:
        for _, match in association.send_c_find(asked, StudyRootQueryRetrieveInformationModelFind):
            if match is not None and "SeriesDescription" in match:
                return str(match.SeriesDescription)
    except (RuntimeError, ValueError):
        return None
    finally:
        if association.is_established:
            association.release()
    return None


def _told(body: bytes) -> str | None:
    try:
        found: Any = json.loads(body)
        [value] = found[0][_DESCRIPTION]["Value"]
    except (ValueError, LookupError, TypeError):
        return None
    return str(value)
