"""DICOM instances: stored once they are durable, or refused with DICOM's reason for it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from structlog.testing import capture_logs

from gateway.deferred.dicom_store import DicomStore, InstanceOutcome, InstanceSender
from gateway.errors import BodyTooLargeError, NoModelAcceptsError, OverloadedError
from gateway.storage.layout import SUBMISSIONS
from gateway.studies.dicom_instance import FailureReason, InstanceUids
from gateway.studies.study import Route
from tests.preprocess import dicoms
from tests.support.deferred import DeferredGateway
from tests.support.dicom import file_of, radiograph
from tests.support.quotas import quota_of
from tests.support.store import MemoryStore

SENDER = InstanceSender(Route.DIMSE, "CT1", "CT1")
MPEG_2 = "1.2.840.10008.1.2.4.100"


class NoModel:
    """Takes no image."""

    def select(self, *_: Any) -> None:
        raise NoModelAcceptsError("DX", "CHEST", "AP", ())


Make = Callable[..., tuple[DicomStore, DeferredGateway]]


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def make(objects: MemoryStore) -> Iterator[Make]:
    """Makes stores of instances, with their gateways."""
    made: list[DeferredGateway] = []

    def make(
        *, timeout_s: float = 20, keep_unaccepted: bool = False, **changes: Any
    ) -> tuple[DicomStore, DeferredGateway]:
        gateway = DeferredGateway(objects, **changes)
        made.append(gateway)
        options = {"timeout_s": timeout_s, "keep_unaccepted": keep_unaccepted}
        parts = (gateway.studies, gateway.submissions, gateway.imaging)
        return DicomStore(*parts, **options), gateway

    yield make
    for gateway in made:
        gateway.imaging.close()


def uids_of(image: Dataset) -> InstanceUids:
    return InstanceUids(
        image.SOPClassUID, image.SOPInstanceUID, image.StudyInstanceUID, image.SeriesInstanceUID
    )


def is_refused(outcome: InstanceOutcome, reason: FailureReason) -> bool:
    return (outcome.accepted, outcome.failure) == (None, reason) and outcome.error is not None


async def test_instance_is_pending_in_its_study_once_it_is_stored(make: Make):
    store, gateway = make()
    image = radiograph(PatientID="P1")
    outcome = await store.store(file_of(image), SENDER, uids_of(image))
    assert (outcome.uids, outcome.failure, outcome.error) == (uids_of(image), None, None)
    assert outcome.accepted is not None
    record = await gateway.results.record(image.StudyInstanceUID)
    assert record is not None
    assert [item.id for item in record.pending] == [outcome.accepted.work.id]
    assert record.identity == {"patient_id": "P1"}


async def test_what_is_no_dicom_file_is_not_understood(make: Make, objects: MemoryStore):
    store, _ = make()
    outcome = await store.store(b"no DICOM", SENDER)
    assert is_refused(outcome, FailureReason.CANNOT_UNDERSTAND)
    assert outcome.uids == InstanceUids()
    assert objects.objects == {}


async def test_instance_without_a_uid_of_its_own_is_known_by_its_file_meta(make: Make):
    store, _ = make()
    image = radiograph()
    data = file_of(image)
    del image.SOPInstanceUID
    outcome = await store.store(dicoms.write(image), SENDER)
    assert is_refused(outcome, FailureReason.CANNOT_UNDERSTAND)
    assert outcome.uids.sop_instance_uid == "1.2.3.4"
    assert outcome.uids.study_instance_uid is None
    assert (await store.store(data, SENDER)).failure is None


@pytest.mark.parametrize("place", ["sop_class_uid", "sop_instance_uid", "study_instance_uid"])
async def test_instance_that_is_another_than_the_request_names_is_refused(
    place: str, make: Make, objects: MemoryStore
):
    store, _ = make()
    image = radiograph()
    outcome = await store.store(file_of(image), SENDER, InstanceUids(**{place: "1.2.999"}))
    assert is_refused(outcome, FailureReason.DATA_SET_MISMATCH)
    assert outcome.uids == uids_of(image)
    assert objects.objects == {}


async def test_another_patient_in_a_study_is_refused_unless_its_sender_may_correct(make: Make):
    store, gateway = make()
    first, second = (radiograph(StudyInstanceUID="1.2.3", PatientID=each) for each in ("P1", "P2"))
    await store.store(file_of(first), SENDER)
    outcome = await store.store(file_of(second), SENDER)
    assert is_refused(outcome, FailureReason.IDENTITY_CONFLICT)
    assert outcome.uids == uids_of(second)
    corrects = InstanceSender(Route.DIMSE, "PACS", "PACS", corrects=True)
    assert (await store.store(file_of(second), corrects)).failure is None
    record = await gateway.results.record("1.2.3")
    assert record is not None
    assert record.identity == {"patient_id": "P2"}


async def test_instance_that_no_model_takes_is_refused_or_kept(make: Make):
    data = file_of(radiograph())
    store, _ = make(models=NoModel())
    outcome = await store.store(data, SENDER)
    assert is_refused(outcome, FailureReason.SOP_CLASS_NOT_SUPPORTED)
    keeping, _ = make(models=NoModel(), keep_unaccepted=True)
    assert (await keeping.store(data, SENDER)).accepted is not None


async def test_transfer_syntax_that_is_not_taken_is_told_as_such(make: Make):
    store, _ = make()
    movie = dicoms.compressed(np.zeros((4, 4), "u1"), b"\0\0\1\xb3")
    beginning = dicoms.write(movie, MPEG_2)[:500]
    unsupported = (await store.store(dicoms.write(movie, MPEG_2), SENDER)).error
    assert unsupported is not None
    outcome = await store.refuse(beginning, SENDER, unsupported)
    assert is_refused(outcome, FailureReason.TRANSFER_SYNTAX_NOT_SUPPORTED)


async def test_instance_that_is_not_taken_is_known_by_its_beginning(make: Make):
    store, _ = make()
    image = radiograph()
    beginning = file_of(image)[:400]
    with capture_logs() as logs:
        outcome = await store.refuse(beginning, SENDER, BodyTooLargeError(400))
    assert is_refused(outcome, FailureReason.OUT_OF_RESOURCES)
    assert outcome.uids == InstanceUids(image.SOPClassUID, image.SOPInstanceUID)
    [told] = logs
    assert (told["event"], told["failure_reason"]) == ("instance.refused", "A700")
    assert image.SOPInstanceUID not in str(told)


async def test_overload_is_not_logged_for_each_instance(make: Make):
    store, _ = make()
    with capture_logs() as logs:
        await store.refuse(b"", SENDER, OverloadedError("bytes"))
    assert logs == []


async def test_instance_waits_for_a_place_no_longer_than_its_time(make: Make, objects: MemoryStore):
    store, gateway = make(timeout_s=0.05, studies_limit=1)
    with gateway.admission.slot("another") as slot:
        slot.take()
        outcome = await store.store(file_of(radiograph()), SENDER)
    assert is_refused(outcome, FailureReason.OUT_OF_RESOURCES)
    assert objects.objects == {}


async def test_a_tenant_whose_day_is_used_up_is_told_to_come_again(
    make: Make, objects: MemoryStore
):
    store, gateway = make(quota=quota_of({"bytes_per_day": 100}))
    first = await store.store(file_of(radiograph()), SENDER)
    assert first.failure is None
    outcome = await store.store(file_of(radiograph()), SENDER)
    assert is_refused(outcome, FailureReason.OUT_OF_RESOURCES)
    assert first.accepted is not None
    await gateway.worker.sweep()  # what was accepted is counted no second time
    assert len(await objects.keys(SUBMISSIONS)) == 1
