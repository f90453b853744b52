"""Storage commitment of archives: reports on the same association, on another one, and none."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_messages import N_ACTION_RSP

from gateway.delivery.dicom_store import DicomTransport
from gateway.delivery.storage_commitment import PUSH_MODEL, AwaitedReports, ReceivedReport
from gateway.errors import DeliveryUnansweredError
from gateway.runtime.deadline import Deadline
from gateway.schemas.routing_destinations import DicomDestination
from gateway.settings import CompletionSettings, DimseSettings, RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.delivery import all_in, deliveries
from tests.support.delivery_archives import TITLE, rendering
from tests.support.dicom import radiograph
from tests.support.dimse import associated, dimse_settings, free_port, running_listener, store
from tests.support.gateway import brisk, until
from tests.support.orthanc import running_orthanc

SUCCESS, PROCESSING_FAILURE, NO_SUCH_INSTANCE = 0x0000, 0x0110, 0x0112


@dataclass
class Committing:
    """An archive that is asked for storage commitment, and reports on the same association.

    Attributes
    ----------
    status
        Of the answer to the request.
    failure
        Failure Reason of the object; None commits it.
    is_silent
        True to report nothing.
    changes
        Of the Event Information.
    """

    port: int = 0
    status: int = SUCCESS
    failure: int | None = None
    is_silent: bool = False
    changes: dict[str, Any] = field(default_factory=dict)
    asked: list[Dataset] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def act(self, event: evt.Event) -> tuple[int, None]:
        """Answer the request."""
        self.asked.append(event.action_information)
        return self.status, None

    def sent(self, event: evt.Event) -> None:
        """Report once the request is answered."""
        if isinstance(event.message, N_ACTION_RSP) and not (self.status or self.is_silent):
            threading.Thread(target=self._report, args=[event.assoc]).start()

    def _report(self, association: Any) -> None:
        asked = self.asked[-1]
        information = Dataset()
        information.TransactionUID = asked.TransactionUID
        if self.failure is None:
            information.ReferencedSOPSequence = asked.ReferencedSOPSequence
        else:
            asked.ReferencedSOPSequence[0].FailureReason = self.failure
            information.FailedSOPSequence = asked.ReferencedSOPSequence
        for keyword, value in self.changes.items():
            setattr(information, keyword, value)
        kind = 1 if self.failure is None else 2
        with suppress(RuntimeError):  # who waits no more has released the association
            answer, _ = association.send_n_event_report(information, kind, PUSH_MODEL, PUSH_MODEL)
            self.answers += [int(answer.Status)] if "Status" in answer else []


@contextmanager
def committing(*, is_offered: bool = True, **changes: Any) -> Iterator[Committing]:
    """An archive on a free port of loopback."""
    found = Committing(**changes)
    entity = ApplicationEntity(TITLE)
    entity.add_supported_context(
        PUSH_MODEL if is_offered else DigitalXRayImageStorageForPresentation
    )
    server = entity.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_N_ACTION, found.act), (evt.EVT_DIMSE_SENT, found.sent)],
    )
    found.port = server.server_address[1]
    try:
        yield found
    finally:
        server.shutdown()


@contextmanager
def to(
    port: int, reports: AwaitedReports | None = None, wait_s: float = 60.0
) -> Iterator[DicomTransport]:
    """The way to the archive."""
    named = {"name": "pacs", "kind": "dicom", "ae_title": TITLE, "host": "127.0.0.1", "port": port}
    destination = named | {"storage_commitment": {"wait_s": wait_s}}
    transport = DicomTransport(
        DicomDestination.model_validate(destination), DimseSettings(), at_once=1, reports=reports
    )
    try:
        yield transport
    finally:
        transport.close()


def soon() -> Deadline:
    return Deadline.after(90.0)


async def test_what_is_committed_is_held():
    sent = rendering()
    with committing() as pacs, to(pacs.port) as transport:
        assert await transport.is_held(sent, soon()) is True
        await until(lambda: bool(pacs.answers))
    [asked] = pacs.asked
    [item] = asked.ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == sent.uid
    assert item.ReferencedSOPClassUID == DigitalXRayImageStorageForPresentation
    assert pacs.answers == [SUCCESS]


async def test_a_report_may_come_by_the_listener():
    sent, reports = rendering(), AwaitedReports()
    with committing(is_silent=True) as pacs, to(pacs.port, reports) as transport:
        asking = asyncio.create_task(transport.is_held(sent, soon()))
        await until(lambda: bool(pacs.asked))
        transaction = str(pacs.asked[0].TransactionUID)
        other = ReceivedReport(generate_uid(), frozenset(), {sent.uid: NO_SUCH_INSTANCE})
        assert not reports.take(other)
        report = ReceivedReport(transaction, frozenset([sent.uid]), {})
        assert reports.take(report)
        assert await asking is True
        assert not reports.take(report)


async def test_an_archive_that_has_no_such_object_does_not_hold_it():
    with committing(failure=NO_SUCH_INSTANCE) as pacs, to(pacs.port) as transport:
        assert await transport.is_held(rendering(), soon()) is False


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"failure": PROCESSING_FAILURE}, "reason 0110"),
        ({"status": PROCESSING_FAILURE}, "status 0110"),
        ({"is_offered": False}, "takes no requests"),
        ({"changes": {"ReferencedSOPSequence": []}}, "does not name"),
    ],
)
async def test_all_else_tells_nothing_of_the_object(changes: dict[str, Any], told: str):
    refused = pytest.raises(DeliveryUnansweredError, match=told)
    with committing(**changes) as pacs, to(pacs.port) as transport, refused:
        await transport.is_held(rendering(), soon())


@pytest.mark.parametrize("changes", [{"is_silent": True}, {"changes": {"TransactionUID": "1.2"}}])
async def test_no_report_in_time_tells_nothing(changes: dict[str, Any]):
    late = pytest.raises(DeliveryUnansweredError, match="no report")
    with committing(**changes) as pacs, to(pacs.port, wait_s=0.2) as transport, late:
        await transport.is_held(rendering(), soon())


async def test_the_end_of_the_gateway_ends_the_wait():
    with committing(is_silent=True) as pacs, to(pacs.port) as transport:
        asking = asyncio.create_task(transport.is_held(rendering(), soon()))
        await until(lambda: bool(pacs.asked))
        transport.close()
        with pytest.raises(DeliveryUnansweredError):
            await asking


@pytest.mark.server
async def test_orthanc_commits_what_it_was_brought(triton: EmbeddedTriton, tmp_path: Path):
    port, folder = free_port(), tmp_path / "orthanc"
    folder.mkdir()
    routing, study = tmp_path / "routing.json", generate_uid()
    pacs = {"name": "pacs", "ae_title": "ORTHANC", "addresses": ["127.0.0.1"]}
    where = {"kind": "dicom", "ae_title": "ORTHANC", "host": "127.0.0.1", "port": port}
    document = {
        "schema": "radstream.routing/1",
        "senders": [pacs],
        "destinations": [{"name": "archive", **where, "storage_commitment": {}}],
    }
    routing.write_text(json.dumps(document))
    settings = brisk(
        dimse_settings(tmp_path, triton.grpc_url),
        routing=RoutingSettings(file=routing),
        completion=CompletionSettings(quiet_s=1),
    )

    def send(port: int) -> None:
        contexts = ((DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian),)
        with associated(port, *contexts, calling="ORTHANC") as association:
            assert store(association, radiograph(StudyInstanceUID=study)).Status == SUCCESS

    async with (
        running_listener(settings) as listener,
        running_orthanc(folder, dimse_port=listener.port, own_dimse_port=port) as orthanc,
    ):
        await until(listener.gateway.is_ready)
        await asyncio.to_thread(send, listener.port)
        client = listener.gateway.client
        await until(lambda: all_in(client, study, "confirmed", "acknowledged"))
        found = await deliveries(client, study)
        held = (await orthanc.client.get("/statistics")).json()["CountInstances"]
    assert {(item["state"], item.get("warning")) for item in found} == {("confirmed", None)}
    assert held == sum(len(item["objects"]) for item in found)
