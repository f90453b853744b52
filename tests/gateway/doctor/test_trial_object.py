"""The test patient's object, and archives that do not take or keep it."""

from io import BytesIO

import pytest
from pydicom import dcmread

from gateway.delivery.dicom_store import DicomTransport
from gateway.doctor.character_sets import TEXTS, dicom_reader
from gateway.doctor.dicom_peers import DicomPeer
from gateway.doctor.findings import FaultError, Outcome, Side
from gateway.doctor.handshake import Address
from gateway.doctor.trial_object import PATIENT_ID, store_and_find, trial_object
from gateway.schemas.routing_destinations import DicomDestination
from gateway.settings import DimseSettings
from tests.support.delivery_archives import TITLE, Archive, archive


async def stored(pacs: Archive) -> str:
    destination = DicomDestination(
        name="pacs", kind="dicom", ae_title=TITLE, host="127.0.0.1", port=pacs.port
    )
    transport = DicomTransport(destination, DimseSettings(), at_once=1)
    try:
        peer = DicomPeer(Address("127.0.0.1", pacs.port, "", ""), TITLE, "RADSTREAM", "")
        return await store_and_find(transport, "pacs", TITLE, dicom_reader(peer))
    finally:
        transport.close()


def test_objects_of_a_destination_are_of_one_study():
    first, second = (dcmread(BytesIO(trial_object("pacs").data)) for _ in range(2))
    assert first.PatientID == PATIENT_ID
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.pixel_array.shape == (16, 16)


async def test_an_archive_that_answers_no_search():
    with archive() as pacs:
        assert await stored(pacs) == "accepted; it answers no search for it"
    assert sum(pacs.held.values()) == 1


async def test_an_archive_that_refuses():
    with archive() as pacs:
        pacs.statuses.append(0xA900)
        with pytest.raises(FaultError, match="status A900") as caught:
            await stored(pacs)
    assert caught.value.side is Side.PEER


async def test_an_archive_that_accepts_and_keeps_nothing():
    with archive(finds=True) as pacs:
        pacs.loses = True
        with pytest.raises(FaultError, match="does not have it") as caught:
            await stored(pacs)
    assert caught.value.outcome is Outcome.WARNING


async def test_an_archive_that_keeps_texts_in_four_character_sets():
    with archive(finds=True) as pacs:
        told = await stored(pacs)
    assert told == "accepted and found again, texts in 4 character sets too"
    assert set(pacs.descriptions.values()) > set(TEXTS.values())
    assert len({study for study, _ in pacs.studies.values()}) == 1


async def test_an_archive_that_changes_letters():
    with archive(finds=True) as pacs:
        pacs.mangles = True
        with pytest.raises(FaultError, match="texts in ISO_IR 100, ISO_IR 144, ") as caught:
            await stored(pacs)
    assert (caught.value.outcome, caught.value.side) == (Outcome.WARNING, Side.PEER)
    assert "'Gr??e, ?bung'" in caught.value.detail
