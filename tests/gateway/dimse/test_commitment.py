"""Storage commitment: what is committed, and the report on the association of its request."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION

from gateway.dimse.commitment_messages import PUSH_MODEL, PUSH_MODEL_INSTANCE
from gateway.storage.layout import INSTANCES
from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import radiograph
from tests.support.dimse import (
    TITLE,
    LiveListener,
    dimse_settings,
    encoded,
    running_listener,
    store,
)
from tests.support.gateway import audit_trail, until

pytestmark = pytest.mark.server

DX = "1.2.840.10008.5.1.4.1.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
SUCCESS, NO_SUCH_INSTANCE, CLASS_INSTANCE_CONFLICT = 0x0000, 0x0112, 0x0119
WARD = {"name": "ward", "ae_title": "SCU", "addresses": ["127.0.0.1"]}

Reported = tuple[int, Dataset]


@pytest.fixture(scope="module")
async def listener(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveListener]:
    async with running_listener(dimse_settings(tmp_path_factory.mktemp("dimse"))) as listener:
        yield listener


@contextmanager
def sender(port: int) -> Iterator[tuple[Association, Callable[[], Reported]]]:
    """An association that stores and asks for commitment, and waits for reports on it."""
    taken: list[Reported] = []
    answered: queue.Queue[Reported] = queue.Queue()

    def take(event: evt.Event) -> tuple[int, None]:
        taken.append((int(event.event_type), event.event_information))
        return SUCCESS, None

    def note_answer(_: evt.Event) -> None:
        if taken:
            answered.put(taken.pop())

    handlers = [(evt.EVT_N_EVENT_REPORT, take), (evt.EVT_PDU_SENT, note_answer)]

    entity = ApplicationEntity("SCU")
    entity.add_requested_context(DX, ExplicitVRLittleEndian)
    entity.add_requested_context(PUSH_MODEL)
    association = entity.associate("127.0.0.1", port, ae_title=TITLE, evt_handlers=handlers)
    try:
        yield association, lambda: answered.get(timeout=60)
    finally:
        if association.is_established:
            association.release()


def request(references: Sequence[tuple[str, str]], **changes: Any) -> Dataset:
    """Return the Action Information of a request."""
    dataset = Dataset()
    dataset.TransactionUID = generate_uid()
    dataset.ReferencedSOPSequence = []
    for sop_class, instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        dataset.ReferencedSOPSequence.append(item)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


def ask(association: Association, information: Dataset) -> int:
    """Return the status of the answer to a request."""
    status, _ = association.send_n_action(information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    return int(status.Status)


def reasons(report: Dataset) -> dict[str, int]:
    """Return the failure reasons of a report by their instance."""
    return {
        item.ReferencedSOPInstanceUID: item.FailureReason
        for item in report.get("FailedSOPSequence", ())
    }


def committed(report: Dataset) -> list[str]:
    """Return the instances that a report has as committed."""
    return [item.ReferencedSOPInstanceUID for item in report.get("ReferencedSOPSequence", ())]


async def test_what_was_stored_is_committed_and_nothing_else(listener: LiveListener):
    first, second = radiograph(), radiograph()
    unknown = generate_uid()
    others = [(CT, second.SOPInstanceUID), (DX, unknown)]

    def send() -> tuple[Dataset, list[Reported]]:
        with sender(listener.port) as (association, report):
            for dataset in (first, second):
                assert store(association, dataset).Status == SUCCESS
            whole = request([(DX, first.SOPInstanceUID), (DX, second.SOPInstanceUID)])
            assert ask(association, whole) == SUCCESS
            assert ask(association, request([(DX, first.SOPInstanceUID), *others])) == SUCCESS
            return whole, [report(), report()]

    whole, [(kind, report), (other_kind, other)] = await asyncio.to_thread(send)
    assert (kind, report.TransactionUID) == (1, whole.TransactionUID)
    assert committed(report) == [first.SOPInstanceUID, second.SOPInstanceUID]
    assert "FailedSOPSequence" not in report
    assert other_kind == 2
    assert committed(other) == [first.SOPInstanceUID]
    assert reasons(other) == {
        second.SOPInstanceUID: CLASS_INSTANCE_CONFLICT,
        unknown: NO_SUCH_INSTANCE,
    }
    await until(lambda: has_reports(listener, 2))
    reports = [
        record
        for record in audit_trail(listener.gateway.settings)
        if record["operation"] == "N-EVENT-REPORT"
    ]
    assert [record["outcome"] for record in reports] == ["success", "partial"]
    assert first.StudyInstanceUID in reports[1]["studies"]


async def has_reports(listener: LiveListener, count: int) -> bool:
    return await listener.count("commitment_reports_total", outcome="taken") == count


async def test_what_was_processed_is_committed_until_its_study_is_deleted(
    triton: EmbeddedTriton, tmp_path: Path
):
    dataset = radiograph()
    study = f"/v1/studies/{dataset.StudyInstanceUID}"
    async with running_listener(dimse_settings(tmp_path, triton.grpc_url)) as listener:
        await until(listener.gateway.is_ready)

        async def is_processed() -> bool:
            result = (await listener.gateway.client.get(study)).json()
            return len(result["images"]) == 1 and not result.get("pending")

        def send() -> None:
            with sender(listener.port) as (association, _):
                assert store(association, dataset).Status == SUCCESS

        def commit() -> Dataset:
            with sender(listener.port) as (association, report):
                assert ask(association, request([(DX, dataset.SOPInstanceUID)])) == SUCCESS
                return report()[1]

        await asyncio.to_thread(send)
        await until(is_processed)
        assert committed(await asyncio.to_thread(commit)) == [dataset.SOPInstanceUID]
        assert (await listener.gateway.client.delete(study)).is_success
        report = await asyncio.to_thread(commit)
        assert reasons(report) == {dataset.SOPInstanceUID: NO_SUCH_INSTANCE}
    assert not [
        path for path in (tmp_path / "store").rglob("*") if dataset.SOPInstanceUID in path.name
    ]


REFUSED = {
    "no transaction": (lambda dataset: dataset.__delattr__("TransactionUID"), 0x0114),
    "no instances": (lambda dataset: dataset.__delattr__("ReferencedSOPSequence"), 0x0114),
    "an instance without a UID": (
        lambda dataset: dataset.ReferencedSOPSequence[0].__delattr__("ReferencedSOPInstanceUID"),
        0x0115,
    ),
    "too many": (
        lambda dataset: dataset.ReferencedSOPSequence.extend(
            10_000 * [dataset.ReferencedSOPSequence[0]]
        ),
        0x0213,
    ),
}


@pytest.mark.parametrize(("change", "status"), REFUSED.values(), ids=REFUSED)
async def test_a_request_that_cannot_be_met_is_refused(
    listener: LiveListener, change: Callable[[Dataset], None], status: int
):
    information = request([(DX, "1.2.3")])
    change(information)

    def send() -> int:
        with sender(listener.port) as (association, _):
            answer = ask(association, information)
            assert association.is_established
        return answer

    assert await asyncio.to_thread(send) == status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"RequestedSOPInstanceUID": "1.2.3"}, 0x0112),
        ({"RequestedSOPClassUID": DX}, 0x0118),
        ({"ActionTypeID": 2}, 0x0123),
        ({"ActionInformation": None}, 0x0114),
        ({"ActionInformation": BytesIO(b"\xff" * 1000)}, 0x0115),
    ],
)
async def test_another_action_is_refused(
    listener: LiveListener, changes: dict[str, Any], status: int
):
    action = N_ACTION()
    action.MessageID = 1
    action.RequestedSOPClassUID, action.RequestedSOPInstanceUID = PUSH_MODEL, PUSH_MODEL_INSTANCE
    action.ActionTypeID = 1
    action.ActionInformation = BytesIO(encoded(request([(DX, "1.2.3")])))
    for name, value in changes.items():
        setattr(action, name, value)

    def send() -> int:
        with sender(listener.port) as (association, _):
            association._reactor_checkpoint.clear()
            association.dimse.send_msg(action, 3)
            _, answer = association.dimse.get_msg(block=True)
            association._reactor_checkpoint.set()
            return int(answer.Status)

    assert await asyncio.to_thread(send) == status


async def test_a_sender_without_it_is_offered_none(tmp_path: Path):
    dataset = radiograph()
    async with running_listener(dimse_settings(tmp_path, senders=[WARD])) as listener:

        def send() -> list[str]:
            with sender(listener.port) as (association, _):
                assert store(association, dataset).Status == SUCCESS
                return [str(context.abstract_syntax) for context in association.rejected_contexts]

        assert await asyncio.to_thread(send) == [PUSH_MODEL]
    assert not list((tmp_path / "store").rglob(f"{INSTANCES}*"))
