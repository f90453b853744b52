"""Senders that ask for storage commitment and take reports on it."""

import os
import queue
import signal
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from gateway.dimse.commitment_messages import PUSH_MODEL, PUSH_MODEL_INSTANCE
from gateway.storage.layout import COMMITMENTS
from tests.support.dimse import TITLE, LiveListener, store

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SUCCESS, NO_SUCH_INSTANCE = 0x0000, 0x0112

Reported = tuple[int, Dataset]


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


def ward(port: int, **commitment: Any) -> dict[str, Any]:
    """A sender whose reports go to a port of loopback."""
    return {
        "name": "ward",
        "ae_title": "SCU",
        "addresses": ["127.0.0.1"],
        "storage_commitment": {"port": port} | commitment,
    }


@contextmanager
def taking_reports(
    port: int, context: ssl.SSLContext | None = None
) -> Iterator["queue.Queue[Reported]"]:
    """A sender's listener, which takes reports."""
    reports: queue.Queue[Reported] = queue.Queue()

    def take(event: evt.Event) -> tuple[int, None]:
        reports.put((int(event.event_type), event.event_information))
        return SUCCESS, None

    entity = ApplicationEntity("SCU")
    entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", port),
        block=False,
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)],
        ssl_context=context,
    )
    assert server is not None
    try:
        yield reports
    finally:
        server.shutdown()


def store_and_ask(port: int, dataset: Dataset, *, then_kill: int | None = None) -> str:
    """Store an instance and ask for its commitment; return the Transaction UID."""
    entity = ApplicationEntity("SCU")
    entity.add_requested_context(DX, ExplicitVRLittleEndian)
    entity.add_requested_context(PUSH_MODEL)
    association = entity.associate("127.0.0.1", port, ae_title=TITLE)
    assert store(association, dataset).Status == SUCCESS
    item, information = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = DX, dataset.SOPInstanceUID
    information.TransactionUID = generate_uid()
    information.ReferencedSOPSequence = [item]
    status, _ = association.send_n_action(information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    if then_kill is not None:
        os.kill(then_kill, signal.SIGKILL)
    assert status.Status == SUCCESS
    association.abort() if then_kill else association.release()
    return str(information.TransactionUID)


async def owed(folder: Path) -> list[Path]:
    """Reports that are owed, on a store of files."""
    return list((folder / "store" / COMMITMENTS).rglob("*.*"))


async def has_reported(listener: LiveListener, count: int) -> bool:
    return await listener.count("commitment_reports_total", outcome="taken") == count


async def none_is_owed(folder: Path) -> bool:
    return not await owed(folder)
